# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens between mouse, server and layer: acts in a line, one at a time, each kept until it is answered."""

import math
import time

from qgis.core import QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from . import results, settings, sources, topology
from .client import Failure, Unreachable
from .connection import RETRY_MS, Connection
from .examples import example_pictures
from .i18n import tr
from .jobs import Jobs
from .placing import Placing
from .previewing import Previewing
from .server import ServerProcess
from .tool import Paint
from .working import Working

SAME_PLACE_PX = 1.0
"""A click this near to the place of the preview is the click that was previewed."""
DEFAULT_CLASSES = ("building", "road", "water", "tree", "field", "car")


class Controller(QObject, Connection, Placing, Working, Previewing):
    """Acts on the outline in the making. Signals: said(sentence, level), changed()."""

    said = pyqtSignal(str, str)
    changed = pyqtSignal()

    def __init__(self, canvas, parent=None):
        super().__init__(parent)
        self.canvas = canvas
        self.paint = Paint(canvas)
        self.jobs = Jobs(self)
        self.server = ServerProcess(self)
        self.server.ready.connect(self._server_ready)
        self.server.failed.connect(self._server_failed)
        self.server.stopped.connect(self._server_stopped)
        self.client = None
        self.server_state = None
        self.connecting = False
        self.trouble = ""
        """Why there is no server, as long as there is none."""
        self.started_at = 0.0
        self.quick_deaths = 0
        self.image_layer_id = ""
        self.target_layer_id = ""
        self.classes = list(DEFAULT_CLASSES)
        self.class_name = self.classes[0]
        self.target = "object"
        self.simplify_m = None
        self.square = False
        self.with_examples = {}
        self._forget()
        self.sources = {}
        self.making = {}
        self.drawn = set()
        self.discarded = None
        self.times = []
        """Milliseconds from each click to its painted outline."""
        self.retry = QTimer(self)
        self.retry.setSingleShot(True)
        self.retry.timeout.connect(self.resume)
        self.again = QTimer(self)
        self.again.setSingleShot(True)
        self.again.timeout.connect(self._hover_again)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_go)

    def _forget(self):
        self.acts = []
        self.busy = False
        self.stalled = False
        self.source = None
        self.outline = None
        self.shown = None
        self.preview = None
        self.reopened = None
        self.proposals = []
        self.asked = 0
        self.found_class = ""
        self.hover_at = None
        self.tries = 0
        self.generation = getattr(self, "generation", 0) + 1

    def close(self):
        """End everything; what was accepted is in the layers."""
        self.retry.stop()
        self.again.stop()
        self.jobs.close()
        QgsProject.instance().layersWillBeRemoved.disconnect(self._layers_go)
        self.paint.remove()
        self.server.stop()

    # -- acts

    def begin(self):
        """The tool was taken."""
        self.connect_server()

    def pause(self):
        """Another tool was taken; the outline stays."""
        self.again.stop()
        self.paint.show(self.paint.preview, None)

    def click(self, point, positive):
        """Include or exclude the place of the canvas."""
        try:
            if self.outline is not None and (self.outline.clicks or self.acts) and self.source is not None:
                crs = self.source.crs
            else:
                layer = self.image_layer()
                sources.check_layer(layer)
                crs = layer.crs()
            place = self._on_layer(point, crs)
        except Failure as error:
            self.said.emit(str(error), "Warning")
            return
        self.again.stop()
        self.discarded = None
        act = {"kind": "click", "point": place, "positive": positive, "asked": time.monotonic(), "preview": None}
        self._commit_preview(act)
        self._do(act)

    def _commit_preview(self, act):
        """Show at once what was previewed at the place of a click, and click exactly there."""
        if not act["positive"] or self.preview is None or self.acts or self.busy or self.source is None:
            return
        x, y, outline, count = self.preview
        at_x, at_y = self.source.pixel(act["point"])
        clicks = self.outline.clicks if self.outline is not None else []
        if abs(at_x - x) > SAME_PLACE_PX or abs(at_y - y) > SAME_PLACE_PX or count != len(clicks):
            return
        act["point"] = self.source.point(x, y)
        act["pixel"] = (x, y)
        act["preview"] = outline
        self.shown = outline
        self.times.append(1000 * (time.monotonic() - act["asked"]))
        self._draw([*clicks, (x, y, True)])

    def _do(self, act):
        self.acts.append(act)
        if self.stalled:
            self.resume()
        else:
            self._pump()
        self.changed.emit()

    def _pump(self):
        """Begin the first act that waits."""
        if self.busy or self.stalled or not self.acts:
            return
        if self.client is None:
            self.connect_server()
            return
        act = self.acts[0]
        try:
            work = getattr(self, f"_work_{act['kind']}")(act)
        except Failure as error:
            self._drop(act)
            self.said.emit(str(error), "Warning")
            self._draw()
            self._pump()
            return
        if work is not None:
            self._run(act, *work)

    def _drop(self, act):
        if act in self.acts:
            self.acts.remove(act)

    def _run(self, act, work, then):
        generation = self.generation
        self.busy = True

        def done(result, error):
            if generation != self.generation:
                return
            self.busy = False
            if isinstance(error, Unreachable):
                self._fail(error)
                self.stalled = True
                self.retry.start(RETRY_MS)
            else:
                self._drop(act)
                if error is not None:
                    self._fail(error)
                    self._draw()
                else:
                    then(result)
                self._pump()
            self.changed.emit()

        self.jobs.submit("clicks", work, done)

    # -- what people do

    def undo(self):
        """Take the last click back; without one, the last change of the layer."""
        if self.stalled and self.acts:
            self.acts.pop()
            self.changed.emit()
        elif self.acts or self.busy or (self.outline is not None and self.outline.clicks):
            self._do({"kind": "turn", "way": "undo"})
        elif self.discarded is not None:
            source, clicks = self.discarded
            self.discarded = None
            self._do({"kind": "restore", "source": source, "clicks": clicks})
        else:
            layer = self.target_layer()
            if layer is not None and layer.isEditable() and layer.undoStack().canUndo():
                layer.undoStack().undo()
                layer.triggerRepaint()
                self.canvas.refresh()

    def redo(self):
        """Do again what was taken back."""
        if self.outline is not None and (self.outline.redone or self.acts):
            self._do({"kind": "turn", "way": "redo"})
            return
        layer = self.target_layer()
        if layer is not None and layer.isEditable() and layer.undoStack().canRedo():
            layer.undoStack().redo()
            layer.triggerRepaint()

    def accept(self):
        """Keep the outline, or the proposal that is asked about."""
        if self.proposals:
            self.answer(True)
        elif len(self.acts) == 1 and self.acts[0].get("preview") is not None:
            act = self.acts[0]
            clicks = self.outline.clicks if self.outline is not None else []
            mine = (*act["pixel"], True)
            self._keep(clicks if mine in clicks else [*clicks, mine])
        elif self.acts:
            self._do({"kind": "accept"})
        else:
            self._keep(self.outline.clicks if self.outline is not None else [])

    def _keep(self, clicks):
        """Put the outline that is shown into the layer; it stays on the canvas where that fails."""
        polygons = self.source.polygons(self.shown) if self.source is not None else []
        if not polygons:
            self.said.emit(tr("There is no outline to keep: click on the thing first."), "Warning")
            return
        model = self.server_state["model"]["name"] if self.server_state else ""
        attributes = results.attributes_of(self.class_name, self.shown, clicks, model, self.source.layer_name)
        try:
            self._store(results.geometry_of(polygons), self.source.crs, attributes, self.shown["area_px"])
        except Failure as error:
            self.said.emit(str(error), "Critical")
            return
        outline = self.outline
        self._reset()
        self._leave(outline)

    def _store(self, geometry, crs, attributes, area_px):
        layer = self.target_layer()
        if layer is None:
            layer = self._make_target(crs)
        results.check_target(layer)
        geometry = results.moved(geometry, crs, layer.crs())
        old = self.reopened[1] if self.reopened is not None and self.reopened[0] == layer.id() else None
        if old is not None and not layer.getFeature(old).isValid():
            old = None
        pixel = math.sqrt(geometry.area() / area_px) if area_px else 0.0
        geometry = topology.fitted(layer, geometry, pixel, self.canvas.mapUnitsPerPixel(), old)
        if old is not None:
            results.change(layer, old, geometry, attributes, tr("Correct an object"))
        else:
            results.add(layer, geometry, attributes, tr("Add an object"))
        if settings.get("save_each"):
            results.commit(layer)

    def _make_target(self, crs):
        """A layer for polygons where nobody chose one."""
        path = results.default_path()
        layer = results.new_layer(path, crs)
        QgsProject.instance().addMapLayer(layer)
        self.target_layer_id = layer.id()
        self.said.emit(tr("Polygons go to the new file {}.").format(path), "Info")
        return layer

    def _reset(self):
        """Ready for the next thing; all that is under way is given up."""
        keep = self.source
        self._forget()
        self.source = keep
        self.paint.clear()
        self.changed.emit()

    def escape(self):
        """Give up the outline (undo brings it back) or the proposals; the second time the tool."""
        if self.proposals:
            self.proposals = []
            self._draw()
        elif self.working:
            outline, source, reopened = self.outline, self.source, self.reopened
            self._reset()
            if outline is not None:
                if outline.clicks and not reopened:
                    self.discarded = (source, list(outline.clicks))
                self._leave(outline)
        else:
            self.paint.clear()
            self.canvas.unsetMapTool(self.canvas.mapTool())
        self.changed.emit()

    def choose_class(self, number):
        """Take the class of a number (from 0) into the hand."""
        if number < len(self.classes):
            self.set_class(self.classes[number])

    def set_class(self, name):
        """Take a class into the hand."""
        self.class_name = name
        if self.outline is not None and not self.outline.clicks and not self.reopened:
            self._leave(self.outline)
            self.outline = None
        elif self.outline is not None:
            self.outline.options["class_name"] = name
        self.changed.emit()

    def switch_target(self):
        """This object ↔ everything like it in the view."""
        self.target = "class" if self.target == "object" else "object"
        self.preview = None
        if self.working:
            self._do({"kind": "change", "options": {"target": self.target}})
        else:
            self._leave(self.outline)
            self.outline = None
        self.changed.emit()

    def set_shape(self, simplify_m, square):
        """Simplify the outline, or give it right angles; shown at once."""
        self.simplify_m, self.square = simplify_m, square
        if self.working or self.outline is not None:
            self.acts = [
                act
                for act in self.acts
                if act["kind"] != "change" or "square" not in act["options"] or act is self.acts[0]
            ]
            self._do({"kind": "change", "options": {"simplify_m": simplify_m, "square": square}})

    def reopen_selected(self):
        """Correct the one object that is selected in the layer of polygons."""
        layer = self.target_layer()
        chosen = layer.selectedFeatureIds() if isinstance(layer, QgsVectorLayer) else []
        if len(chosen) != 1:
            self.said.emit(tr("Select one object in the layer of polygons, then correct it."), "Info")
            return
        if self.working:
            self.said.emit(tr("Keep the outline at hand first (Enter), or give it up (Esc)."), "Info")
            return
        self._do({"kind": "reopen", "fid": chosen[0]})

    def find_rest(self):
        """Look for what is like the examples of the class in the view."""
        self._do({"kind": "find"})

    def answer(self, yes):
        """Yes or no to the proposal at hand, or to the place where the model is least sure."""
        if self.proposals:
            source, item = self.proposals[self.asked]
            if yes:
                model = self.server_state["model"]["name"] if self.server_state else ""
                told = results.attributes_of(self.found_class, item["outline"], [], model, source.layer_name)
                try:
                    geometry = results.geometry_of(source.polygons(item["outline"]))
                    self._store(geometry, source.crs, told, item["outline"]["area_px"])
                except Failure as error:
                    self.said.emit(str(error), "Critical")
                    return
            self.proposals.pop(self.asked)
            self.asked = min(self.asked, max(0, len(self.proposals) - 1))
            self._draw()
            self.changed.emit()
            return
        hint = self.hint()
        if hint is not None:
            place = self.source.point(hint["x"], hint["y"])
            act = {"kind": "click", "point": place, "positive": yes, "asked": time.monotonic(), "preview": None}
            self._do(act)

    def keep_all(self):
        """Yes to all proposals that are left."""
        before = len(self.proposals) + 1
        while self.proposals and len(self.proposals) < before:
            before = len(self.proposals)
            self.answer(True)

    def add_example(self, positive):
        """The object that is selected, or the outline at hand, as an example of the class or a counter-example."""
        try:
            geometry, crs = self._example_geometry()
            image = self.image_layer()
            sources.check_layer(image)
            on_image = results.moved(geometry, crs, image.crs())
        except Failure as error:
            self.said.emit(str(error), "Warning")
            return
        class_name = self.class_name

        def drawn(picture, mask):
            self.example_job = None
            if picture is None:
                self.said.emit(
                    tr("The layer {} could not be drawn: is its server reachable?").format(image.name()), "Critical"
                )
                return
            self._do({"kind": "example", "image": picture, "mask": mask, "class": class_name, "positive": positive})

        metres = settings.get("online_gsd")
        self.example_job = example_pictures(image, on_image, sources.native_resolution(image, metres), drawn)

    def _example_geometry(self):
        if self.shown is not None and self.source is not None and self.source.polygons(self.shown):
            return results.geometry_of(self.source.polygons(self.shown)), self.source.crs
        layer = self.target_layer()
        chosen = layer.selectedFeatures() if isinstance(layer, QgsVectorLayer) else []
        if len(chosen) != 1:
            raise Failure(
                tr("Select one object in the layer of polygons, or click on a thing, to make an example of it.")
            )
        results.check_area(chosen[0].geometry())
        return chosen[0].geometry(), layer.crs()

    def review_next(self):
        """Select and show the least certain object that nobody has judged; gives its id or None."""
        layer = self.target_layer()
        try:
            results.check_target(layer)
        except Failure as error:
            self.said.emit(str(error), "Warning")
            return None
        names = results.mapping_of(layer)
        if "score" not in names or "status" not in names:
            self.said.emit(tr("The layer needs fields for score and status to be reviewed."), "Warning")
            return None
        waiting = [
            feature
            for feature in layer.getFeatures()
            if feature[names["status"]] not in ("approved", "rejected")
            and isinstance(feature[names["score"]], (int, float))
        ]
        if not waiting:
            self.said.emit(tr("Every object has been judged."), "Success")
            return None
        worst = min(waiting, key=lambda feature: feature[names["score"]])
        layer.selectByIds([worst.id()])
        box = QgsRectangle(results.moved(worst.geometry(), layer.crs(), self._canvas_crs()).boundingBox())
        box.scale(3)
        self.canvas.setExtent(box)
        self.canvas.refresh()
        return worst.id()

    def judge(self, status):
        """Give the selected objects a status: approved or rejected."""
        layer = self.target_layer()
        try:
            results.check_target(layer)
            names = results.mapping_of(layer)
            if "status" not in names:
                raise Failure(tr("The layer needs fields for score and status to be reviewed."))
            results.set_status(layer, layer.selectedFeatureIds(), names["status"], status)
        except Failure as error:
            self.said.emit(str(error), "Warning")
            return
        self.review_next()
