"""Run by QGIS's own Python: tells what QGIS reads in files, and edits a session as a person does. JSON in, JSON out."""

import json
import sys

from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)


def vector(path):
    layer = QgsVectorLayer(path, "it", "ogr")
    if not layer.isValid():
        return {"valid": False}
    renderer = layer.renderer()
    classes = {}
    if renderer.type() == "categorizedSymbol":
        classes = {str(c.value()): c.symbol().color().name() for c in renderer.categories() if str(c.value())}
    features = list(layer.getFeatures())
    known = [feature for feature in features if "uuid" in layer.fields().names()]
    return {
        "valid": True,
        "features": len(features),
        "declared": layer.featureCount(),
        "crs": layer.crs().authid(),
        "kind": layer.wkbType(),
        "classes": classes,
        "fields": [field.name() for field in layer.fields()],
        "all_valid": all(feature.geometry().isGeosValid() for feature in features),
        "shapes": {feature["uuid"]: feature.geometry().asWkt(9) for feature in known},
    }


def raster(path):
    layer = QgsRasterLayer(path, "it", "gdal")
    if not layer.isValid():
        return {"valid": False}
    provider, renderer = layer.dataProvider(), layer.renderer()
    classes = {}
    if renderer.type() == "paletted":
        classes = {c.label: c.color.name() for c in renderer.classes()}
    extent = layer.extent()
    return {
        "valid": True,
        "crs": layer.crs().authid(),
        "size": [layer.width(), layer.height()],
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "renderer": renderer.type(),
        "classes": classes,
        "overviews": len(provider.buildPyramidList()) > 0,
    }


def saved_as(path, target):
    """Whether QGIS saves a layer as a GeoPackage of its own."""
    layer = QgsVectorLayer(path, "it", "ogr")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    code, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, target, QgsProject.instance().transformContext(), options
    )
    return {"ok": code == QgsVectorFileWriter.NoError, "message": message}


def edited(path, uuid, wkt):
    """Move one object by a metre east, give another class; draw a new one."""
    layer = QgsVectorLayer(f"{path}|layername=objects", "objects", "ogr")
    assert layer.startEditing()
    (feature,) = [one for one in layer.getFeatures() if one["uuid"] == uuid]
    geometry = QgsGeometry(feature.geometry())
    geometry.translate(1, 0)
    assert layer.changeGeometry(feature.id(), geometry)
    assert layer.changeAttributeValue(feature.id(), layer.fields().indexOf("class"), "shed")
    fresh = QgsFeature(layer.fields())
    fresh.setGeometry(QgsGeometry.fromWkt(wkt))
    fresh["class"] = "drawn"
    assert layer.addFeature(fresh)
    return {"committed": layer.commitChanges(), "errors": layer.commitErrors()}


def main():
    application = QgsApplication([], False)
    application.initQgis()
    doing = {"vector": vector, "raster": raster, "saved_as": saved_as, "edited": edited}
    found = [doing[name](*words) for name, *words in json.load(sys.stdin)]
    print("FOUND" + json.dumps(found))
    application.exitQgis()


main()
