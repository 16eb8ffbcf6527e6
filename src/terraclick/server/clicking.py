"""One thing being outlined, a fold over interactions: every click, stroke of paint or change of mind is one.

`step` takes a State and an Interaction to the next State; undo is the State before. States are made by the model's
thread; what a State looks like as an outline on the map is `outlined`. Everything here is in pixels of the whole image
(x right, y down, from the top-left corner); only a Shape also speaks map coordinates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.core.cleaning import check_real, clean, score_of
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.predictor import Predictor
from terraclick.core.simulate import squared_depth
from terraclick.errors import BadClick
from terraclick.geo.affine import through
from terraclick.geo.drawing import drawn, shaped
from terraclick.geo.grid import Grid
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.polygonize import only_real, rasterize
from terraclick.geo.view_window import COARSEST, view_window
from terraclick.server.encodings import Encoded, ViewSpec
from terraclick.server.images import Scene
from terraclick.server.pixel_box import PixelBox, check_inside, on_view, places
from terraclick.values import Click, Reference, Target, Window

__all__ = [
    "ClickSettings",
    "Hint",
    "Interaction",
    "PixelClick",
    "Shape",
    "State",
    "next_hint",
    "outlined",
    "parts_of",
    "start",
    "step",
    "to_map",
    "to_pixels",
    "view_spec_for",
]

MOST_GROWN = 3
"""A view is made at most so many times twice as wide as its clicks alone would have it."""
CUT_PX = 12
"""An outline that runs along the edge of its view for so many pixels is cut off there."""

AreaGeometry: TypeAlias = BaseGeometry
"""A Polygon or MultiPolygon."""


@dataclass(frozen=True)
class PixelClick:
    """A click in pixels of the image, corner convention, and when it was made (ISO 8601).

    resolution is how many image pixels one pixel of the map showed then, None where nobody said.
    """

    x: float
    y: float
    positive: bool = True
    time: str = ""
    resolution: float | None = None


@dataclass(frozen=True)
class Interaction:
    """One thing said or done for an outline: click, box, paint, target, references or clear, with its JSON value."""

    kind: str
    value: Any = None


@dataclass(frozen=True, eq=False)
class ClickSettings:
    """What an outline was begun with; shown (x0, y0, x1, y1) in pixels and resolution are what the map showed then."""

    target: Target = Target.OBJECT
    references: tuple[str, ...] = ()
    shown: tuple[float, float, float, float] | None = None
    resolution: float = 1.0
    bands: tuple[int, ...] | None = None
    stretch: Any = "auto"
    seed: AreaGeometry | None = None


@dataclass(frozen=True, eq=False)
class State:
    """Where an open outline stands: what was said, the view the model saw, its answer, and what was painted."""

    target: Target
    references: tuple[str, ...]
    clicks: tuple[PixelClick, ...] = ()
    drawn_box: PixelBox | None = None
    paint: tuple[tuple[AreaGeometry, bool], ...] = ()
    spec: ViewSpec | None = None
    grid: Grid | None = None
    sequence: ClickSequence | None = None
    valid: NDArray[np.bool_] | None = None
    """Where the view holds a picture (H, W); None = everywhere."""
    grown: int = 0
    """How many times the view was made twice as wide because the outline reached its edge."""
    timing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Milliseconds for reading, encoding and answering of the latest interaction."""

    @property
    def box(self) -> PixelBox | None:
        """The box that counts: one drawn for an object waits while a class is asked for."""
        return self.drawn_box if self.target is Target.OBJECT else None

    @property
    def asks(self) -> bool:
        """Whether anything was said that the model has to answer."""
        return bool(self.clicks) or self.box is not None


@dataclass(frozen=True, eq=False)
class Shape:
    """An outline: in pixels, on the map (the image's crs; None without one), and what is known of it."""

    pixels: AreaGeometry
    map: AreaGeometry
    score: float
    area_m2: float | None
    perimeter_m: float | None


