# SPDX-License-Identifier: GPL-2.0-or-later
"""The plug-in: a button, the panel, the map tool, the Processing provider."""

import os

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon

from . import i18n
from .compat import QAction, level
from .i18n import tr

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")


class TerraClickPlugin:
    """What QGIS loads."""

    def __init__(self, iface):
        self.iface = iface
        self.provider = None
        self.controller = None
        self.dock = None
        self.tool = None
        self.action = None

    def initProcessing(self):
        """Only the algorithms, as qgis_process wants it."""
        from .processing_provider import TerraClickProvider

        self.provider = TerraClickProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        """Put everything in place."""
        i18n.load_for_qgis()
        self.initProcessing()
        self.action = QAction(QIcon(ICON), "TerraClick", self.iface.mainWindow())
        self.action.setCheckable(True)
        self.action.triggered.connect(self.toggle)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("TerraClick", self.action)

    def open(self):
        """Make the panel and the tool when they are first wanted: an idle plug-in costs nothing."""
        if self.dock is not None:
            return
        from .controller import Controller
        from .dock import Dock
        from .tool import ClickTool

        canvas = self.iface.mapCanvas()
        self.controller = Controller(canvas)
        self.controller.said.connect(self.say)
        self.tool = ClickTool(canvas, self.controller)
        self.tool.setAction(self.action)
        self.dock = Dock(self.controller, self.take, self.iface.mainWindow())
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)

    def take(self):
        """Take the tool into the hand."""
        self.open()
        self.dock.show()
        self.iface.mapCanvas().setMapTool(self.tool)

    def toggle(self, on):
        """The button was pressed."""
        if on:
            self.take()
        elif self.tool is not None:
            self.iface.mapCanvas().unsetMapTool(self.tool)

    def say(self, sentence, kind):
        """One message in the message bar."""
        self.iface.messageBar().pushMessage("TerraClick", sentence, level(kind), 8)

    def unload(self):
        """Take everything away."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
        if self.tool is not None:
            self.iface.mapCanvas().unsetMapTool(self.tool)
        if self.controller is not None:
            self.controller.close()
        if self.dock is not None:
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
        if self.action is not None:
            self.iface.removePluginRasterMenu("TerraClick", self.action)
            self.iface.removeToolBarIcon(self.action)
        self.provider = self.controller = self.dock = self.tool = self.action = None


__all__ = ["TerraClickPlugin", "tr"]
