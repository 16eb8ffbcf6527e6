"""How long a person waits in QGIS, and what the plug-in weighs."""

import time

from person import megabytes, new_target
from qgis.core import QgsPointXY
from qgis.PyQt.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtTest import QTest

FRAMES = 2
"""A click ends with so many paintings of the map after its answer is there, as dev/map_speed.py counts it."""


class Watch(QObject):
    """Milliseconds from the release of the button to the second painting of the map after the answer is shown."""

    painted = pyqtSignal()

    def __init__(self, canvas, control):
        super().__init__()
        self.viewport, self.control = canvas.viewport(), control
        self.waits, self.released, self.answered, self.frames = [], 0.0, False, 0
        self.viewport.installEventFilter(self)
        control.changed.connect(self._changed)

    def _changed(self):
        if self.released and not self.answered and not self.control.acts:
            self.answered, self.frames = True, 0
            self.viewport.update()

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.MouseButtonRelease:
            self.released, self.answered = time.perf_counter(), False
        elif event.type() == QEvent.Type.Paint and self.answered:
            QTimer.singleShot(0, self._frame)  # after this painting
        return False

    def _frame(self):
        if not self.answered:
            return
        self.frames += 1
        if self.frames < FRAMES:
            self.viewport.update()
            return
        self.waits.append(1000 * (time.perf_counter() - self.released))
        self.released, self.answered = 0.0, False
        self.painted.emit()


def speed(person, image, buildings):
    """Click what a robot clicked in the browser map: lists of (x, y, positive) in the image's own system."""
    found = {"bare": person.bare, "installed": person.idle}
    layer = person.open(image, layer_crs(image))
    person.connected()
    new_target(person)
    found["panel"] = megabytes()
    watch = Watch(person.canvas, person.control)
    for clicks in buildings:
        person.look_at(QgsPointXY(*clicks[0][:2]), 150)
        person.wait(lambda: not person.canvas.isDrawing(), 30, "the map is not drawn")
        person.hover(QgsPointXY(*clicks[0][:2]))
        person.rest(1.0)
        for x, y, positive in clicks:
            loop = QEventLoop()
            watch.painted.connect(loop.quit)
            QTimer.singleShot(60_000, loop.quit)
            at = person.on_screen(QgsPointXY(x, y))
            button = Qt.MouseButton.LeftButton if positive else Qt.MouseButton.RightButton
            QTest.mouseMove(person.canvas.viewport(), at)
            QTest.mouseClick(person.canvas.viewport(), button, Qt.KeyboardModifier.NoModifier, at)
            loop.exec()
        person.key(Qt.Key.Key_Return)
        person.answered()
    found["worked"] = megabytes()
    found["waits"] = watch.waits
    found["crs"] = layer.crs().authid()
    found["said"] = person.said
    return found


def layer_crs(path):
    """The system of a raster."""
    from qgis.core import QgsRasterLayer

    return QgsRasterLayer(path, "look").crs().authid()
