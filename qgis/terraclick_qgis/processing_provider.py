# SPDX-License-Identifier: GPL-2.0-or-later
"""TerraClick's algorithms for Processing, the model designer and qgis_process."""

import json
import os

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingProvider,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QIcon

from . import results, sources
from .client import Failure, is_local
from .i18n import tr
from .programs import json_of, run_program, some_server

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")
FORMATS = ("gpkg", "geojson", "shapefile", "geoparquet", "csv", "coco", "labelme", "yolo", "mask", "instances")
FALSE = (0, "0", "false", "no", "negative", "False", False)


class _Algorithm(QgsProcessingAlgorithm):
    """What the algorithms share: a Failure ends them with its sentence."""

    ID = ""
    TITLE = ""
    HELP = ""

    def name(self):
        return self.ID

    def displayName(self):
        return tr(self.TITLE)

    def shortHelpString(self):
        return tr(self.HELP)

    def icon(self):
        return QIcon(ICON)

    def createInstance(self):
        return type(self)()

    def processAlgorithm(self, parameters, context, feedback):
        try:
            return self.work(parameters, context, feedback)
        except Failure as error:
            raise QgsProcessingException(str(error)) from error


class SegmentPoints(_Algorithm):
    """Points to polygons."""

    ID = "segmentpoints"
    TITLE = "Outline things at points"
    HELP = (
        "Every point is a click on the image. Points with the same value of the object field belong to one thing; "
        "without that field each point is a thing of its own. A point whose include field is 0 or false excludes."
    )

    def initAlgorithm(self, config=None):
        add = self.addParameter
        add(QgsProcessingParameterRasterLayer("IMAGE", tr("Image")))
        add(QgsProcessingParameterFeatureSource("INPUT", tr("Points"), [QgsProcessing.SourceType.TypeVectorPoint]))
        add(QgsProcessingParameterField("OBJECT", tr("Field that tells things apart"), None, "INPUT", optional=True))
        add(QgsProcessingParameterField("POSITIVE", tr("Field that says include or not"), None, "INPUT", optional=True))
        add(QgsProcessingParameterString("CLASS", tr("Class"), "", optional=True))
        number = QgsProcessingParameterNumber
        add(
            number(
                "SIMPLIFY",
                tr("Simplify (m); empty: as needed"),
                QgsProcessingParameterNumber.Type.Double,
                None,
                optional=True,
                minValue=0.0,
            )
        )
        add(QgsProcessingParameterFeatureSink("OUTPUT", tr("Polygons"), QgsProcessing.SourceType.TypeVectorPolygon))

    def work(self, parameters, context, feedback):
        image = self.parameterAsRasterLayer(parameters, "IMAGE", context)
        points = self.parameterAsSource(parameters, "INPUT", context)
        path = sources.local_path(image) if image is not None else None
        if image is None or points is None:
            raise Failure(tr("An image and points are needed."))
        if path is None:
            raise Failure(tr("The layer {} is no image file: use the map tool for online layers.").format(image.name()))
        group = self.parameterAsString(parameters, "OBJECT", context)
        sign = self.parameterAsString(parameters, "POSITIVE", context)
        class_name = self.parameterAsString(parameters, "CLASS", context)
        given = parameters.get("SIMPLIFY")
        simplify = None if given is None else self.parameterAsDouble(parameters, "SIMPLIFY", context)
        fields = QgsFields()
        for name, kind in results.FIELDS.items():
            fields.append(QgsField(name, kind))
        sink, target = self.parameterAsSink(
            parameters, "OUTPUT", context, fields, QgsWkbTypes.Type.MultiPolygon, image.crs()
        )
        transform = sources.transform_between(points.sourceCrs(), image.crs())
        things = {}
        for feature in points.getFeatures():
            if feature.geometry().isEmpty():
                continue
            key = feature[group] if group else feature.id()
            for vertex in feature.geometry().vertices():
                place = transform.transform(vertex.x(), vertex.y())
                things.setdefault(key, []).append((place, not (sign and feature[sign] in FALSE)))
        with some_server([os.path.dirname(path)]) as client:
            if not is_local(client.base):
                raise Failure(tr("A server elsewhere cannot open files of this machine: leave the address empty."))
            source = self._source(image, client.add_file(path))
            model = client.state()["model"]["name"]
            for index, (key, clicks) in enumerate(things.items()):
                if feedback.isCanceled():
                    break
                self._one(client, source, key, clicks, class_name, simplify, model, fields, sink, feedback)
                feedback.setProgress(100 * (index + 1) / max(1, len(things)))
        return {"OUTPUT": target}

    @staticmethod
    def _source(image, found):
        return sources.Source(image, found, sources.file_transform(image, found), ("file",))

    @staticmethod
    def _one(client, source, key, clicks, class_name, simplify, model, fields, sink, feedback):
        clicks = sorted(clicks, key=lambda click: not click[1])
        pixels = [(*source.pixel(place), positive) for place, positive in clicks]
        try:
            answer = client.segment(source.image, pixels, class_name=class_name, simplify_m=simplify)
        except Failure as error:
            feedback.reportError(f"{key}: {error}")
            return
        polygons = source.polygons(answer["outline"]) if answer else []
        if not polygons:
            feedback.pushInfo(tr("{}: nothing was outlined.").format(key))
            return
        told = results.attributes_of(class_name, answer["outline"], pixels, model, source.layer_name)
        feature = QgsFeature(fields)
        feature.setGeometry(results.geometry_of(polygons))
        feature.setAttributes([told[name] for name in results.FIELDS])
        sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)


