# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller's part that carries acts out: each gives the work for a thread and what follows on the screen."""

import time

from qgis.core import QgsPointXY

from . import results, sources
from .client import Failure, pixel_geometry
from .i18n import tr


class Working:
    """A part of the controller."""

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
        results.check_area(geometry)
        on_image = results.moved(geometry, layer.crs(), image.crs())
        source = self._source_at(image, on_image.pointOnSurface().asPoint())
        if source is None:
            return None
        self._leave(self.outline)
        self.source = source
        seed = pixel_geometry(results.polygons_of(on_image), source.transform)
        self.outline = self._open(source, seed=seed, simplify_m=None, square=False)
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
            kept = tr("Kept as an example of {}.") if act["positive"] else tr("Kept as a counter-example of {}.")
            self.said.emit(kept.format(act["class"]), "Success")

        return (lambda: client.add_example(act["image"], act["mask"], act["class"], act["positive"])), then
