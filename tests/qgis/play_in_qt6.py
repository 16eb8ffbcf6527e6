"""Run the plug-in's modules and widgets under PyQt6: play_in_qt6.py FOLDER PLUGINS PROGRAM; prints one line of JSON.

Every module is imported, the panel and the tool are made, every button, box and key is used without a layer, and the
server is started and asked through Qt 6's processes.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))

import qt6_stand_in
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QLineEdit, QPushButton, QSlider, QSpinBox

KEYS = ["Return", "Enter", "Escape", "Tab", "Backspace", "R", "F", "Y", "N", *"123456789"]


class Mouse:
    """What QGIS hands a tool of a button of the mouse."""

    def __init__(self, button, modifiers=Qt.KeyboardModifier.NoModifier):
        self.told = button, modifiers

    def mapPoint(self):
        return qt6_stand_in.QgsPointXY(3, 4)

    def button(self):
        return self.told[0]

    def modifiers(self):
        return self.told[1]


def use_widgets(dock):
    """Press, toggle and move everything on the panel; gives how much there was."""
    used = 0
    for box in dock.findChildren(QCheckBox):
        box.toggle()
        box.toggle()
        used += 1
    for kind in (QSlider, QSpinBox):
        for item in dock.findChildren(kind):
            item.setValue(item.maximum())
            item.setValue(item.minimum())
            used += 1
    for box in dock.findChildren(QComboBox):
        for index in range(box.count()):
            box.setCurrentIndex(index)
            box.activated.emit(index)
        used += 1
    for line in dock.findChildren(QLineEdit):
        line.editingFinished.emit()
        used += 1
    for button in dock.findChildren(QPushButton):
        if button is not dock.install:
            button.click()
            used += 1
    return used


def use_tool(tool, control):
    """Every key before the menus take it, both buttons of the mouse, the mouse at rest."""
    taken = []
    for name in KEYS:
        key = getattr(Qt.Key, f"Key_{name}")
        for kind in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            event = QKeyEvent(kind, key.value, Qt.KeyboardModifier.NoModifier)
            taken.append(tool.eventFilter(None, event) and event.isAccepted())
    for key in (Qt.Key.Key_Z, Qt.Key.Key_Y):
        event = QKeyEvent(QEvent.Type.KeyPress, key.value, Qt.KeyboardModifier.ControlModifier)
        taken.append(tool.eventFilter(None, event))
    other = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_P.value, Qt.KeyboardModifier.NoModifier)
    assert not tool.eventFilter(None, other)
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
        tool.canvasReleaseEvent(Mouse(button))
        tool.canvasReleaseEvent(Mouse(button, Qt.KeyboardModifier.AltModifier))
    tool.canvasMoveEvent(Mouse(Qt.MouseButton.NoButton))
    QTest.qWait(200)
    control.paint.show_clicks([(None, True), (None, False)])
    control.paint.show_hint(object())
    control.paint.show_proposals([object(), object()], 1)
    control.paint.clear()
    return taken


def main():
    """Use everything, tell what was found."""
    plugins, program = sys.argv[2:4]
    qt6_stand_in.put_in_place()
    sys.path.insert(0, plugins)
    application = qt6_stand_in.QgsApplication(sys.argv)
    names = sorted(path.stem for path in Path(plugins, "terraclick_qgis").glob("*.py") if path.stem != "__init__")
    for name in names:
        importlib.import_module(f"terraclick_qgis.{name}")
    import terraclick_qgis
    from terraclick_qgis import dock as panel
    from terraclick_qgis import results, settings

    iface = qt6_stand_in.Iface()
    QFileDialog.getSaveFileName = staticmethod(lambda *words: ("", ""))
    settings.put("executable", program)
    plugin = terraclick_qgis.classFactory(iface)
    plugin.initGui()
    plugin.action.trigger()
    end = time.monotonic() + 90
    while plugin.controller.client is None and time.monotonic() < end:
        QTest.qWait(20)
    state = plugin.controller.server_state
    found = {"modules": names, "server": bool(state) and state["model"]["name"], "told": plugin.dock.state.text()}
    found["keys"] = use_tool(plugin.tool, plugin.controller)
    iface.mapCanvas().setMapTool(plugin.tool)
    found["widgets"] = use_widgets(plugin.dock)
    fields = [type("Field", (), {"name": lambda self, told=told: told})() for told in results.FIELDS]
    layer = type("Layer", (), {"name": lambda self: "x", "fields": lambda self: fields})()
    layer.customProperty, layer.setCustomProperty = (lambda *words: "{}"), (lambda *words: None)
    dialog = panel.MappingDialog(layer)
    dialog.show()
    dialog.accept()
    QTest.qWait(300)
    found["clipboard"] = application.clipboard().text()[:1]
    found["said"] = sorted(set(iface.said))
    plugin.unload()
    QTest.qWait(200)
    found["left"] = len(qt6_stand_in.QgsApplication.registry.providers)
    print("\n" + json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
