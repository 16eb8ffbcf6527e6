"""A real QGIS without a screen, the packed plug-in in it, and a person's mouse and keys.

Run by test_in_qgis.py with the Python of QGIS: driver.py SCENARIO FOLDER PROGRAM ZIP WORDS. Prints one line of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from urllib.parse import quote

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["XDG_CONFIG_HOME"] = os.path.join(sys.argv[2], "settings")  # of this run alone

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QCoreApplication, QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMainWindow, QTextEdit, QToolBar, QVBoxLayout, QWidget

MOUSE = os.environ.get("REAL_MOUSE")
"""The program xdotool, where the X server's own mouse is used; else events are made within Qt."""


class Iface:
    """The part of QGIS's interface that a plug-in uses."""

    def __init__(self):
        self.window = QMainWindow()
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        self.bar = QgsMessageBar()
        self.canvas = QgsMapCanvas()
        column.addWidget(self.bar)
        column.addWidget(self.canvas, 1)
        self.window.setCentralWidget(inside)
        self.tools = QToolBar()
        self.window.addToolBar(self.tools)
        self.window.resize(1200, 860)
        self.window.show()
        self.said = []
        self.bar.widgetAdded.connect(
            lambda item: self.said.append(" ".join(part.toPlainText() for part in item.findChildren(QTextEdit)))
        )

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def addToolBarIcon(self, action):
        self.tools.addAction(action)

    def removeToolBarIcon(self, action):
        self.tools.removeAction(action)

    def addPluginToRasterMenu(self, name, action):
        pass

    def removePluginRasterMenu(self, name, action):
        pass

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)


class Person:
    """Somebody at a QGIS with the plug-in installed from its zip."""

    def __init__(self, folder, program, archive):
        self.folder = folder
        QCoreApplication.setOrganizationName("TerraClickTest")
        QgsApplication.setMaxThreads(2)
        self.app = QgsApplication([], True, os.path.join(folder, "profile"))
        self.app.initQgis()
        self.iface = Iface()
        self.bare = megabytes()
        plugins = os.path.join(folder, "profile", "python", "plugins")
        os.makedirs(plugins, exist_ok=True)
        with zipfile.ZipFile(archive) as file:
            file.extractall(plugins)
        import qgis.utils

        sys.path.insert(0, plugins)
        qgis.utils.iface = self.iface
        qgis.utils.plugin_paths = [plugins]
        qgis.utils.updateAvailablePlugins()
        assert "terraclick_qgis" in qgis.utils.available_plugins
        assert qgis.utils.loadPlugin("terraclick_qgis")
        QgsSettings().setValue("terraclick/executable", program)
        QgsSettings().setValue("terraclick/address", "")
        assert qgis.utils.startPlugin("terraclick_qgis")
        self.plugin = qgis.utils.plugins["terraclick_qgis"]
        self.idle = megabytes()
        self.canvas = self.iface.canvas
        self.project = QgsProject.instance()

    def wait(self, condition, seconds=60, what=""):
        """Let QGIS live until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            QCoreApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > end:
                raise TimeoutError(f"{what}; said: {self.iface.said[-3:]}; acts: {self.control.acts}")

    def rest(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QCoreApplication.processEvents()
            time.sleep(0.005)

    def open(self, path, project_crs, name="image"):
        """Show a raster in a project of a coordinate system, and take the tool."""
        layer = QgsRasterLayer(path, name)
        assert layer.isValid(), path
        self.show(layer, project_crs)
        return layer

    def show(self, layer, project_crs):
        self.project.addMapLayer(layer)
        crs = QgsCoordinateReferenceSystem(project_crs)
        self.project.setCrs(crs)
        self.canvas.setDestinationCrs(crs)
        self.canvas.setLayers([layer])
        self.plugin.action.trigger()
        self.control = self.plugin.controller
        self.plugin.dock.image.setLayer(layer)
        self.rest(0.2)

    def connected(self):
        self.wait(lambda: self.control.client is not None, 90, "the server did not start")

    def look_at(self, point, metres=120):
        """Move the map so that a point of it is in the middle."""
        box = QgsRectangle(
            point.x() - metres / 2, point.y() - metres / 2, point.x() + metres / 2, point.y() + metres / 2
        )
        self.canvas.setExtent(box)
        self.rest(0.05)

    def to_canvas(self, x, y, crs):
        target = self.canvas.mapSettings().destinationCrs()
        return QgsCoordinateTransform(crs, target, self.project).transform(QgsPointXY(x, y))

    def on_screen(self, point):
        place = self.canvas.getCoordinateTransform().transform(point)
        return QPoint(round(place.x()), round(place.y()))

    def hover(self, point):
        at = self.on_screen(point)
        if MOUSE:
            self.real_mouse(at + QPoint(3, 3))
            self.real_mouse(at)
            return
        QTest.mouseMove(self.canvas.viewport(), at + QPoint(3, 3))
        QTest.mouseMove(self.canvas.viewport(), at)

    def real_mouse(self, at, *words):
        """The pointer of the X server itself."""
        place = self.canvas.viewport().mapToGlobal(at)
        subprocess.run([MOUSE, "mousemove", str(place.x()), str(place.y()), *words], check=True)
        self.rest(0.15)

    def click(self, point, positive=True, wait=True):
        button = Qt.MouseButton.LeftButton if positive else Qt.MouseButton.RightButton
        at = self.on_screen(point)
        if MOUSE:
            self.real_mouse(at, "click", "1" if positive else "3")
        else:
            QTest.mouseClick(self.canvas.viewport(), button, Qt.KeyboardModifier.NoModifier, at)
        if wait:
            self.answered()

    def answered(self):
        self.wait(lambda: not self.control.acts and not self.control.busy, 120, "no answer came")

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.canvas, key, modifier)
        self.rest(0.05)

    def shot(self, path):
        self.wait(lambda: not self.canvas.isDrawing(), 30)
        self.canvas.refresh()
        self.rest(0.3)
        self.wait(lambda: not self.canvas.isDrawing(), 30)
        self.rest(0.2)
        self.iface.window.grab().save(path)

    def objects(self, layer):
        return [
            {
                "wkt": feature.geometry().asWkt(4),
                **{field.name(): told(feature[field.name()]) for field in layer.fields()},
            }
            for feature in layer.getFeatures()
        ]


def megabytes():
    """Memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def told(value):
    return value if isinstance(value, (int, float, str)) else None


