"""How the plug-in behaves beside everything else of QGIS: examples, hints, keys, other layers, borders, servers."""

import math
import os
import time

from person import new_target, told
from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsSettings,
    QgsTolerance,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox, QPushButton


def not_like_this(person, image, places):
    """An example and a counter-example; then Keep all."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control, dock = person.control, person.plugin.dock
    target, _ = new_target(person)
    for index, place in enumerate(places[:2]):
        point = person.to_canvas(*place, layer.crs())
        person.look_at(point, 200)
        person.click(point)
        before = len(person.said)
        control.add_example(index == 0)
        person.wait(lambda before=before: len(person.said) > before, 60, "no example was kept")
        if index == 0:
            person.key(Qt.Key.Key_Return)
        else:
            person.key(Qt.Key.Key_Escape)
        person.answered()
    kept = control.client.examples("building")
    person.look_at(person.to_canvas(*places[0], layer.crs()), 200)
    person.key(Qt.Key.Key_F)
    person.answered()
    proposals, before = len(control.proposals), target.featureCount()
    enabled = dock.keep_all.isEnabled()
    dock.keep_all.click()
    person.rest(0.2)
    return {
        "examples": sorted(item["positive"] for item in kept),
        "proposals": proposals,
        "kept": target.featureCount() - before,
        "left": len(control.proposals),
        "buttons": [enabled, dock.keep_all.isEnabled()],
        "said": person.said,
    }


def hinted(person, image, place):
    """The next-click hint answered with Y and N; Tab; classes by number."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control, dock = person.control, person.plugin.dock
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    found = {"signs": [], "near": []}
    for key in (Qt.Key.Key_Y, Qt.Key.Key_N):
        hint = control.hint()
        assert hint is not None and control.paint.hint is not None and dock.yes.isEnabled()
        shown = control.paint.hint.center()
        wanted = control._on_canvas(control.source.point(hint["x"], hint["y"]), control.source.crs)
        found["near"].append(math.hypot(shown.x() - wanted.x(), shown.y() - wanted.y()))
        person.key(key)
        person.answered()
        x, y, positive = control.outline.clicks[-1]
        found["signs"].append(positive)
        found["near"].append(math.hypot(x - hint["x"], y - hint["y"]))
    found["clicks"] = len(control.outline.clicks)
    alone = control.shown["area_px"]
    person.key(Qt.Key.Key_Tab)
    person.answered()
    found["tab"] = [control.target, dock.target_box.currentData(), control.shown["area_px"] != alone]
    person.key(Qt.Key.Key_Tab)
    person.answered()
    found["back"] = [control.target, control.shown["area_px"] == alone]
    found["classes"] = []
    for number in range(1, 10):
        person.key(Qt.Key.Key_0 + number)
        found["classes"].append([control.class_name, dock.class_box.currentText()])
    found["all"] = control.classes
    found["said"] = person.said
    return found


def removed(person, image, places):
    """Layers go while a click is being answered."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    target, _ = new_target(person)
    point = person.to_canvas(*places[0], layer.crs())
    person.look_at(point)
    person.click(point)
    person.click(person.to_canvas(places[0][0] + 12, places[0][1] + 12, layer.crs()), False, wait=False)
    assert control.acts
    person.project.removeMapLayer(target.id())
    person.project.removeMapLayer(layer.id())
    person.answered()
    found = {"said": list(person.said), "clicks": len(control.outline.clicks), "shown": control.shown is not None}
    other = QgsVectorLayer("Polygon?crs=EPSG:4326&field=class:string", "other", "memory")
    person.project.addMapLayer(other)
    control.target_layer_id = other.id()
    person.key(Qt.Key.Key_Return)
    person.answered()
    found["kept"] = other.featureCount()
    return found


def closed(person, image, place, locked):
    """Layers that take nothing: a file that may not be written, a table without geometry, points; nothing is lost."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    outline, found = control.shown, {}
    for name, uri, provider in (
        ("locked", locked, "ogr"),
        ("table", "None?field=class:string", "memory"),
        ("points", "Point?crs=EPSG:4326", "memory"),
        ("lines", "MultiLineString?crs=EPSG:4326", "memory"),
    ):
        other = QgsVectorLayer(uri, name, provider)
        assert other.isValid()
        person.project.addMapLayer(other)
        control.target_layer_id = other.id()
        before = len(person.said)
        person.key(Qt.Key.Key_Return)
        person.answered()
        found[name] = person.said[before:]
        assert control.shown is outline
    return found