class ClassMap(_Algorithm):
    """A class map of an extent."""

    ID = "classmap"
    TITLE = "Class map"
    HELP = "Names every pixel of an image, or of an extent of it, with a map model of TerraClick (`terraclick models`)."

    def initAlgorithm(self, config=None):
        add = self.addParameter
        add(QgsProcessingParameterRasterLayer("IMAGE", tr("Image")))
        add(QgsProcessingParameterString("MODEL", tr("Map model: a name, or the folder of your own")))
        add(QgsProcessingParameterExtent("EXTENT", tr("Extent"), optional=True))
        add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Class map")))

    def work(self, parameters, context, feedback):
        image = self.parameterAsRasterLayer(parameters, "IMAGE", context)
        path = sources.local_path(image) if image is not None else None
        if path is None:
            raise Failure(tr("An image file is needed."))
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        words = [
            "map",
            path,
            "--model",
            self.parameterAsString(parameters, "MODEL", context),
            "--out",
            out,
            "--overwrite",
        ]
        extent = self.parameterAsExtent(parameters, "EXTENT", context, image.crs())
        if not extent.isEmpty():
            corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
            words.append("--bounds=" + ",".join(repr(value) for value in corners))
        run_program(words, feedback)
        return {"OUTPUT": out}


class Replay(_Algorithm):
    """The clicks of a session answered again."""

    ID = "replay"
    TITLE = "Replay a session"
    HELP = "Answers the clicks of a TerraClick session again and measures how good they were (NoC, IoU)."

    def initAlgorithm(self, config=None):
        add = self.addParameter
        add(QgsProcessingParameterFile("SESSION", tr("Session"), extension="gpkg"))
        add(QgsProcessingParameterString("MODEL", tr("Model"), "terra"))
        add(QgsProcessingParameterFileDestination("OUTPUT", tr("Figures"), "JSON (*.json)"))
        self.addOutput(QgsProcessingOutputNumber("OBJECTS", tr("Objects")))
        self.addOutput(QgsProcessingOutputNumber("MEAN_IOU", tr("Mean IoU")))

    def work(self, parameters, context, feedback):
        words = ["replay", self.parameterAsFile(parameters, "SESSION", context), "--json"]
        words += ["--model", self.parameterAsString(parameters, "MODEL", context)]
        found = json_of(run_program(words, feedback))
        out = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        with open(out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
        objects = found.get("objects", [])
        count = objects if isinstance(objects, int) else len(objects)
        return {"OUTPUT": out, "OBJECTS": count, "MEAN_IOU": found.get("iou")}


class Export(_Algorithm):
    """A session in other formats."""

    ID = "export"
    TITLE = "Export a session"
    HELP = "Writes the objects of a TerraClick session for other programs, all images together."

    def initAlgorithm(self, config=None):
        add = self.addParameter
        add(QgsProcessingParameterFile("SESSION", tr("Session"), extension="gpkg"))
        chosen = {"allowMultiple": True, "defaultValue": ["gpkg", "geojson"], "usesStaticStrings": True}
        add(QgsProcessingParameterEnum("FORMATS", tr("Formats"), list(FORMATS), **chosen))
        add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder")))

    def work(self, parameters, context, feedback):
        out = self.parameterAsString(parameters, "OUTPUT", context)
        os.makedirs(out, exist_ok=True)
        words = ["export-session", self.parameterAsFile(parameters, "SESSION", context), out, "--overwrite"]
        for name in self.parameterAsEnumStrings(parameters, "FORMATS", context):
            words += ["--format", name]
        feedback.pushInfo(run_program(words, feedback).strip())
        return {"OUTPUT": out}


class TerraClickProvider(QgsProcessingProvider):
    """All of them, as terraclick:…"""

    def id(self):
        return "terraclick"

    def name(self):
        return "TerraClick"

    def icon(self):
        return QIcon(ICON)

    def loadAlgorithms(self):
        for kind in (SegmentPoints, ClassMap, Replay, Export):
            self.addAlgorithm(kind())
