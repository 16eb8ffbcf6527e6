# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller's part that knows layers, places, and where the pixels come from."""

import os

from qgis.core import QgsGeometry, QgsPointXY, QgsProject

from . import results, settings, sources
from .client import Failure, Outline, Refused, Unreachable, is_local
from .connection import RETRY_MS
from .i18n import tr


class Placing:
    """A part of the controller."""

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

    # -- where the pixels come from

    def _source_at(self, layer, point):
        """The source for a click there, or None while it is being made; then the acts go on by themselves."""
        sources.check_layer(layer)
        path = sources.local_path(layer) if is_local(self.client.base) and layer.id() not in self.drawn else None
        if settings.get("use_renderer") and path is not None and sources.renderer_bands(layer) is None:
            path = None  # what is displayed must be drawn
        if path is not None:
            key = ("file", layer.id(), path)
            extent, size, transform = None, None, None
        else:
            metres = sources.native_resolution(layer, settings.get("online_gsd"))
            extent, size, transform = sources.window_at(layer, point, metres)
            key = ("window", layer.id(), sources.style_of(layer), *(round(value, 9) for value in transform))
            if layer.crs().isValid() and not layer.extent().isEmpty() and not layer.extent().contains(point):
                raise Failure(tr("This place lies outside the image {}.").format(layer.name()))
        if key in self.sources:
            return self.sources[key]
        if key not in self.making:
            self.making[key] = None
            if path is not None:
                self.server.allow(os.path.dirname(path))
                self._register(layer.id(), key, lambda client: client.add_file(path), None)
            else:
                self._render(layer, key, extent, size, transform)
        return None

    def _render(self, layer, key, extent, size, transform):
        layer_id, crs, name = layer.id(), layer.crs(), layer.name()

        def rendered(png):
            if png is None:
                self._made(key, Failure(tr("The layer {} could not be drawn: is its server reachable?").format(name)))
                return
            text = (crs.authid() if crs.authid().startswith("EPSG:") else crs.toWkt()) if crs.isValid() else None
            self._register(layer_id, key, lambda client: client.add_pixels(png, transform, text, name[:200]), transform)

        self.making[key] = sources.render(layer, extent, size, rendered)

    def _register(self, layer_id, key, register, transform):
        client = self.client
        if client is None:
            self.making.pop(key, None)
            return

        def done(image, error):
            if isinstance(error, Refused) and error.kind == "BadImage" and key[0] == "file":
                self.drawn.add(layer_id)  # a kind of file that QGIS reads and the server does not
                self.making.pop(key, None)
                self._pump()
                return
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
            shown = sources.renderer_bands(layer)
            if shown is not None:
                options.update(bands=shown[0], stretch=shown[1])
        return Outline(source.image, source.register, by_content=source.key[0] == "window", **options)

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
