# SPDX-License-Identifier: GPL-2.0-or-later
"""The map tool: mouse and keys to acts of the controller, markers and outlines as rubber bands."""

from qgis.core import QgsGeometry, QgsPointXY, QgsWkbTypes
from qgis.gui import QgsMapTool, QgsRubberBand, QgsVertexMarker
from qgis.PyQt.QtCore import QEvent, Qt, QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLineEdit

REST_MS = 120
"""So long the mouse rests before a preview is asked for."""
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Paint:
    """What is drawn on the canvas for the outline in the making."""

    def __init__(self, canvas):
        self.canvas = canvas
        self.outline = self._band(QColor(255, 200, 0), 2, Qt.PenStyle.SolidLine, 60)
        self.preview = self._band(QColor(255, 255, 255), 2, Qt.PenStyle.DashLine, 20)
        self.proposals = []
        self.markers = []
        self.hint = None

    def _band(self, colour, width, style, alpha):
        band = QgsRubberBand(self.canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        band.setStrokeColor(colour)
        fill = QColor(colour)
        fill.setAlpha(alpha)
        band.setFillColor(fill)
        band.setWidth(width)
        band.setLineStyle(style)
        return band

    def show(self, band, geometry):
        """Draw a geometry in the canvas's system, or nothing."""
        band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if geometry is not None and not geometry.isEmpty():
            band.setToGeometry(geometry, None)

    def show_clicks(self, clicks):
        """Markers of (point in the canvas's system, positive)."""
        for marker in self.markers:
            self.canvas.scene().removeItem(marker)
        self.markers = []
        for point, positive in clicks:
            marker = QgsVertexMarker(self.canvas)
            marker.setCenter(point)
            marker.setIconType(QgsVertexMarker.IconType.ICON_CROSS if positive else QgsVertexMarker.IconType.ICON_X)
            marker.setColor(QColor(0, 160, 0) if positive else QColor(220, 0, 0))
            marker.setIconSize(14)
            marker.setPenWidth(3)
            self.markers.append(marker)

    def show_hint(self, point):
        """The place where a further click would tell most, or none."""
        if self.hint is not None:
            self.canvas.scene().removeItem(self.hint)
            self.hint = None
        if point is not None:
            self.hint = QgsVertexMarker(self.canvas)
            self.hint.setCenter(point)
            self.hint.setIconType(QgsVertexMarker.IconType.ICON_CIRCLE)
            self.hint.setColor(QColor(0, 120, 255))
            self.hint.setIconSize(16)
            self.hint.setPenWidth(2)

    def show_proposals(self, geometries, current):
        """Outlines of proposals; the one asked about is drawn stronger."""
        for band in self.proposals:
            self.canvas.scene().removeItem(band)
        self.proposals = []
        for index, geometry in enumerate(geometries):
            here = index == current
            band = self._band(QColor(0, 200, 255), 4 if here else 1, Qt.PenStyle.SolidLine, 70 if here else 20)
            band.setToGeometry(QgsGeometry(geometry), None)
            self.proposals.append(band)

    def clear(self):
        """Take everything away."""
        self.show(self.outline, None)
        self.show(self.preview, None)
        self.show_clicks([])
        self.show_hint(None)
        self.show_proposals([], -1)

    def remove(self):
        """Take the bands themselves away."""
        self.clear()
        for band in (self.outline, self.preview):
            self.canvas.scene().removeItem(band)


class ClickTool(QgsMapTool):
    """Left includes, right excludes; keys as in the browser map."""

    def __init__(self, canvas, controller):
        super().__init__(canvas)
        self.controller = controller
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.rest = QTimer(self)
        self.rest.setSingleShot(True)
        self.rest.timeout.connect(self._rested)
        self.at = None

    def activate(self):
        super().activate()
        self.canvas().installEventFilter(self)
        self.canvas().setFocus()
        self.controller.begin()

    def deactivate(self):
        self.rest.stop()
        self.canvas().removeEventFilter(self)
        self.controller.pause()
        super().deactivate()

    def canvasReleaseEvent(self, event):
        point = QgsPointXY(event.mapPoint())
        self.rest.stop()
        if event.button() == Qt.MouseButton.LeftButton:
            excludes = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
            self.controller.click(point, not excludes)
        elif event.button() == Qt.MouseButton.RightButton:
            self.controller.click(point, False)

    def canvasMoveEvent(self, event):
        if not isinstance(QApplication.focusWidget(), (QAbstractSpinBox, QComboBox, QLineEdit)):
            self.canvas().setFocus()  # keys go where the mouse is, also after a button of the panel was pressed
        self.at = QgsPointXY(event.mapPoint())
        self.controller.moved()
        self.rest.start(REST_MS)

    def _rested(self):
        if self.at is not None:
            self.controller.hover(self.at)

    def eventFilter(self, watched, event):
        """Keys before the menus and the focus chain take them."""
        kind = event.type()
        if kind in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            act = self._act_of(event)
            if act is not None:
                event.accept()
                if kind == QEvent.Type.KeyPress:
                    act()
                return True
        return False

    def _act_of(self, event):
        key, modifiers = event.key(), event.modifiers()
        control = self.controller
        if modifiers & CONTROL:
            if key == Qt.Key.Key_Z:
                return control.redo if modifiers & SHIFT else control.undo
            return control.redo if key == Qt.Key.Key_Y else None
        if Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            number = int(key) - int(Qt.Key.Key_1)
            return lambda: control.choose_class(number)
        return {
            Qt.Key.Key_Return: control.accept,
            Qt.Key.Key_Enter: control.accept,
            Qt.Key.Key_Escape: control.escape,
            Qt.Key.Key_Tab: control.switch_target,
            Qt.Key.Key_Backspace: control.undo,
            Qt.Key.Key_R: control.reopen_selected,
            Qt.Key.Key_F: control.find_rest,
            Qt.Key.Key_Y: lambda: control.answer(True),
            Qt.Key.Key_N: lambda: control.answer(False),
        }.get(key)