def borders(person, image, place):
    """Neighbours: overlaps avoided, vertices shared, snapped; undone and made again as one step."""
    person.open(image, "EPSG:32633")
    person.connected()
    control = person.control
    target = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class:string", "target", "memory")
    person.project.addMapLayer(target)
    control.target_layer_id = target.id()
    point = QgsPointXY(*place)
    person.look_at(point, 80)
    person.click(point)
    shown = control.shown
    whole = QgsGeometry.fromMultiPolygonXY(
        [[[QgsPointXY(*at) for at in ring] for ring in part] for part in control.source.polygons(shown)]
    )
    box = whole.boundingBox()
    found = {"whole": whole.area()}

    def beside(share, gap=0.0):
        """A neighbour that ends inside the outline (share of its width), or that lies `gap` beside it."""
        edge = box.xMinimum() + share * box.width() - gap
        shape = QgsGeometry.fromWkt(
            f"POLYGON(({edge - 60} {box.yMinimum() - 20},{edge} {box.yMinimum() - 20},{edge} {box.yMaximum() + 20},"
            f"{edge - 60} {box.yMaximum() + 20},{edge - 60} {box.yMinimum() - 20}))"
        )
        target.startEditing()
        for feature in list(target.getFeatures()):
            target.deleteFeature(feature.id())
        feature = QgsFeature(target.fields())
        feature.setGeometry(shape)
        assert target.addFeature(feature)
        assert target.commitChanges(False)
        return shape

    def keep():
        if control.shown is None:
            person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
        features = sorted(target.getFeatures(), key=lambda feature: feature.geometry().area())
        return [feature.geometry() for feature in features]

    project = QgsProject.instance()
    beside(0.5)
    mine, other = keep()
    found["allowed"] = mine.intersection(other).area()
    project.setAvoidIntersectionsMode(project.AvoidIntersectionsMode.AvoidIntersectionsCurrentLayer)
    project.setTopologicalEditing(True)
    wall = beside(0.5)
    mine, other = keep()
    found["avoided"] = [mine.intersection(other).area(), mine.area(), mine.isGeosValid()]
    corners = {(round(v.x(), 6), round(v.y(), 6)) for v in mine.vertices()}
    theirs = {(round(v.x(), 6), round(v.y(), 6)) for v in other.vertices()}
    border = mine.intersection(other)
    found["shared"] = [border.length() > 1, len(corners & theirs), len(theirs) > wall.constGet().nCoordinates() - 1]
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    found["undone"] = [feature.geometry().constGet().nCoordinates() for feature in target.getFeatures()]
    person.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    found["redone"] = target.featureCount()
    project.setAvoidIntersectionsMode(project.AvoidIntersectionsMode.AllowIntersections)
    config = project.snappingConfig()
    config.setEnabled(True)
    config.setTolerance(0.7)
    config.setUnits(QgsTolerance.UnitType.ProjectUnits)
    project.setSnappingConfig(config)
    beside(0.0, 0.3)
    mine, other = keep()
    found["snapped"] = [mine.distance(other), mine.intersection(other).area(), mine.area()]
    config.setEnabled(False)
    project.setSnappingConfig(config)
    project.setAvoidIntersectionsMode(project.AvoidIntersectionsMode.AvoidIntersectionsCurrentLayer)
    beside(1.5)
    before = len(person.said)
    keep()
    found["nothing left"] = person.said[before:]
    found["still shown"] = control.shown is not None
    return found


