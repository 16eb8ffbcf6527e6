"""What people do with the plug-in, played in a real QGIS by driver.py; each gives what it found."""

import json
import os
import signal
import sys
import time

from person import megabytes, new_target, told
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsRasterLayer,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt


def story(person, image, project_crs, places, shots=""):
    """Click, correct, undo, accept, save, reopen. places are (x, y) in the image's own system."""
    layer = person.open(image, project_crs)
    person.connected()
    target, path = new_target(person)
    crs = layer.crs()
    found = {"previewed": 0}
    for index, (x, y) in enumerate(places):
        point = person.to_canvas(x, y, crs)
        person.look_at(point)
        if index == 1:
            person.hover(point)
            person.wait(lambda: person.control.preview is not None, 60, "no preview")
            before = len(person.control.times)
            person.click(point, wait=False)
            assert person.control.shown is not None and len(person.control.times) == before + 1
            person.key(Qt.Key.Key_Return)  # kept before the click was answered
            found["previewed"] = 1
            person.answered()
            assert not person.control.working
        else:
            person.click(point)
            if index == 0:
                person.click(person.to_canvas(x + 12, y + 12, crs), False)
                assert len(person.control.outline.clicks) == 2
                person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
                person.answered()
                assert len(person.control.outline.clicks) == 1
                person.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
                person.answered()
                assert len(person.control.outline.clicks) == 2
                person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
                person.answered()
                if shots:
                    person.shot(shots + "-click.png")
            person.key(Qt.Key.Key_Return)
            person.answered()
        assert target.featureCount() == index + 1, person.said
    # the layer's own undo takes an object back and brings it again
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert target.featureCount() == len(places) - 1
    person.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert target.featureCount() == len(places)
    found["objects"] = person.objects(target)
    if shots:
        person.canvas.setLayers([target, layer])
        middle = person.to_canvas(*places[0], crs)
        person.look_at(middle, 260)
        person.shot(shots + "-map.png")
    assert target.commitChanges(False)
    again = QgsVectorLayer(path, "again", "ogr")
    found["saved"] = again.featureCount()
    first = next(target.getFeatures())
    target.selectByIds([first.id()])
    before = first.geometry().area()
    person.look_at(person.to_canvas(*places[0], crs))
    person.key(Qt.Key.Key_R)
    person.answered()
    assert person.control.reopened is not None, person.said
    assert person.control.shown is not None and not person.control.shown["empty"]
    found["seed"] = person.control.shown["area_px"]
    person.click(person.to_canvas(places[0][0] + 8, places[0][1] + 2, crs))
    found["after"] = person.control.shown["area_px"]
    person.key(Qt.Key.Key_Return)
    person.answered()
    assert target.featureCount() == len(places)
    found["corrected"] = target.getFeature(first.id()).geometry().area() != before
    person.control.set_class("road")
    person.key(Qt.Key.Key_1)
    found["class"] = person.control.class_name
    person.key(Qt.Key.Key_Tab)
    found["target"] = person.control.target
    found["times"] = person.control.times
    found["said"] = person.said
    return found


def killed(person, image, project_crs, places):
    """The server is killed before every click is answered; nothing is lost."""
    layer = person.open(image, project_crs)
    person.connected()
    target, _ = new_target(person)
    kept = []
    for index, (x, y) in enumerate(places):
        point = person.to_canvas(x, y, layer.crs())
        person.look_at(point)
        process = person.control.server.process
        if index % 2:
            person.click(point)
            os.kill(process.processId(), signal.SIGKILL)
            person.click(person.to_canvas(x + 15, y + 15, layer.crs()), False, wait=False)
        else:
            os.kill(process.processId(), signal.SIGKILL)
            person.click(point, wait=False)
        person.control.quick_deaths = 0
        person.answered()
        assert len(person.control.outline.clicks) == 1 + index % 2, person.said
        person.key(Qt.Key.Key_Return)
        person.answered()
        kept.append(target.featureCount())
    return {"kept": kept, "said": person.said}