@dataclass(frozen=True)
class Hint:
    """Where one more click would tell most, in pixels; inside: the outline includes the place now."""

    x: float
    y: float
    inside: bool
    uncertainty: float


Encode = Callable[[ViewSpec], Encoded]
Examples = Callable[[Sequence[str]], tuple[Reference, ...]]


def start(settings: ClickSettings) -> State:
    """The state before the first interaction."""
    return State(settings.target, settings.references)


def step(
    state: State,
    interaction: Interaction,
    settings: ClickSettings,
    scene: Scene,
    predictor: Predictor,
    encode: Encode,
    examples: Examples,
    grow: bool = True,
) -> State:
    """The next state.

    Unless told not to `grow`, an object that its view cuts off is answered on a wider one. Raises BadClick (outside
    the image, nothing to start from), BadGrid, BadImage.
    """
    if interaction.kind == "clear":
        return replace(start(settings), target=state.target, references=state.references)
    if interaction.kind == "paint":
        geometry, add = interaction.value
        return replace(state, paint=(*state.paint, (geometry, add)), timing=(0.0, 0.0, 0.0))
    if interaction.kind == "click":
        click: PixelClick = interaction.value
        _check_inside(click, scene)
        wanted = replace(state, clicks=(*state.clicks, click))
    elif interaction.kind == "box":
        check_inside(interaction.value, scene.shape)
        if state.target is not Target.OBJECT:
            raise BadClick("a box is drawn around one object: choose the target object, or click on the class.")
        wanted = replace(state, drawn_box=interaction.value, sequence=None, grown=0)
    elif interaction.kind == "target":
        wanted = replace(state, target=Target(interaction.value), sequence=None)
    else:
        wanted = replace(state, references=tuple(interaction.value), sequence=None)
    if not wanted.asks:
        return replace(wanted, spec=None, grid=None, sequence=None, grown=0, timing=(0.0, 0.0, 0.0))
    if factor_of(settings, wanted.clicks, wanted.box) != factor_of(settings, state.clicks, state.box):
        wanted = replace(wanted, grown=0)  # seen from nearer: the finest view that holds the object is looked for anew
    found = _answered(wanted, settings, scene, predictor, encode, examples)
    while grow and found.target is Target.OBJECT and found.grown < MOST_GROWN and _is_cut(found, scene):
        wider = replace(found, grown=found.grown + 1)
        if view_spec_for(settings, wider.target, wider.clicks, scene, wider.grown, wider.box) == found.spec:
            break
        found = _answered(wider, settings, scene, predictor, encode, examples)
    return found


def _is_cut(state: State, scene: Scene) -> bool:
    """Whether the object runs along an edge of its view that is no edge of the image."""
    if state.sequence is None or state.grid is None:
        return False
    mask = clean(state.sequence, state.valid)
    left, bottom, right, top = state.grid.bounds
    far = [abs(mine - whole) for mine, whole in zip((left, bottom, right, top), scene.grid.bounds, strict=True)]
    pixel = max(right - left, top - bottom) / max(mask.shape)
    lines = (mask[:, 0], mask[-1], mask[:, -1], mask[0])
    return any(away > pixel and np.count_nonzero(line) >= CUT_PX for away, line in zip(far, lines, strict=True))