def new_target(person, name="out.gpkg"):
    path = os.path.join(person.folder, name)
    person.plugin.dock.new_target(path)
    return person.project.mapLayer(person.control.target_layer_id), path


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
        assert target.featureCount() == index + 1, person.iface.said
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
    assert person.control.reopened is not None, person.iface.said
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
    found["said"] = person.iface.said
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
        assert len(person.control.outline.clicks) == 1 + index % 2, person.iface.said
        person.key(Qt.Key.Key_Return)
        person.answered()
        kept.append(target.featureCount())
    return {"kept": kept, "said": person.iface.said}


def bad(person, image, project_crs, place):
    """What goes wrong is said once, and nothing is lost."""
    found = {}

    def said(name, act):
        before = len(person.iface.said)
        act()
        person.rest(0.3)
        person.wait(lambda: not person.control.busy, 60)
        found[name] = person.iface.said[before:]

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
    from terraclick_qgis import diagnostics

    text = diagnostics.report(control)
    found["report"] = json.loads(text)
    found["told"] = token in text
    return found


def online(person, place, address):
    """An online layer gives the same answer at three zooms."""
    layer = QgsRasterLayer(f"type=xyz&url={quote(address, safe='{}')}&zmax=22&zmin=0", "online", "wms")
    assert layer.isValid()
    person.show(layer, "EPSG:3857")
    person.connected()
    target, _ = new_target(person)
    point = QgsPointXY(*place)
    for metres in (60, 150, 500):
        person.look_at(point, metres)
        person.control.click(point, True)
        person.answered()
        person.key(Qt.Key.Key_Return)
        person.answered()
    return {"objects": person.objects(target), "said": person.iface.said, "windows": len(person.control.sources)}


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
    return {"objects": person.objects(target), "said": person.iface.said, "vertices": shape[0]}


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
    found["said"] = person.iface.said
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
    found["said"] = person.iface.said
    return found


def large(person, image):
    """A raster of terabytes."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    middle = layer.extent().center()
    person.control.click(person.to_canvas(middle.x(), middle.y(), layer.crs()), True)
    person.answered()
    return {"said": person.iface.said, "shown": person.control.shown is not None}


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
    return {"found": found, "said": person.iface.said}


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
    words = {"IMAGE": layer, "INPUT": points, "OBJECT": "thing", "POSITIVE": "sign", "CLASS": "building", "SIMPLIFY": 0}
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


SCENARIOS = (keys, ours, large, story, killed, bad, online, elsewhere, examples, placed, processing, installing, memory)


def main():
    scenario, folder, program, archive = sys.argv[1:5]
    person = Person(folder, program, archive)
    try:
        play = next(item for item in SCENARIOS if item.__name__ == scenario)
        found = play(person, *json.loads(sys.argv[5]))
        person.plugin.unload()
        person.rest(0.2)
    except BaseException as error:
        import traceback

        traceback.print_exc()
        found = {"failure": repr(error), "said": person.iface.said}
        if getattr(person, "control", None):
            found["server"] = person.control.server.lines[-5:]
            person.control.server.stop()
    print("\n" + json.dumps(found))
    sys.stdout.flush()
    os._exit(1 if "failure" in found else 0)


if __name__ == "__main__":
    main()
