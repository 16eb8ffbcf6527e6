"""An open outline: one thing being outlined, what was done for it, and how the store keeps it (`/api/sessions`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import shapely

from terraclick.geo.box_prompt import corners_of
from terraclick.server.changes import Stand
from terraclick.server.clicking import ClickSettings, Interaction, PixelClick, State
from terraclick.server.images import Scene
from terraclick.server.pixel_box import PixelBox
from terraclick.store.values import StoredClick, StoredDraft, StoredView
from terraclick.values import Target

__all__ = ["BEGINNINGS", "INTERACTION_NAMES", "OpenOutline", "outline_of", "said_of"]

INTERACTION_NAMES = {
    "click": "click",
    "box": "box",
    "paint": "paint",
    "clear": "clear the clicks",
    "target": "this object or all alike",
} | {"references": "examples of the outline"}
"""What people read of an interaction with an open outline."""

BEGINNINGS = ("click", "box", "paint")
"""Interactions with which there is something to keep or to lose."""


@dataclass(eq=False)
class OpenOutline:
    """What was done for one outline (interactions, `position` of which count now), and the states it came to so far."""

    id: str
    author: str
    scene: Scene
    settings: ClickSettings
    interactions: tuple[Interaction, ...] = ()
    position: int = 0
    class_name: str = ""
    simplify_m: float | None = None
    square: bool = False
    object: str | None = None
    rev: int | None = None
    touched: float = 0.0
    states: dict[int, State] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: bool = False
    asked: set[Future[Any]] = field(default_factory=set)
    window: str = ""
    """The window of the map that has it in the hand."""
    unwanted: bool = False
    """Whether the answer that is being made is no longer wanted; looked at between the patches of a view."""

    def stand(self) -> Stand:
        """What counts of it now."""
        return Stand(self.interactions[: self.position], self.class_name, self.simplify_m, self.square)

    def put(self, stand: Stand) -> None:
        """Make it what it was; what can be done again stays known."""
        if not _begins(self.interactions, stand.interactions):
            same = sum(1 for _ in _alike(self.interactions, stand.interactions))
            self.states = {position: state for position, state in self.states.items() if position <= same}
            self.interactions = stand.interactions
        self.position = len(stand.interactions)
        self.class_name, self.simplify_m, self.square = stand.class_name, stand.simplify_m, stand.square

    def draft(self) -> StoredDraft:
        """All of it but the states, as the store keeps it."""
        content = {
            "setup": {
                "target": self.settings.target.value,
                "references": list(self.settings.references),
                "view_bounds": self.settings.shown,
                "resolution": self.settings.resolution,
                "bands": self.settings.bands,
                "stretch": self.settings.stretch,
                "seed": None if self.settings.seed is None else self.settings.seed.wkt,
            },
            "acts": [_interaction_to_json(interaction) for interaction in self.interactions],
            "position": self.position,
            "class": self.class_name,
            "simplify_m": self.simplify_m,
            "square": self.square,
            "object": self.object,
            "rev": self.rev,
            "window": self.window,
        }
        return StoredDraft(self.id, self.author, self.scene.key, content)


def _alike(one: Sequence[Interaction], other: Sequence[Interaction]) -> Iterator[Interaction]:
    """The acts with which both begin."""
    for mine, theirs in zip(one, other, strict=False):
        if mine is not theirs:
            return
        yield mine


def _begins(interactions: Sequence[Interaction], start: Sequence[Interaction]) -> bool:
    return len(start) <= len(interactions) and sum(1 for _ in _alike(interactions, start)) == len(start)


def _interaction_to_json(interaction: Interaction) -> list[Any]:
    if interaction.kind == "click":
        return [
            "click",
            interaction.value.x,
            interaction.value.y,
            interaction.value.positive,
            interaction.value.time,
            interaction.value.resolution,
        ]
    if interaction.kind == "box":
        return ["box", *interaction.value.corners, interaction.value.time, interaction.value.resolution]
    if interaction.kind == "paint":
        return ["paint", interaction.value[0].wkt, interaction.value[1]]
    return [interaction.kind, interaction.value]


def _interaction_of(value: Sequence[Any]) -> Interaction:
    kind = value[0]
    if kind == "click":
        resolution = float(value[5]) if len(value) > 5 and value[5] is not None else None
        return Interaction(
            kind, PixelClick(float(value[1]), float(value[2]), bool(value[3]), str(value[4]), resolution)
        )
    if kind == "box":
        *corners, time_, resolution = value[1:]
        x1, y1, x2, y2 = map(float, corners)
        return Interaction(
            kind, PixelBox(x1, y1, x2, y2, str(time_), None if resolution is None else float(resolution))
        )
    if kind == "paint":
        return Interaction(kind, (shapely.from_wkt(value[1]), bool(value[2])))
    if kind not in ("target", "references", "clear"):
        raise ValueError(kind)
    return Interaction(kind, value[1])


def outline_of(draft: StoredDraft, scene: Scene) -> OpenOutline | None:
    """The open outline that a draft describes; None if it is damaged."""
    try:
        content, settings = draft.content, draft.content["setup"]
        stretch = settings["stretch"]
        return OpenOutline(
            draft.uuid,
            draft.author,
            scene,
            ClickSettings(
                Target(settings["target"]),
                tuple(settings["references"]),
                None if settings["view_bounds"] is None else tuple(settings["view_bounds"]),
                float(settings["resolution"]),
                None if settings["bands"] is None else tuple(settings["bands"]),
                stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
                None if settings["seed"] is None else shapely.from_wkt(settings["seed"]),
            ),
            tuple(_interaction_of(interaction) for interaction in content["acts"]),
            int(content["position"]),
            str(content["class"]),
            None if content["simplify_m"] is None else float(content["simplify_m"]),
            bool(content["square"]),
            content["object"],
            content["rev"],
            time.monotonic(),
            window=str(content.get("window", "")),
        )
    except (KeyError, TypeError, ValueError, IndexError, shapely.errors.GEOSException):
        return None


def said_of(
    scene: Scene, state: State, earlier: Sequence[StoredClick], before: StoredView | None
) -> tuple[list[StoredClick], StoredView | None]:
    """All clicks and the box as an object keeps them, in pixels of the view that the model saw last.

    `earlier` and `before` are those of a reopened object: its clicks come first, its box stays unless there is another.
    """
    spec, grid, sequence = state.spec, state.grid, state.sequence
    if spec is None or grid is None:
        return [], None
    found = []
    for x, y, positive, when in [
        *((c.x, c.y, c.positive, c.time) for c in earlier),
        *((*scene.grid.to_map(c.y - 0.5, c.x - 0.5), c.positive, c.time) for c in state.clicks),
    ]:
        at = grid.to_click(x, y, positive)
        found.append(StoredClick(at.row, at.col, x, y, positive, when))
    box = None if before is None else before.box
    if sequence is not None and sequence.box is not None:
        box = corners_of(sequence.box, grid)
    return found, StoredView(scene.key, spec.bounds, spec.gsd, spec.bands, spec.stretch, (), grid.shape, box)