def bad(person, image, project_crs, place):
    """What goes wrong is said once, and nothing is lost."""
    found = {}

    def said(name, act):
        before = len(person.said)
        act()
        person.rest(0.3)
        person.wait(lambda: not person.control.busy, 60)
        found[name] = person.said[before:]

    layer = person.open(image, project_crs)
    person.connected()
    control = person.control
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    far = QgsPointXY(point.x() + 1e5, point.y())

    def click_far():
        control.click(far, True)
        person.answered()

    said("outside", click_far)
    person.click(point)
    outline = control.shown
    nowhere = QgsVectorLayer("None?field=class:string", "table", "memory")
    lines = QgsVectorLayer("LineString?crs=EPSG:3857", "lines", "memory")
    locked = QgsVectorLayer("MultiPolygon?crs=EPSG:3857", "locked", "memory")
    locked.setReadOnly(True)
    for bad_layer in (nowhere, lines, locked):
        person.project.addMapLayer(bad_layer)
        control.target_layer_id = bad_layer.id()
        said(bad_layer.name(), control.accept)
        assert control.shown is outline
    other = QgsVectorLayer("Polygon?crs=EPSG:4326&field=label:string&field=class:string", "other", "memory")
    person.project.addMapLayer(other)
    control.target_layer_id = other.id()
    said("layer removed", lambda: person.project.removeMapLayer(layer.id()))
    person.key(Qt.Key.Key_Return)
    person.answered()
    found["kept after the layer was removed"] = other.featureCount()
    said("no layer", lambda: control.click(point, True))
    said("nothing to keep", control.accept)
    dock = person.plugin.dock
    base, token = control.client.base, control.client.token
    QgsSettings().setValue("terraclick/address", base)
    QgsSettings().setValue("terraclick/token", "wrong-token-wrong")

    def reconnect():
        control.client = None
        control.connect_server()
        person.wait(lambda: not control.connecting, 30)

    said("wrong token", reconnect)
    QgsSettings().setValue("terraclick/address", "http://127.0.0.1:9")
    said("nobody there", reconnect)
    dock.address.setText("nonsense")
    said("no address", dock._address_given)
    QgsSettings().setValue("terraclick/executable", "/does/not/exist")
    QgsSettings().setValue("terraclick/address", "")
    control.server.stop()
    said("not installed", reconnect)
    found["panel"] = dock.state.text()
    from terraclick_qgis import diagnostics

    text = diagnostics.report(control)
    found["report"] = json.loads(text)
    found["told"] = token in text
    return found


def elsewhere(person, image, places):
    """As if the server were on another machine: pixels are sent, requests go through QGIS."""
    import terraclick_qgis.network as network
    import terraclick_qgis.placing as placing

    placing.is_local = network.is_local = lambda base: False
    layer = person.open(image, "EPSG:3857")
    person.connected()
    assert person.control.client.transport is network.through_qgis
    target, _ = new_target(person)
    for x, y in places:
        point = person.to_canvas(x, y, layer.crs())
        person.look_at(point)
        person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
    point = person.to_canvas(*places[0], layer.crs())
    person.look_at(point)
    person.click(point)
    area = person.control.shown["area_px"]
    person.control.set_shape(2.0, True)
    person.answered()
    shape = person.control.shown["vertices"], area
    person.key(Qt.Key.Key_Escape)
    return {"objects": person.objects(target), "said": person.said, "vertices": shape[0]}


