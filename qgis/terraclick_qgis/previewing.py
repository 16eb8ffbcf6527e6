# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller's part that shows: previews, outlines, hints, proposals."""

from . import settings, sources
from .client import Failure, Refused, Unreachable

AGAIN_MS = 250
MOST_TRIES = 40


class Previewing:
    """A part of the controller."""

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