def _answered(
    state: State, settings: ClickSettings, scene: Scene, predictor: Predictor, encode: Encode, examples: Examples
) -> State:
    """The state answered: its last click alone where the view stayed, box and clicks where it did not."""
    spec = view_spec_for(settings, state.target, state.clicks, scene, state.grown, state.box)
    encoding = encode(spec)
    begun = time.perf_counter()
    sequence, clicks = state.sequence, state.clicks[-1:]
    if sequence is None or spec != state.spec:
        sequence, clicks = _fresh(settings, state, encoding.grid, scene, examples(state.references)), state.clicks
        if state.box is not None:
            box = on_view(state.box, scene.grid, encoding.grid, encoding.valid)
            sequence = sequence.boxed(box, encoding.grid.shape, predictor, encoding.encoded)
    sequence = sequence.answer(_placed(clicks, scene.grid, encoding), predictor, encoding.encoded)
    spent = 1e3 * (time.perf_counter() - begun)
    timing = encoding.read_ms, encoding.encode_ms, spent
    return replace(state, spec=spec, grid=encoding.grid, sequence=sequence, valid=encoding.valid, timing=timing)


def _fresh(
    settings: ClickSettings, state: State, grid: Grid, scene: Scene, references: tuple[Reference, ...]
) -> ClickSequence:
    if settings.seed is None:
        return ClickSequence(state.target, references)
    mask = rasterize([to_map(settings.seed, scene.grid)], grid)
    if not mask.any():
        return ClickSequence(state.target, references)
    return ClickSequence.from_mask(mask, state.target, references)


def _check_inside(click: PixelClick, scene: Scene) -> None:
    rows, cols = scene.shape
    if not (0 <= click.x < cols and 0 <= click.y < rows):  # also refuses what is not a number
        raise BadClick(f"the click {click.x:.10g}, {click.y:.10g} lies outside the image of {cols} x {rows} pixels.")


def _placed(clicks: Sequence[PixelClick], whole: Grid, encoding: Encoded) -> Iterator[Click]:
    """Clicks on the image as clicks on a view of it. Raises BadClick where it holds no picture."""
    for click in clicks:
        x, y = whole.to_map(click.y - 0.5, click.x - 0.5)
        at = encoding.grid.to_click(x, y, click.positive)
        check_real(at, encoding.valid, f"{click.x:.10g}, {click.y:.10g}")
        yield at


def factor_of(settings: ClickSettings, clicks: Sequence[PixelClick], box: PixelBox | None = None) -> int:
    """How many image pixels make one of the view for an object, by the nearest that the map was at a click or box."""
    said = [one.resolution for one in (box, *clicks) if one is not None and one.resolution is not None]
    nearest = min([settings.resolution, *said])
    return int(min(2 ** max(0, math.floor(math.log2(max(nearest, 1.0))) - 1), COARSEST))


def view_spec_for(
    settings: ClickSettings,
    target: Target,
    clicks: Sequence[PixelClick],
    scene: Scene,
    grown: int = 0,
    box: PixelBox | None = None,
) -> ViewSpec:
    """What the model is shown for these clicks and a box; depends on nothing else, so that a replay sees the same.

    The window of `view_window`. What is shown is what the map showed when the outline was begun. An object is read
    coarser by a power of two where the map was at 1:4 or more at every click, or where clicks and seed would not fit.
    Each time it is `grown` the window is twice as wide: the first time with twice the pixels, then coarser.
    """
    held = [Click(click.y - 0.5, click.x - 0.5, click.positive) for click in clicks]
    if box is not None:
        held = [*places(box), *held]
    if settings.seed is not None:
        left, top, right, bottom = settings.seed.bounds
        middle = settings.seed.representative_point()
        held = [Click(middle.y - 0.5, middle.x - 0.5), Click(top, left), Click(bottom - 1, right - 1), *held]
    factor = factor_of(settings, clicks, box) * 2 ** max(0, grown - 1)
    shown, wider = settings.shown, 2 if grown else 1
    window, factor = view_window(held, scene.shape, target, factor, shown=shown, wider=wider, coarser=True)
    native = scene.grid.metres_per_pixel or 1.0
    gsd = None if factor == 1 else native * factor
    return ViewSpec(scene.path, scene.grid.window(window).bounds, gsd, settings.bands, settings.stretch, scene.reading)


# --- what it looks like ----------------------------------------------------------------------------------------------


