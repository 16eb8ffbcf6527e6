"""A real QGIS without a screen, the packed plug-in in it, and a person's mouse and keys."""

import os
import subprocess
import sys
import time
import zipfile

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["XDG_CONFIG_HOME"] = os.path.join(sys.argv[2], "settings")  # of this run alone

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
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


def desktop():
    """The interface of the QGIS desktop program that runs this, or None."""
    import qgis.utils

    return qgis.utils.iface


class Person:
    """Somebody at a QGIS with the plug-in installed from its zip: the desktop program where it runs, else its parts."""

    def __init__(self, folder, program, archive):
        self.folder = folder
        self.said = []
        real = desktop()
        if real is None:
            QCoreApplication.setOrganizationName("TerraClickTest")
            QgsApplication.setMaxThreads(2)
            self.app = QgsApplication([], True, os.path.join(folder, "profile"))
            self.app.initQgis()
        self.iface = real or Iface()
        self.iface.messageBar().widgetAdded.connect(
            lambda item: self.said.append(" ".join(part.toPlainText() for part in item.findChildren(QTextEdit)))
        )
        self.bare = megabytes()
        QgsSettings().setValue("terraclick/executable", program)
        QgsSettings().setValue("terraclick/address", "")
        (self._install_in_desktop if real else self._install)(archive)
        import qgis.utils

        self.plugin = qgis.utils.plugins["terraclick_qgis"]
        self.idle = megabytes()
        self.canvas = self.iface.mapCanvas()
        self.project = QgsProject.instance()

    def _install(self, archive):
        plugins = os.path.join(self.folder, "profile", "python", "plugins")
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
        assert qgis.utils.startPlugin("terraclick_qgis")

    def _install_in_desktop(self, archive):
        """As "Install from ZIP" of the plug-in manager does it."""
        import pyplugin_installer

        pyplugin_installer.instance().installFromZipFile(archive)
        import qgis.utils

        self.wait(lambda: "terraclick_qgis" in qgis.utils.plugins, 30, "the plug-in was not started")
        self.said.clear()

    def wait(self, condition, seconds=60, what=""):
        """Let QGIS live until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            QCoreApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > end:
                acts = self.control.acts if getattr(self, "control", None) else None
                raise TimeoutError(f"{what}; said: {self.said[-3:]}; acts: {acts}")

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
        self.rest(0.1)  # the desktop takes the first layer's coordinate system
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
        window = self.iface.mainWindow()
        window.showNormal()
        window.resize(1360, 960)
        self.iface.messageBar().clearWidgets()
        self.canvas.refresh()
        self.rest(0.5)
        self.wait(lambda: not self.canvas.isDrawing(), 30)
        self.rest(0.2)
        self.iface.mainWindow().grab().save(path)

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