def examples(person, image, places, shots=""):
    """One example finds more; proposals are kept and refused; the least certain object is judged."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    target, _ = new_target(person)
    point = person.to_canvas(*places[0], layer.crs())
    person.look_at(point, 200)
    person.click(point)
    control.add_example(True)
    person.wait(lambda: control.with_examples.get("building"), 60, "no example was kept")
    person.key(Qt.Key.Key_Return)
    person.answered()
    person.key(Qt.Key.Key_F)
    person.answered()
    found = {"proposals": len(control.proposals)}
    if shots:
        person.shot(shots + "-find.png")
    before = target.featureCount()
    person.key(Qt.Key.Key_Y)
    found["kept"] = target.featureCount() - before
    person.key(Qt.Key.Key_N)
    found["left"] = len(control.proposals)
    person.key(Qt.Key.Key_Escape)
    assert not control.proposals and person.canvas.mapTool() is person.plugin.tool
    first = control.review_next()
    control.judge("approved")
    found["judged"] = target.getFeature(first)["status"]
    found["next"] = target.selectedFeatureIds() != [first]
    found["said"] = person.said
    return found


def ours(person, image, place, session):
    """A session of the server as the layer for polygons."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    target = QgsVectorLayer(f"{session}|layername=objects", "session", "ogr")
    person.project.addMapLayer(target)
    person.plugin.dock.target.setLayer(target)
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    person.key(Qt.Key.Key_Return)
    person.answered()
    return {"saved": target.commitChanges(), "errors": target.commitErrors(), "count": target.featureCount()}


def keys(person, image, place):
    """Esc and back, everything like it, own fields, saving after every object."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    control = person.control
    path = os.path.join(person.folder, "own.gpkg")
    person.plugin.dock.new_target(path)
    target = control.target_layer()
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point, 150)
    person.click(point)
    before = control.shown
    person.key(Qt.Key.Key_Escape)
    gone = control.shown is None and not control.working
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    person.answered()
    found = {"back": gone and control.shown == before and len(control.outline.clicks) == 1}
    QgsSettings().setValue("terraclick/save_each", True)
    person.key(Qt.Key.Key_2)
    person.key(Qt.Key.Key_Return)
    person.answered()
    found["saved"] = QgsVectorLayer(path, "again", "ogr").featureCount()
    found["class"] = next(target.getFeatures())["class"]
    from terraclick_qgis import results

    other = QgsVectorLayer("Polygon?crs=EPSG:4326&field=what:string(20)&field=sure:double", "other", "memory")
    person.project.addMapLayer(other)
    results.choose_mapping(other, {"class": "what", "score": "sure"})
    control.target_layer_id = other.id()
    person.key(Qt.Key.Key_Tab)
    person.click(point)
    person.key(Qt.Key.Key_Return)
    person.answered()
    found["parts"] = other.featureCount()
    found["told"] = [told(value) for value in next(other.getFeatures()).attributes()]
    found["valid"] = all(feature.geometry().isGeosValid() for feature in other.getFeatures())
    person.key(Qt.Key.Key_Escape)
    found["left"] = person.canvas.mapTool() is not person.plugin.tool
    found["said"] = person.said
    return found


def large(person, image):
    """A raster of terabytes."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    middle = layer.extent().center()
    person.control.click(person.to_canvas(middle.x(), middle.y(), layer.crs()), True)
    person.answered()
    return {"said": person.said, "shown": person.control.shown is not None}


def placed(person, images):
    """Rasters that are turned, or lie nowhere: the outline lies where the click was."""
    found = []
    for image, crs, at in images:
        layer = person.open(image, crs or "EPSG:3857", os.path.basename(image))
        person.connected()
        target, _ = new_target(person, f"{len(found)}.gpkg")
        if not crs:
            person.project.setCrs(QgsCoordinateReferenceSystem())
            person.canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
        box = layer.extent()
        place = QgsPointXY(box.xMinimum() + at[0] * box.width(), box.yMinimum() + at[1] * box.height())
        person.canvas.setExtent(box)
        person.canvas.setRotation(30)
        person.rest(0.1)
        point = place
        if crs and layer.crs().isValid():
            point = person.to_canvas(place.x(), place.y(), layer.crs())
        person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
        feature = next(target.getFeatures(), None)
        holds = feature is not None and feature.geometry().contains(QgsGeometry.fromPointXY(place))
        found.append([holds, target.featureCount()])
        person.canvas.setRotation(0)
        person.key(Qt.Key.Key_Escape)
        person.project.removeMapLayer(layer.id())
        person.rest(0.1)
        person.plugin.action.setChecked(False)
    return {"found": found, "said": person.said}


