# SPDX-License-Identifier: GPL-2.0-or-later
"""Polygons into a layer's edit buffer, with attributes; QGIS's own undo takes them back."""

import json
import os
import uuid
from datetime import datetime

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsFields,
    QgsFillSymbol,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)

from . import settings
from .client import Failure
from .compat import DOUBLE, INTEGER, STRING
from .i18n import tr
from .sources import transform_between
from .topology import share_vertices

FIELDS = {
    "class": STRING,
    "score": DOUBLE,
    "status": STRING,
    "n_clicks": INTEGER,
    "clicks": STRING,
    "model": STRING,
    "source": STRING,
    "uuid": STRING,
}
"""What is told of an object, and its type."""
ALSO = {"n_clicks": ("nclicks",), "class": ("class_name", "klasse", "type")}
"""Other names under which a field may be there."""
MAPPING = "terraclick/fields"


def geometry_of(polygons):
    """A multipolygon of lists of rings of (x, y)."""
    return QgsGeometry.fromMultiPolygonXY(
        [[[QgsPointXY(*point) for point in ring] for ring in part] for part in polygons]
    )


def polygons_of(geometry):
    """Lists of rings of (x, y) of a polygon or multipolygon."""
    parts = geometry.asMultiPolygon() if geometry.isMultipart() else [geometry.asPolygon()]
    return [[[(point.x(), point.y()) for point in ring] for ring in part] for part in parts]


def moved(geometry, source, target):
    """A copy of a geometry in another system. Raises Failure where it has no place there."""
    found = QgsGeometry(geometry)
    if source.isValid() and target.isValid() and source != target:
        try:
            found.transform(transform_between(source, target))
        except Exception as error:
            raise Failure(tr("The outline has no place in the layer's coordinate system.")) from error
    if not found.isGeosValid():
        found = found.makeValid()
    return found


def check_target(layer):
    """Raise Failure where a layer takes no polygons."""
    if layer is None:
        raise Failure(tr("Choose a layer for the polygons in the TerraClick panel first."))
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        raise Failure(tr("The layer for the polygons cannot be used any more: choose another one."))
    kind = layer.geometryType()
    if kind == QgsWkbTypes.GeometryType.LineGeometry:
        raise Failure(tr("The layer {} holds lines, and clicks make areas: choose another one.").format(layer.name()))
    if kind == QgsWkbTypes.GeometryType.PointGeometry:
        raise Failure(tr("The layer {} holds points, and clicks make areas: choose another one.").format(layer.name()))
    if kind != QgsWkbTypes.GeometryType.PolygonGeometry:
        raise Failure(tr("The layer {} holds no polygons: choose another one.").format(layer.name()))
    if _is_gone(layer):
        raise Failure(tr("The file of the layer {} is gone: choose another one.").format(layer.name()))
    if layer.readOnly() or not layer.dataProvider().capabilities() & layer.dataProvider().AddFeatures:
        raise Failure(tr("The layer {} is read-only: choose another one.").format(layer.name()))


def _is_gone(layer):
    """Whether the file behind a layer was moved or deleted since it was opened."""
    if layer.providerType() != "ogr":
        return False
    path = QgsProviderRegistry.instance().decodeUri("ogr", layer.source()).get("path", "")
    return os.path.isabs(path) and not path.startswith("/vsi") and not os.path.exists(path)


def check_area(geometry):
    """Raise Failure where clicks cannot correct a geometry or learn from it: sessions also hold lines and points."""
    if geometry.isEmpty():
        raise Failure(tr("This object has no outline to correct."))
    if geometry.type() != QgsWkbTypes.GeometryType.PolygonGeometry:
        raise Failure(tr("This object is a line or a point: select an area, for clicks know areas alone."))


def mapping_of(layer):
    """What we tell → name of the layer's field for it; as chosen for the layer, else by name."""
    names = {field.name().lower(): field.name() for field in layer.fields()}
    found = {}
    for told in FIELDS:
        for name in (told, *ALSO.get(told, ())):
            if name in names:
                found[told] = names[name]
                break
    try:
        chosen = json.loads(str(layer.customProperty(MAPPING, "{}")))
    except ValueError:
        chosen = {}
    if isinstance(chosen, dict):
        found.update({told: name for told, name in chosen.items() if told in FIELDS and isinstance(name, str)})
    return {told: name for told, name in found.items() if name in names.values()}


def choose_mapping(layer, mapping):
    """Remember which field takes what; "" for none."""
    layer.setCustomProperty(MAPPING, json.dumps(mapping))


def attributes_of(class_name, outline, clicks, model, source, status="accepted"):
    """What is told of an object."""
    return {
        "class": class_name,
        "score": outline.get("score"),
        "status": status,
        "n_clicks": len(clicks),
        "clicks": json.dumps([[round(x, 3), round(y, 3), 1 if positive else 0] for x, y, positive in clicks]),
        "model": model,
        "source": source,
        "uuid": str(uuid.uuid4()),
    }


