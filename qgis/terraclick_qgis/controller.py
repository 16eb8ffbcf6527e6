# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens between mouse, server and layer: acts in a line, one at a time, each kept until it is answered."""

import os
import time

from qgis.core import QgsGeometry, QgsPointXY, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from . import results, settings, sources
from .client import Client, Failure, Outline, Refused, Unreachable, is_local, pixel_geometry
from .examples import example_pictures
from .i18n import tr
from .jobs import Jobs
from .network import transport_for
from .server import ServerProcess
from .tool import Paint

RETRY_MS = 1500
AGAIN_MS = 250
MOST_TRIES = 40
SAME_PLACE_PX = 1.0
"""A click this near to the place of the preview is the click that was previewed."""
QUICK_DEATH_S = 3.0
DEFAULT_CLASSES = ("building", "road", "water", "tree", "field", "car")


class Controller(QObject):
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
        self.started_at = 0.0
        self.quick_deaths = 0
        self.image_layer_id = ""
        self.target_layer_id = ""
        self.classes = list(DEFAULT_CLASSES)
        self.class_name = self.classes[0]
        self.target = "object"
        self.simplify_m = 0.0
        self.square = False
        self.with_examples = {}
        self._forget()
        self.sources = {}
        self.making = {}
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

    # -- layers and places

    def image_layer(self):
        """The layer that is clicked on, or None."""
        return QgsProject.instance().mapLayer(self.image_layer_id)

    def target_layer(self):
        """The layer that polygons go to, or None."""
        return QgsProject.instance().mapLayer(self.target_layer_id)

    def _layers_go(self, ids):
        if self.image_layer_id in ids:
            self.image_layer_id = ""
            if self.working:
                self.said.emit(tr("The image layer was removed; the outline stays, press Enter to keep it."), "Warning")
        if self.target_layer_id in ids:
            self.target_layer_id = ""
            if self.working:
                self.said.emit(
                    tr("The layer for the polygons was removed: choose another one; the outline stays."), "Warning"
                )
        self.sources = {key: source for key, source in self.sources.items() if source.layer_id not in ids}
        self.changed.emit()

    @property
    def working(self):
        """Whether an outline is being made."""
        return bool(self.acts or self.reopened or (self.outline is not None and self.outline.clicks))

    def _on_layer(self, point, crs):
        if not crs.isValid() or not self._canvas_crs().isValid():
            return QgsPointXY(point)
        try:
            return sources.transform_between(self._canvas_crs(), crs).transform(QgsPointXY(point))
        except Exception as error:
            raise Failure(tr("This place does not exist in the image's coordinate system.")) from error

    def _on_canvas(self, point, crs):
        try:
            return sources.transform_between(crs, self._canvas_crs()).transform(point) if crs.isValid() else point
        except Exception:
            return point

    def _canvas_crs(self):
        return self.canvas.mapSettings().destinationCrs()

    def _extent_on(self, crs):
        extent = self.canvas.extent()
        if not crs.isValid():
            return extent
        try:
            return sources.transform_between(self._canvas_crs(), crs).transformBoundingBox(extent)
        except Exception:
            return extent

    def _canvas_geometry(self, polygons, crs):
        geometry = results.geometry_of(polygons)
        if crs.isValid() and self._canvas_crs().isValid():
            try:
                geometry.transform(sources.transform_between(crs, self._canvas_crs()))
            except Exception:
                return QgsGeometry()
        return geometry

    # -- the server

    def connect_server(self):
        """Ask the server at the address that is set, or start one."""
        if self.connecting or self.client is not None:
            return
        self.connecting = True
        base = settings.get("address")
        if base:
            self._ask_state(Client(base, settings.get("token"), transport_for(base)))
        elif not self.server.running:
            self.started_at = time.monotonic()
            self.server.start([os.path.abspath(os.sep)] if os.name != "nt" else self._drives())
        self.changed.emit()

    def _drives(self):
        found = {os.path.splitdrive(os.path.expanduser("~"))[0] + "\\"}
        for layer in QgsProject.instance().mapLayers().values():
            path = sources.local_path(layer)
            if path:
                found.add(os.path.splitdrive(path)[0] + "\\")
        return sorted(found)

    def disconnect_server(self):
        """Leave the server; one of our own is ended."""
        self.client = None
        self.server_state = None
        self.connecting = False
        self.sources.clear()
        self.making.clear()
        if self.outline is not None:
            self.outline.forget()
        self.server.stop()
        self.changed.emit()

    def _server_ready(self, address, token):
        self._ask_state(Client(address, token, transport_for(address)))

    def _ask_state(self, client):
        def done(state, error):
            self.connecting = False
            if error is not None:
                self._fail(error)
                if isinstance(error, Unreachable) and self.acts:
                    self.stalled = True
                    self.retry.start(RETRY_MS)
            else:
                self.client = client
                self.server_state = state
                self.stalled = False
                self.sources.clear()
                if self.outline is not None:
                    self.outline.forget()
                self._pump()
            self.changed.emit()

        self.jobs.submit("server", client.state, done)

    def _server_failed(self, sentence):
        self.connecting = False
        self.client = None
        self.said.emit(sentence, "Critical")
        self.changed.emit()

    def _server_stopped(self, sentence):
        self.client = None
        self.server_state = None
        self.connecting = False
        if self.outline is not None:
            self.outline.forget()
        quick = time.monotonic() - self.started_at < QUICK_DEATH_S
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        if self.quick_deaths > 2:
            self.said.emit(sentence, "Critical")
        else:
            self.said.emit(tr("The server has stopped; it is started again. Nothing is lost."), "Warning")
            self.connect_server()
        self.changed.emit()

    def resume(self):
        """Try again what waits for the server."""
        self.stalled = False
        if self.client is None:
            self.connect_server()
        self._pump()

    def _fail(self, error):
        """Say an error; a loss of the server also lets the outline be opened anew."""
        if isinstance(error, Unreachable):
            if self.outline is not None:
                self.outline.forget()
            if not settings.get("address"):
                return  # our own server says itself that it has stopped
            self.client = None
            self.server_state = None
        text = str(error) if isinstance(error, Failure) else tr("Something went wrong: {}").format(repr(error))
        self.said.emit(text, "Warning" if isinstance(error, Refused) else "Critical")

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

    # -- where the pixels come from

    def _source_at(self, layer, point):
        """The source for a click there, or None while it is being made; then the acts go on by themselves."""
        sources.check_layer(layer)
        path = sources.local_path(layer) if is_local(self.client.base) else None
        if path is not None:
            key = ("file", layer.id(), path)
            extent, transform = None, None
        else:
            metres = sources.native_resolution(layer, settings.get("online_gsd"))
            extent, transform = sources.window_at(layer, point, metres)
            key = ("window", layer.id(), *(round(value, 9) for value in transform))
            if layer.crs().isValid() and not layer.extent().isEmpty() and not layer.extent().contains(point):
                raise Failure(tr("This place lies outside the image {}.").format(layer.name()))
        if key in self.sources:
            return self.sources[key]
        if key not in self.making:
            self.making[key] = None
            if path is not None:
                self._register(layer.id(), key, lambda client: client.add_file(path), None)
            else:
                self._render(layer, key, extent, transform)
        return None

    def _render(self, layer, key, extent, transform):
        layer_id, crs, name = layer.id(), layer.crs(), layer.name()

        def rendered(png):
            if png is None:
                self._made(key, Failure(tr("The layer {} could not be drawn: is its server reachable?").format(name)))
                return
            text = (crs.authid() if crs.authid().startswith("EPSG:") else crs.toWkt()) if crs.isValid() else None
            self._register(layer_id, key, lambda client: client.add_pixels(png, transform, text, name[:200]), transform)

        self.making[key] = sources.render(layer, extent, sources.WINDOW, rendered)

    def _register(self, layer_id, key, register, transform):
        client = self.client
        if client is None:
            self.making.pop(key, None)
            return

        def done(image, error):
            layer = QgsProject.instance().mapLayer(layer_id)
            if error is None and layer is None:
                error = Failure(tr("The image layer was removed."))
            if error is None:
                try:
                    place = sources.file_transform(layer, image) if transform is None else transform
                    source = sources.Source(layer, image, place, key)
                    source.register = register
                    self.sources[key] = source
                except Failure as failure:
                    error = failure
            self._made(key, error)

        self.jobs.submit("images", lambda: register(client), done)

    def _made(self, key, error):
        self.making.pop(key, None)
        if error is not None:
            if isinstance(error, Unreachable):
                self.stalled = bool(self.acts)
                self.retry.start(RETRY_MS)
            elif self.acts:
                self.acts.pop(0)
            self._fail(error)
        self._pump()
        self.changed.emit()

    def _open(self, source, **more):
        """A new outline on a source."""
        box = self._extent_on(source.crs)
        corners = [
            source.pixel(QgsPointXY(x, y))
            for x in (box.xMinimum(), box.xMaximum())
            for y in (box.yMinimum(), box.yMaximum())
        ]
        left, right = max(0, min(x for x, _ in corners)), min(source.width, max(x for x, _ in corners))
        top, bottom = max(0, min(y for _, y in corners)), min(source.height, max(y for _, y in corners))
        options = {
            "target": self.target,
            "class_name": self.class_name,
            "simplify_m": self.simplify_m,
            "square": self.square,
            **more,
        }
        if left < right and top < bottom:
            options["view"] = {"bounds": [left, top, right, bottom], "resolution": 1.0}
        if self.with_examples.get(self.class_name):
            options["references"] = "class"
        layer = QgsProject.instance().mapLayer(source.layer_id)
        if settings.get("use_renderer") and source.key[0] == "file" and layer is not None:
            bands, stretch = sources.renderer_bands(layer)
            if bands is not None:
                options.update(bands=bands, stretch=stretch)
        return Outline(source.image, source.register, **options)

    def _ready_outline(self, point):
        """The outline for a click at a point of the layer's system; None while its image is being made ready."""
        if self.outline is not None and (self.outline.clicks or self.reopened):
            return self.outline
        source = self._source_at(self.image_layer(), point)
        if source is None:
            return None
        if self.outline is None or source is not self.source:
            self._leave(self.outline)
            self.source = source
            self.outline = self._open(source)
        return self.outline

    def _leave(self, outline):
        """Close a session that is not needed any more."""
        client = self.client
        if outline is not None and client is not None and outline.name is not None:
            self.jobs.submit("clicks", lambda: outline.close(client), lambda result, error: None)

    # -- what acts do

    def _work_click(self, act):
        outline = self._ready_outline(act["point"])
        if outline is None:
            return None
        source, client = self.source, self.client
        if not source.holds(act["point"]):
            if source.key[0] == "window" and outline.clicks:
                raise Failure(
                    tr("Outside the window drawn for this outline: keep it first, or set a coarser resolution.")
                )
            raise Failure(tr("This place lies outside the image {}.").format(source.layer_name))
        x, y = act.get("pixel") or source.click_at(act["point"])

        def then(answer):
            self.shown = answer["outline"]
            if act["preview"] is None:
                self.times.append(1000 * (time.monotonic() - act["asked"]))
            self.preview = None
            self._draw()

        return (lambda: outline.click(client, x, y, act["positive"])), then

    def _work_turn(self, act):
        outline, client = self.outline, self.client
        if outline is None:
            raise Failure(tr("There is no click to take back."))

        def then(answer):
            self.shown = outline.outline
            self._draw()

        return (lambda: getattr(outline, act["way"])(client)), then

    def _work_change(self, act):
        outline, client = self.outline, self.client
        if outline is None:
            self._drop(act)
            return None

        def then(answer):
            if outline.clicks or self.reopened:
                self.shown = outline.outline
            self._draw()

        return (lambda: outline.change(client, **act["options"])), then

    def _work_accept(self, act):
        self._drop(act)
        self._keep(self.outline.clicks if self.outline is not None else [])

    def _work_restore(self, act):
        source = act["source"]
        self.source = source
        self.outline = self._open(source)
        self.outline.clicks = list(act["clicks"])
        outline, client = self.outline, self.client

        def then(name):
            self.shown = outline.outline
            self._draw()

        return (lambda: outline.ready(client)), then

    def _work_reopen(self, act):
        layer = self.target_layer()
        results.check_target(layer)
        image = self.image_layer()
        sources.check_layer(image)
        geometry = layer.getFeature(act["fid"]).geometry()
        if geometry.isEmpty():
            raise Failure(tr("This object has no outline to correct."))
        on_image = results.moved(geometry, layer.crs(), image.crs())
        source = self._source_at(image, on_image.pointOnSurface().asPoint())
        if source is None:
            return None
        self._leave(self.outline)
        self.source = source
        seed = pixel_geometry(results.polygons_of(on_image), source.transform)
        self.outline = self._open(source, seed=seed, simplify_m=0.0, square=False)
        self.reopened = (layer.id(), act["fid"])
        outline, client = self.outline, self.client

        def then(name):
            self.shown = outline.outline
            self._draw()

        return (lambda: outline.ready(client)), then

    def _work_find(self, act):
        image = self.image_layer()
        sources.check_layer(image)
        box = self._extent_on(image.crs())
        source = self._source_at(image, box.center())
        if source is None:
            return None
        corners = [
            source.pixel(QgsPointXY(x, y))
            for x in (box.xMinimum(), box.xMaximum())
            for y in (box.yMinimum(), box.yMaximum())
        ]
        bounds = [
            max(0, min(x for x, _ in corners)),
            max(0, min(y for _, y in corners)),
            min(source.width, max(x for x, _ in corners)),
            min(source.height, max(y for _, y in corners)),
        ]
        client, name = self.client, self.class_name

        def then(found):
            self.proposals = [(source, item) for item in found["items"] if not self._is_there(source, item)]
            self.asked = 0
            self.found_class = name
            if not self.proposals:
                self.said.emit(tr("Nothing else in view looks like the examples of {}.").format(name), "Info")
            self._draw()

        return (lambda: client.find(source.image, name, bounds)), then

    def _is_there(self, source, item):
        """Whether the layer holds most of a proposal already."""
        layer = self.target_layer()
        if layer is None:
            return False
        try:
            geometry = results.moved(results.geometry_of(source.polygons(item["outline"])), source.crs, layer.crs())
        except Failure:
            return False
        return results.covered(layer, geometry) > 0.5

    def _work_example(self, act):
        client = self.client

        def then(found):
            self.with_examples[act["class"]] = True
            self.said.emit(tr("Kept as an example of {}.").format(act["class"]), "Success")

        return (lambda: client.add_example(act["image"], act["mask"], act["class"], act["positive"])), then

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
            self._store(results.geometry_of(polygons), self.source.crs, attributes)
        except Failure as error:
            self.said.emit(str(error), "Critical")
            return
        outline = self.outline
        self._reset()
        self._leave(outline)

    def _store(self, geometry, crs, attributes):
        layer = self.target_layer()
        if layer is None:
            layer = self._make_target(crs)
        results.check_target(layer)
        geometry = results.moved(geometry, crs, layer.crs())
        if (
            self.reopened is not None
            and self.reopened[0] == layer.id()
            and layer.getFeature(self.reopened[1]).isValid()
        ):
            results.change(layer, self.reopened[1], geometry, attributes, tr("Correct an object"))
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
                    self._store(results.geometry_of(source.polygons(item["outline"])), source.crs, told)
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

    # -- previews

    def moved(self):
        """The mouse moves: what was asked for another place is not wanted any more."""
        self.again.stop()
        self.tries = 0

    def hover(self, point):
        """The mouse rests on a place of the canvas."""
        if (
            not settings.get("preview")
            or self.client is None
            or self.acts
            or self.busy
            or self.stalled
            or self.proposals
        ):
            return
        layer = self.image_layer()
        try:
            sources.check_layer(layer)
            crs = self.source.crs if self.working and self.source is not None else layer.crs()
            place = self._on_layer(point, crs)
            outline = self._ready_outline(place)
        except Failure:
            return
        self.hover_at = point
        if outline is None:
            self.again.start(AGAIN_MS)
        elif self.source.holds(place):
            self._ask_preview(outline, *self.source.click_at(place))

    def _hover_again(self):
        self.tries += 1
        if self.hover_at is not None and self.tries < MOST_TRIES:
            self.hover(self.hover_at)

    def _ask_preview(self, outline, x, y):
        client, generation, count, name = self.client, self.generation, len(outline.clicks), outline.name
        if name is None:
            if not self.jobs.busy("clicks"):
                self.jobs.submit(
                    "clicks", lambda: outline.ready(client), lambda result, error: self.again.start(AGAIN_MS)
                )
            return
        image, target = outline.image, self.target

        def work():
            found = client.preview(name, x, y)
            if found is None and not outline.clicks:
                client.prefetch(image, x, y, target)
            return found

        def done(found, error):
            if generation != self.generation or outline is not self.outline or count != len(outline.clicks):
                return
            if isinstance(error, Unreachable):
                self._fail(error)
            elif isinstance(error, Refused) and error.status == 404:
                outline.forget()
            elif error is None and found is None:
                self.again.start(AGAIN_MS)
            elif error is None and not self.acts:
                self.preview = (x, y, found, count)
                self.paint.show(self.paint.preview, self._canvas_geometry(self.source.polygons(found), self.source.crs))

        self.jobs.submit("preview", work, done, only_latest=True)

    # -- what is seen

    def hint(self):
        """Where a further click would tell most, or None."""
        answer = self.outline.answer if self.outline is not None and self.outline.clicks else None
        return answer.get("hint") if answer else None

    def _draw(self, clicks=None):
        source, outline = self.source, self.outline
        paint = self.paint
        paint.show(paint.preview, None)
        if clicks is None:
            clicks = outline.clicks if outline is not None else []
            if not clicks and not self.reopened:
                self.shown = None
        if source is None:
            paint.clear()
        else:
            paint.show(paint.outline, self._canvas_geometry(source.polygons(self.shown), source.crs))
            paint.show_clicks(
                [(self._on_canvas(source.point(x, y), source.crs), positive) for x, y, positive in clicks]
            )
            hint = self.hint()
            paint.show_hint(None if hint is None else self._on_canvas(source.point(hint["x"], hint["y"]), source.crs))
        paint.show_proposals(
            [self._canvas_geometry(place.polygons(item["outline"]), place.crs) for place, item in self.proposals],
            self.asked,
        )
        self.changed.emit()