def outlined(
    state: State, settings: ClickSettings, scene: Scene, simplify_m: float | None = None, square: bool = False
) -> Shape | None:
    """The outline of a state, paint included, in the shape asked for; None before anything was said."""
    score = 1.0
    if state.sequence is not None and state.sequence.latest is not None and state.grid is not None:
        mask = clean(state.sequence, state.valid)
        parts = drawn(state.sequence.latest, mask, state.grid, simplify_m, state.valid, scene.grid)
        score = score_of(state.sequence, mask)
    elif settings.seed is not None:
        parts = parts_of(to_map(settings.seed, scene.grid))
    elif state.paint:
        parts = []
    else:
        return None
    for geometry, add in state.paint:
        stroke = to_map(geometry, scene.grid)
        whole = shapely.union_all([*parts, stroke]) if add else shapely.union_all(parts).difference(stroke)
        parts = parts_of(whole)
    on_map = shaped(parts, Grid(scene.grid.transform, scene.grid.crs, scene.shape), simplify_m, square)
    if state.grid is not None and not state.paint and (simplify_m != 0 or square):
        on_map = only_real(on_map, state.grid, state.valid, scene.grid)
    return shape_of(on_map, scene, score)


def shape_of(on_map: AreaGeometry, scene: Scene, score: float) -> Shape:
    """A geometry in the image's own coordinates as a Shape."""
    crs = scene.grid.crs
    measured = (area_m2(on_map, crs), perimeter_m(on_map, crs)) if not on_map.is_empty else (None, None)
    return Shape(to_pixels(on_map, scene.grid), on_map, score, *measured)


def parts_of(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons within any geometry."""
    return [part for part in shapely.get_parts(geometry).tolist() if isinstance(part, Polygon) and not part.is_empty]


def to_map(geometry: AreaGeometry, grid: Grid) -> AreaGeometry:
    """From pixels to the image's own coordinates."""
    return through(geometry, grid.transform)


def to_pixels(geometry: AreaGeometry, grid: Grid) -> AreaGeometry:
    """From the image's own coordinates to pixels."""
    return through(geometry, ~grid.transform)


def next_hint(state: State, scene: Scene) -> Hint | None:
    """The deepest place of the largest doubtful part of the answer, away from the clicks given; None if all is sure.

    Doubtful are probabilities between a quarter and three quarters; a part weighs what its doubt sums up to.
    """
    if state.sequence is None or state.grid is None or not state.asks:
        return None
    latest = state.sequence.latest
    if latest is None:
        return None
    known = Window.around(latest.probs)
    if known is None:
        return None
    top, left = known.row, known.col
    probs = latest.probs[known.slices]  # elsewhere all is surely out
    doubt = np.minimum(probs, 1 - probs).astype(np.float32)
    unsure = doubt > 0.25
    if state.valid is not None:
        unsure &= state.valid[known.slices]
    for click in state.sequence.clicks:
        unsure[_disk(Click(click.row - top, click.col - left), 8)] = False
    count, labels = cv2.connectedComponents(unsure.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    weight = np.bincount(labels.ravel(), weights=doubt.ravel(), minlength=count)
    weight[0] = 0
    part = int(np.argmax(weight))
    if np.count_nonzero(labels == part) < 12:
        return None
    depth = squared_depth(labels == part)
    row, col = divmod(int(np.argmax(depth)), probs.shape[1])
    x, y = state.grid.to_map(row + top, col + left)
    at = scene.grid.to_click(x, y)
    return Hint(at.col + 0.5, at.row + 0.5, bool(probs[row, col] > latest.threshold), float(doubt[row, col]))


def _disk(click: Click, radius: int) -> tuple[slice, slice]:
    row, col = round(click.row), round(click.col)
    ends = (max(0, row - radius), max(0, row + radius + 1)), (max(0, col - radius), max(0, col + radius + 1))
    return slice(*ends[0]), slice(*ends[1])
