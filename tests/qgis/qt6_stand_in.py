"""Modules named as those of QGIS on Qt 6, for a Python that has PyQt6 and no QGIS: as thin as the plug-in lets them be.

`qgis.PyQt` is PyQt6 itself. Of `qgis.core`, `qgis.gui` and `qgis.analysis` there is what holds widgets, signals,
settings and tasks together; every other class is a name whose attributes are names again. Nothing here stands for
rasters, geometry or layers: those are played in a real QGIS.
"""

import importlib
import sys
import types

from PyQt6.QtCore import QObject, QPoint, QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCursor
from PyQt6.QtWidgets import QApplication, QComboBox, QGraphicsRectItem, QGraphicsScene, QGraphicsView, QMainWindow


class Names(type):
    """A class whose attributes are classes of the same kind, so that scoped enums can be written."""

    def __new__(cls, name, bases=(), parts=()):
        return super().__new__(cls, name, bases, {"__init__": lambda self, *words: None, **dict(parts)})

    def __init__(cls, *words):
        super().__init__(cls)

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(cls, name, Names(name))
        return cls.__dict__[name]


class Flag:
    """Of a task."""

    CanCancel = 2


class QgsTask:
    """A task: run() and then finished()."""

    Flag = Flag

    def __init__(self, title, flags):
        assert flags == Flag.CanCancel
        self.title = title


class QgsTaskManager(QObject):
    """Runs tasks after the event at hand."""

    def addTask(self, task):
        QTimer.singleShot(0, lambda: task.finished(task.run()))


class QgsSettings(QSettings):
    """Settings of one run."""

    def __init__(self):
        super().__init__(sys.argv[1] + "/settings.ini", QSettings.Format.IniFormat)


class Manager:
    """No authentication manager and no proxy."""

    def isDisabled(self):
        return True

    def trustedCaCertsPemText(self):
        return b""


class Registry:
    """Of Processing."""

    def __init__(self):
        self.providers = []

    def addProvider(self, provider):
        self.providers.append(provider)

    def removeProvider(self, provider):
        self.providers.remove(provider)


class QgsApplication(QApplication):
    """The application of QGIS."""

    registry = Registry()

    def locale(self):
        return "de"

    @staticmethod
    def qgisSettingsDirPath():
        return sys.argv[1]

    @staticmethod
    def authManager():
        return Manager()

    @staticmethod
    def processingRegistry():
        return QgsApplication.registry


class Crs:
    """A coordinate system that is unknown."""

    def isValid(self):
        return False

    def authid(self):
        return ""


class QgsProject(QObject):
    """A project without layers."""

    layersWillBeRemoved = pyqtSignal(list)
    only = None

    @classmethod
    def instance(cls):
        cls.only = cls.only or cls()
        return cls.only

    def mapLayer(self, name):
        return None

    def mapLayers(self):
        return {}

    def homePath(self):
        return ""

    def crs(self):
        return Crs()


class QgsMapLayerComboBox(QComboBox):
    """A box of layers; there are none."""

    layerChanged = pyqtSignal(object)

    def setFilters(self, filters):
        assert filters.__name__ in ("RasterLayer", "PolygonLayer")

    def setAllowEmptyLayer(self, allowed):
        pass

    def currentLayer(self):
        return None

    def setLayer(self, layer):
        pass


class QgsMapCanvas(QGraphicsView):
    """A canvas with a tool in the hand."""

    def __init__(self):
        super().__init__(QGraphicsScene())
        self.tool = None

    def setMapTool(self, tool):
        self.tool = tool
        tool.activate()

    def unsetMapTool(self, tool):
        if self.tool is tool and tool is not None:
            self.tool = None
            tool.deactivate()

    def mapTool(self):
        return self.tool

    def mapSettings(self):
        return types.SimpleNamespace(destinationCrs=Crs)


class QgsMapTool(QObject):
    """What a tool has of its base."""

    def __init__(self, canvas):
        super().__init__(canvas)
        self.held = canvas

    def canvas(self):
        return self.held

    def setCursor(self, shape):
        QCursor(shape)

    def setAction(self, action):
        self.action = action

    def activate(self):
        self.action.setChecked(True)

    def deactivate(self):
        self.action.setChecked(False)


class Item(QGraphicsRectItem):
    """Something drawn on the canvas; what it is told must be of Qt 6."""

    IconType = Names("IconType")

    def __init__(self, canvas, *words):
        super().__init__()
        canvas.scene().addItem(self)

    def setStrokeColor(self, colour):
        self.setPen(colour)

    def setFillColor(self, colour):
        self.setBrush(colour)

    setColor = setStrokeColor

    def setLineStyle(self, style):
        assert isinstance(style, Qt.PenStyle)

    def setWidth(self, width):
        assert isinstance(width, int)

    setIconSize = setPenWidth = setWidth

    def reset(self, *words):
        pass

    setToGeometry = setCenter = setIconType = reset


class QgsPointXY(QPoint):
    """A place of the canvas."""


class Iface:
    """The parts of QGIS's window that the plug-in uses."""

    def __init__(self):
        self.window, self.canvas = QMainWindow(), QgsMapCanvas()
        self.window.setCentralWidget(self.canvas)
        self.bar = self.window.addToolBar("plug-ins")
        self.said = []

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return types.SimpleNamespace(pushMessage=lambda *words: self.said.append(words[1]))

    def addToolBarIcon(self, action):
        self.bar.addAction(action)

    def removeToolBarIcon(self, action):
        self.bar.removeAction(action)

    def addPluginToRasterMenu(self, name, action):
        self.window.menuBar().addMenu(name).addAction(action)

    def removePluginRasterMenu(self, name, action):
        self.window.menuBar().clear()

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)


def put_in_place():
    """Make `import qgis…` find all this."""
    sys.modules["qgis"] = types.ModuleType("qgis")
    sys.modules["qgis.PyQt"] = types.ModuleType("qgis.PyQt")
    for name in ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtXml", "QtTest"):
        sys.modules[f"qgis.PyQt.{name}"] = importlib.import_module(f"PyQt6.{name}")
    own = {name: value for name, value in globals().items() if name.startswith("Qgs")}
    own["Qgis"] = Names("Qgis", (), {"QGIS_VERSION_INT": 40000, "QGIS_VERSION": "4.0"})
    own |= {"QgsRubberBand": Item, "QgsVertexMarker": Item}
    for name in ("core", "gui", "analysis"):
        module = types.ModuleType(f"qgis.{name}")
        module.__getattr__ = lambda wanted: own.setdefault(wanted, Names(wanted))
        sys.modules[f"qgis.{name}"] = module