def processing(person, image, places, session):
    """Each algorithm of the provider."""
    sys.path.append("/usr/share/qgis/python/plugins")
    import processing as tools  # what QGIS calls it
    from processing.core.Processing import Processing

    Processing.initialize()
    layer = QgsRasterLayer(image, "image")
    points = QgsVectorLayer(
        f"Point?crs={layer.crs().authid()}&field=thing:integer&field=sign:integer", "points", "memory"
    )
    features = []
    for thing, (x, y) in enumerate(places):
        feature = QgsFeature(points.fields())
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(x, y)))
        feature.setAttributes([thing, 1])
        features.append(feature)
    points.dataProvider().addFeatures(features)
    words = {"IMAGE": layer, "INPUT": points, "OBJECT": "thing", "POSITIVE": "sign", "CLASS": "building"}
    made = tools.run("terraclick:segmentpoints", {**words, "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]
    found = {"objects": person.objects(made)}
    played = tools.run(
        "terraclick:replay",
        {"SESSION": session, "MODEL": "terra", "OUTPUT": os.path.join(person.folder, "figures.json")},
    )
    found["replay"] = [played["OBJECTS"], played["MEAN_IOU"]]
    out = os.path.join(person.folder, "export")
    tools.run("terraclick:export", {"SESSION": session, "FORMATS": ["gpkg", "geojson"], "OUTPUT": out})
    found["export"] = sorted(os.listdir(out))
    box = f"{places[0][0] - 30},{places[0][0] + 30},{places[0][1] - 30},{places[0][1] + 30} [{layer.crs().authid()}]"
    mapped = {"IMAGE": layer, "MODEL": "greenness", "EXTENT": box, "OUTPUT": os.path.join(person.folder, "map.tif")}
    classes = QgsRasterLayer(tools.run("terraclick:classmap", mapped)["OUTPUT"], "classes")
    found["classes"] = [classes.width(), classes.height()]
    try:
        tools.run("terraclick:classmap", {"IMAGE": layer, "MODEL": "nothing", "OUTPUT": "TEMPORARY_OUTPUT"})
        found["refused"] = ""
    except Exception as error:
        found["refused"] = str(error)
    found["algorithms"] = sorted(item.id() for item in person.plugin.provider.algorithms())
    return found


def installing(person):
    """The installer without a network and with an empty folder of wheels."""
    from terraclick_qgis.server import Installer

    wheels = os.path.join(person.folder, "wheels")
    os.makedirs(wheels)
    installer = Installer()
    lines, ended = [], []
    installer.progress.connect(lines.append)
    installer.finished.connect(ended.append)
    installer.start(os.path.join(person.folder, "nowhere"))
    installer.start(wheels)
    end = time.monotonic() + 120
    while len(ended) < 2 and time.monotonic() < end:
        person.rest(0.05)
    return {"ended": ended, "lines": len(lines)}


def memory(person, image, places):
    """Megabytes that the idle plug-in adds, and milliseconds from click to painted outline."""
    found = {"bare": person.bare, "installed": person.idle}
    layer = person.open(image, "EPSG:3857")
    person.connected()
    new_target(person)
    found["open"] = megabytes()
    person.control.times = []
    for x, y in places:
        point = person.to_canvas(x, y, layer.crs())
        person.look_at(point)
        person.hover(point)
        person.wait(lambda: person.control.preview is not None, 60, "no preview")
        person.control.preview = None  # the outline of a click that was not previewed, on a view that is ready
        person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
    found["times"] = person.control.times
    found["worked"] = megabytes()
    return found