def theirs(person, image, place):
    """A layer of theirs with names of its own: fields chosen in the dialog, a correction, a save."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    dock = person.plugin.dock
    path = os.path.join(person.folder, "parcels.shp")
    empty = QgsVectorLayer(
        "MultiPolygon?crs=EPSG:4326&field=LANDUSE:string(20)&field=SURE:double&field=NOTE:string(5)&field=MODEL:integer",
        "empty",
        "memory",
    )
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "ESRI Shapefile"
    QgsVectorFileWriter.writeAsVectorFormatV3(empty, path, QgsProject.instance().transformContext(), options)
    target = QgsVectorLayer(path, "parcels", "ogr")
    person.project.addMapLayer(target)
    dock.target.setLayer(target)
    from qgis.PyQt.QtCore import QTimer

    def choose():
        dialog = QApplication.activeModalWidget()
        boxes = dialog.boxes
        for word, field in (("class", "LANDUSE"), ("score", "SURE"), ("source", "NOTE"), ("model", "MODEL")):
            boxes[word].setCurrentIndex(boxes[word].findData(field))
        dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok).click()

    QTimer.singleShot(300, choose)
    dock._fields()
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    person.key(Qt.Key.Key_Return)
    person.answered()
    found = {"count": target.featureCount(), "said": list(person.said)}
    found["saved"] = target.commitChanges(False)
    found["errors"] = target.commitErrors()
    again = QgsVectorLayer(path, "again", "ogr")
    found["told"] = [[told(value) for value in feature.attributes()] for feature in again.getFeatures()]
    return found


def remembered(person, image, place, address, token):
    """The token of a server elsewhere: plain with a note while the manager is locked, else encrypted."""
    from terraclick_qgis import settings

    person.open(image, "EPSG:3857")
    dock, manager = person.plugin.dock, QgsApplication.authManager()
    found = {"locked": not manager.masterPasswordIsSet()}

    def give(text):
        dock.token.setText(text)
        dock.address.setText(address)
        dock._address_given()
        return str(QgsSettings().value("terraclick/token", "")), settings.token()

    found["plain"] = give("first-token-of-the-test")
    found["note"] = list(person.said)
    assert manager.setMasterPassword("a master password", True)
    found["safe"] = give(token)
    found["quiet"] = person.said == found["note"]
    dock._connect()
    person.wait(lambda: not person.control.connecting, 60, "no answer")
    found["connected"] = person.control.client is not None
    with open(QgsApplication.qgisAuthDatabaseFilePath(), "rb") as file:
        found["readable"] = token.encode() in file.read()
    from terraclick_qgis import diagnostics

    found["told"] = token in diagnostics.report(person.control)
    found["gone"] = give("")
    return found


def visit(person, image, address, token):
    """Connect to a server elsewhere; what was said."""
    person.open(image, "EPSG:3857")
    dock = person.plugin.dock
    dock.address.setText(address)
    dock.token.setText(token)
    dock._connect()
    person.wait(lambda: not person.control.connecting, 60, "no answer")
    return {"said": person.said[-1:], "connected": person.control.client is not None}


def narrow(person, image, other, place):
    """What the plug-in's own server may read: the folders of the project's layers, and those of layers added later."""
    from terraclick_qgis.client import Refused

    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    person.key(Qt.Key.Key_Escape)
    found = {"refused": []}
    for path in ("/etc/passwd", other):
        try:
            control.client.add_file(path)
            found["refused"].append(False)
        except Refused:
            found["refused"].append(True)
    list_file = control.server.roots_file()
    second = person.open(other, "EPSG:3857", "second")
    person.plugin.take()
    person.look_at(person.to_canvas(*place, second.crs()))
    person.click(point)
    with open(list_file, encoding="utf-8") as file:
        found["folders"] = file.read().split()
    found["shown"] = control.shown is not None
    found["words"] = control.server.process.arguments()
    found["said"] = list(person.said)
    control.server.stop()
    found["list"] = os.path.exists(list_file)
    return found


def huge(person, image, *places):
    """Clicks on a raster of terabytes; whether each was answered by an outline, or else by one sentence."""
    began = time.monotonic()
    layer = person.open(image, "EPSG:32633")
    person.connected()
    found = []
    for place in places:
        point = QgsPointXY(*place)
        assert layer.extent().contains(point)
        person.look_at(point)
        before = len(person.said)
        person.click(point)
        shown = person.control.shown
        found.append(True if shown and not shown["empty"] else (person.said[before:] or ["empty"])[0])
        person.key(Qt.Key.Key_Escape)
        person.answered()
    kind = person.control.source and person.control.source.key[0]
    return {"answers": found, "said": person.said, "seconds": time.monotonic() - began, "kind": kind}


def focused(person, image, place):
    """Keys after a button of the panel was pressed, and while something is written into it."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    dock, found = person.plugin.dock, {}
    person.iface.mainWindow().activateWindow()
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    for name, widget in (("button", dock.keep_all.parent().findChild(QPushButton)), ("text", dock.address)):
        widget.setFocus()
        person.rest(0.1)
        before = widget.hasFocus()
        person.hover(point)
        person.rest(0.1)
        found[name] = [before, person.canvas.hasFocus()]
    return found
