"""Objects of all kinds beside the plug-in: layers of lines and points, sessions that hold them among areas."""

import os

from person import new_target
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsPointXY,
    QgsSettings,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import Qt


def kinds(person, image, place, session, part):
    """Click into a session that holds a line and a point too; part is "" or what QGIS adds for the layer of areas."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    target = QgsVectorLayer(f"{session}|layername=objects{part}", "session", "ogr")
    person.project.addMapLayer(target)
    person.plugin.dock.target.setLayer(target)
    before = {feature.id(): feature.geometry() for feature in target.getFeatures()}
    found, told = {"seen": len(before)}, []
    control.said.connect(lambda sentence, level: told.append(sentence))

    def refused(act):
        act()
        person.answered()
        assert control.reopened is None and not control.acts

    for fid, geometry in before.items():
        if geometry.type() != QgsWkbTypes.GeometryType.PolygonGeometry:
            target.selectByIds([fid])
            refused(control.reopen_selected)
            refused(lambda: control.add_example(True))
    found["refused"] = list(told)
    target.removeSelection()
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    person.key(Qt.Key.Key_Return)
    person.answered()
    areas = [fid for fid, shape in before.items() if shape.type() == QgsWkbTypes.GeometryType.PolygonGeometry]
    target.selectByIds(areas[:1])
    person.look_at(person.to_canvas(*place, layer.crs()), 300)
    person.key(Qt.Key.Key_R)
    person.answered()
    found["reopened"] = control.reopened is not None
    person.key(Qt.Key.Key_Return)
    person.answered()
    found["saved"], found["errors"] = target.commitChanges(), target.commitErrors()
    found["said"] = told[len(found["refused"]) :]
    return found


def quiet(person, image, places):
    """Clicks tell QGIS's own task manager nothing, which would tell the desktop that a task is complete."""
    told = []
    QgsApplication.taskManager().taskAdded.connect(lambda *words: told.append(words))
    QgsApplication.taskManager().statusChanged.connect(lambda *words: told.append(words))
    layer = person.open(image, "EPSG:3857")
    person.connected()
    target, _ = new_target(person)
    for place in places:
        point = person.to_canvas(*place, layer.crs())
        person.look_at(point)
        person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
    return {"told": len(told), "kept": target.featureCount(), "said": person.said}


def worse(person, image, place, folder):
    """Bad input of the kinds that people meet second: odd tokens, programs that are none, files that go, far places."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control, told, found = person.control, [], {}
    control.said.connect(lambda sentence, level: told.append(sentence))

    def said(name, act):
        told.clear()
        act()
        person.wait(lambda: told, 60, name)
        person.rest(0.3)
        found[name] = list(told)

    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    outline = control.shown
    for name in ("gone", "locked"):
        target, path = new_target(person, f"{name}.gpkg")
        if name == "gone":
            os.remove(path)
        else:
            target.setReadOnly(True)
        said(name, control.accept)
        assert control.shown is outline
    person.key(Qt.Key.Key_Escape)
    for name, crs, x, y in (("pole", "EPSG:3031", 1e9, 1e9), ("infinite", "EPSG:3857", float("inf"), 0.0)):
        person.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
        said(name, lambda x=x, y=y: control.click(QgsPointXY(x, y), True))
    person.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    base = control.client.base
    for name, token in (("cyrillic", "ключ"), ("broken line", "a\nb")):
        QgsSettings().setValue("terraclick/address", base)
        QgsSettings().setValue("terraclick/token", token)
        control.client = None
        said(name, control.connect_server)
    QgsSettings().setValue("terraclick/address", "")
    control.server.stop()
    for name, program in (("silent", "/bin/true"), ("folder", folder), ("text", os.path.join(folder, "text"))):
        QgsSettings().setValue("terraclick/executable", program)
        control.client, control.connecting, control.quick_deaths = None, False, 0
        control.stalled = False
        said(name, control.connect_server)
        control.server.stop()
    return found