def _editing(layer):
    check_target(layer)
    if not layer.isEditable() and not layer.startEditing():
        raise Failure(tr("The layer {} cannot be edited now: is it locked by another program?").format(layer.name()))


def add(layer, geometry, attributes, title):
    """Add an object to the edit buffer as one undo step; geometry is in the layer's system. Gives the features' ids."""
    _editing(layer)
    feature = QgsFeature(layer.fields())
    feature.setGeometry(geometry)
    for told, name in mapping_of(layer).items():
        feature.setAttribute(name, attributes.get(told))
    layer.beginEditCommand(title)
    try:
        ready = QgsVectorLayerUtils.makeFeatureCompatible(feature, layer)
        made = []
        for part in ready:
            full = QgsVectorLayerUtils.createFeature(layer, part.geometry(), _given(part))
            if not layer.addFeature(full):
                raise Failure(tr("The layer {} did not take the polygon.").format(layer.name()))
            made.append(full.id())
        if not made:
            raise Failure(tr("The layer {} did not take the polygon.").format(layer.name()))
        share_vertices(layer, geometry)
    except BaseException:
        layer.destroyEditCommand()
        raise
    layer.endEditCommand()
    layer.triggerRepaint()
    return made


def _given(feature):
    values = feature.attributes()
    return {index: value for index, value in enumerate(values) if value is not None and str(value) != "NULL"}


def change(layer, fid, geometry, attributes, title):
    """Give an object of the layer another outline, as one undo step."""
    _editing(layer)
    if not layer.getFeature(fid).isValid():
        raise Failure(tr("The layer {} did not take the polygon.").format(layer.name()))
    layer.beginEditCommand(title)
    single = QgsGeometry(geometry)
    if not QgsWkbTypes.isMultiType(layer.wkbType()) and single.isMultipart():
        parts = single.asGeometryCollection()
        single = max(parts, key=lambda part: part.area()) if parts else single
    if not layer.changeGeometry(fid, single):
        layer.destroyEditCommand()
        raise Failure(tr("The layer {} did not take the polygon.").format(layer.name()))
    names = mapping_of(layer)
    for told in ("class", "score", "status", "n_clicks", "clicks", "model"):
        if told in names and attributes.get(told) is not None:
            layer.changeAttributeValue(fid, layer.fields().indexFromName(names[told]), attributes[told])
    share_vertices(layer, single)
    layer.endEditCommand()
    layer.triggerRepaint()


def commit(layer):
    """Save the edit buffer and go on editing. Raises Failure, and then nothing is lost from the buffer."""
    if not layer.isEditable() or not layer.isModified():
        return
    if not layer.commitChanges(False):
        reason = " ".join(layer.commitErrors()[-1:])
        raise Failure(tr("The layer {} could not be saved; its changes stay in QGIS. {}").format(layer.name(), reason))


def new_layer(path, crs):
    """A GeoPackage for polygons, made and opened. Raises Failure."""
    fields = QgsFields()
    for name, kind in FIELDS.items():
        fields.append(QgsField(name, kind))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "objects"
    if not crs.isValid():
        crs = QgsCoordinateReferenceSystem()
    writer = QgsVectorFileWriter.create(
        path, fields, QgsWkbTypes.Type.MultiPolygon, crs, QgsProject.instance().transformContext(), options
    )
    failed, message = writer.hasError() != QgsVectorFileWriter.WriterError.NoError, writer.errorMessage()
    del writer
    if failed:
        raise Failure(tr("The file {} cannot be written: {}").format(path, message))
    layer = QgsVectorLayer(f"{path}|layername=objects", os.path.splitext(os.path.basename(path))[0], "ogr")
    if not layer.isValid():
        raise Failure(tr("The file {} cannot be written: {}").format(path, ""))
    look = {"color": "255,200,0,70", "outline_color": "208,128,0,255", "outline_width": "0.5"}
    layer.renderer().setSymbol(QgsFillSymbol.createSimple(look))
    return layer


def default_path():
    """Where polygons go when nobody chose: beside the project, or in the profile; never over another file."""
    home = QgsProject.instance().homePath()
    folder = home if home and os.access(home, os.W_OK) else settings.folder()
    stem = datetime.now().strftime("terraclick-%Y%m%d-%H%M%S")
    number, path = 1, os.path.join(folder, f"{stem}.gpkg")
    while os.path.exists(path):
        number += 1
        path = os.path.join(folder, f"{stem}-{number}.gpkg")
    return path


def set_status(layer, fids, field, status):
    """Give objects a status, as one undo step."""
    _editing(layer)
    index = layer.fields().indexFromName(field)
    layer.beginEditCommand(tr("Judge objects"))
    for fid in fids:
        layer.changeAttributeValue(fid, index, status)
    layer.endEditCommand()


def covered(layer, geometry):
    """The share of a geometry, in the layer's system, that one object of the layer covers; the largest one."""
    area = geometry.area()
    if area <= 0:
        return 0.0
    near = layer.getFeatures(QgsFeatureRequest().setFilterRect(geometry.boundingBox()))
    return max((feature.geometry().intersection(geometry).area() / area for feature in near), default=0.0)
