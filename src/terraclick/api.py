"""From clicks to a polygon in seven stops. Read this file first: it is the whole way through the house.

    1 read_view(path, bounds)          → View, Grid      geo/raster
    2 predictor.encode(view)           → encoded         terra, networks, methods
    3 grid.to_click(x, y, positive)    → Click           geo/grid
    4 sequence.answer(clicks, …)       → ClickSequence   core/click_sequence
    5 clean(sequence, valid)           → mask            core/cleaning, cut where the view holds no data
    6 drawn(prediction, mask, grid)    → polygons        geo/drawing, with geo/contours (every pixel: geo/polygonize)
    7 store.add(polygons, …)           → GeoPackage      store/geopackage, by the caller (`terraclick segment`)

The view that is read, unless bounds or gsd say otherwise, is at the raster's own resolution: for an object the 1024 px
square around the first including click, for a class the 1792 px square. The whole rule is `geo/view_window.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, Unpack

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon

from terraclick.catalogue import load
from terraclick.core.box import places_of
from terraclick.core.cleaning import check_real, check_real_box, clean, score_of
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.predictor import Predictor, bands_read
from terraclick.errors import BadClick, BadConfig, BadImage, NotGeoreferenced
from terraclick.geo.affine import apply, through
from terraclick.geo.box_prompt import MapBox, box_between, box_on, box_within, check_box, corners_of
from terraclick.geo.drawing import drawn, shaped
from terraclick.geo.grid import Grid, check_bounds
from terraclick.geo.polygonize import only_real
from terraclick.geo.raster import RasterInfo, read_info, read_view, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.sidecars import stamp_of
from terraclick.geo.view_window import MAX_VIEW_PX, view_window
from terraclick.values import Bounds, Box, Click, Reference, Stretch, Target, View

__all__ = ["DEFAULTS", "MapClick", "Outline", "OutlineOptions", "Said", "outline", "outlines"]

MapClick = tuple[float, float, bool]
"""(x, y, positive) in the raster's coordinates, or in pixels from its top-left corner."""

Said: TypeAlias = MapClick | MapBox
"""What may be said of a thing: clicks, and one box (x1, y1, x2, y2) around it, in the same coordinates."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One outlined thing.

    geometry is a Polygon or MultiPolygon in `crs` (None: pixels from the image's top-left corner, y down), empty when
    the model found nothing; score is the mean probability inside; mask (H, W) bool lies on `grid`, the view's own grid;
    sequence holds the clicks and the box in view pixels, `clicks` the clicks on the map (x, y, positive), in the
    image's crs; `bounds` and `gsd` are what was asked of `read_view`.
    """

    geometry: Polygon | MultiPolygon
    crs: CRS | None
    score: float
    mask: NDArray[np.bool_]
    grid: Grid
    view: View
    sequence: ClickSequence
    bounds: Bounds
    gsd: float | None
    clicks: tuple[MapClick, ...]

    @property
    def session(self) -> ClickSequence:
        """The name of `sequence` in earlier releases."""
        return self.sequence

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        return dict(shapely.geometry.mapping(self.geometry))


class OutlineOptions(TypedDict, total=False):
    """What `outline` and `outlines` may be told by keyword; what is left out is as in `DEFAULTS`."""

    bounds: Bounds | None
    """The part of the image to look at, (left, bottom, right, top) in its crs, or in pixels with `pixels`; None: the
    part around the clicks that `geo/view_window.py` gives."""
    gsd: float | None
    """Metres a pixel to read at, never finer than the image's own; None: the image's own."""
    pixels: bool
    """Whether clicks, bounds and the result are in pixels from the image's top-left corner (a pixel's centre is at .5)
    instead of in its crs."""
    bands: Sequence[int] | None
    """The bands to read as red, green and blue, from 1; None: the image's own choice."""
    stretch: Stretch
    """How values become 0-255: "auto", "percent", "none", one (min, max), or one for each band."""
    simplify_m: float | None
    """Tolerance in metres (pixels where there is no crs) for dropping vertices; 0 keeps the edge of every pixel; None:
    as few corners as the outline needs (`geo.contours`)."""
    square: bool
    """Whether corners are made right angles."""
    references: Sequence[Reference]
    """Examples of what the thing looks like, or of what it is not (`geo.references.read_reference`)."""
    reading: Reading
    """How the file is to be read where it does not say so itself (nodata, page, alpha, crs)."""


DEFAULTS: Final[OutlineOptions] = {
    "bounds": None,
    "gsd": None,
    "pixels": False,
    "bands": None,
    "stretch": "auto",
    "simplify_m": None,
    "square": False,
    "references": (),
    "reading": PLAIN,
}
"""What counts for options of `outline` and `outlines` that are left out."""


def outline(
    image: str,
    clicks: Sequence[Said],
    target: str = "object",
    model: str | Predictor = "terra",
    **options: Unpack[OutlineOptions],
) -> Outline:
    """Outline what the clicks (x, y, positive) mean: this object, or every pixel of that kind in the view.

    Beside clicks, or instead of them, one box (x1, y1, x2, y2) around an object may be given; predictors that read no
    boxes are told it by clicks (`core.box`). All of it and the result are in the raster's coordinates, or with `pixels`
    in its pixels. The outline runs where the probability crosses the model's threshold. `model` is a name or any
    Predictor; `OutlineOptions` lists the options.

    No outline reaches where the image holds no data. Raises BadImage, NotGeoreferenced (no crs and not `pixels`),
    BadClick (outside the image or the bounds, where there is no data, neither a box nor a positive click, a box for a
    class), BadGrid (bounds that miss the image), UnknownName (model), BadConfig (target), TypeError (an option that
    does not exist).
    """
    return next(outlines(image, [clicks], target, model, **options))


def outlines(
    image: str,
    many: Iterable[Sequence[Said]],
    target: str = "object",
    model: str | Predictor = "terra",
    **options: Unpack[OutlineOptions],
) -> Iterator[Outline]:
    """One `outline` for each group of clicks, in order; groups that share a view share its encoding."""
    unknown = sorted(set(options) - set(DEFAULTS))
    if unknown:
        raise TypeError(f"no option {unknown[0]!r} of an outline: choose from {', '.join(DEFAULTS)}.")
    return _outlines(image, many, _target(target), model, DEFAULTS | options)


def _outlines(
    image: str,
    many: Iterable[Sequence[Said]],
    target: Target,
    model: str | Predictor,
    how: OutlineOptions,
) -> Iterator[Outline]:
    bounds, gsd, pixels, reading = how["bounds"], how["gsd"], how["pixels"], how["reading"]
    simplify_m, square = how["simplify_m"], how["square"]
    path = resolve_image(image)
    stamp = stamp_of(path)
    info = read_info(path, reading)
    if info.grid.crs is None and not pixels:
        raise NotGeoreferenced(
            f"{path.name} {info.unplaced}; or pass --pixels (in Python pixels=True) for pixel polygons."
        )
    if simplify_m is not None and not (math.isfinite(simplify_m) and simplify_m >= 0):
        raise BadConfig(f"a tolerance of {simplify_m} was given to simplify: expected a length in metres, 0 or more.")
    groups = [_checked(group, info, pixels) for group in many]  # all of them before the first slow step
    fixed = _on_map(bounds, info.grid) if bounds is not None and pixels else bounds
    predictor = load(model) if isinstance(model, str) else model
    asked, view, grid, encoded = None, None, None, None
    for clicks, box in groups:
        wanted = fixed or _view_bounds(clicks, box, info, target, gsd)
        if view is None or grid is None or wanted != asked:
            _check_same(path, stamp)
            look = (wanted, gsd, how["bands"], how["stretch"], MAX_VIEW_PX, reading, bands_read(predictor) - 3)
            view, grid = read_view(path, *look)  # stop 1
            _check_same(path, stamp)
            encoded, asked = predictor.encode(view), wanted  # stop 2
        placed = _placed(clicks, grid, view)  # stop 3
        sequence = ClickSequence(target, tuple(how["references"]))  # stop 4
        if box is not None:
            sequence = sequence.boxed(_placed_box(box, info.grid, grid, view), view.shape, predictor, encoded)
        sequence = sequence.answer(placed, predictor, encoded)
        mask = clean(sequence, view.valid)  # stop 5
        polygons = drawn(sequence.latest, mask, grid, simplify_m, view.valid, info.grid)  # stop 6
        geometry = only_real(shaped(polygons, grid, simplify_m, square), grid, view.valid, info.grid)
        crs = grid.crs
        if pixels:
            geometry, crs = through(geometry, ~info.grid.transform), None
        yield Outline(geometry, crs, score_of(sequence, mask), mask, grid, view, sequence, wanted, gsd, tuple(clicks))


def _placed(clicks: Sequence[MapClick], grid: Grid, view: View) -> Iterator[Click]:
    """Clicks on the map as clicks on a view. Raises BadClick outside the view or where it holds no picture."""
    for x, y, positive in clicks:
        click = grid.to_click(x, y, positive)
        if not grid.holds(click):
            raise BadClick(f"the click {x:.10g}, {y:.10g} lies outside the bounds {_text(grid.bounds)}: widen them.")
        check_real(click, view.valid, f"{x:.10g}, {y:.10g}")
        yield click


def _placed_box(box: Box, whole: Grid, grid: Grid, view: View) -> Box:
    """A box of the image as one of a view. Raises BadClick if it leaves the view or holds nothing of the picture."""
    found = box_within(box_between(corners_of(box, whole), grid), view.shape)
    if found is None:
        raise BadClick(f"the box reaches outside the bounds {_text(grid.bounds)}: widen them.")
    check_real_box(found, view.valid)
    return found


def _check_same(path: Path, stamp: tuple[Any, ...]) -> None:
    """Raise BadImage where a file is not the one any more that was opened."""
    if stamp_of(path) != stamp:
        raise BadImage(f"{path.name} was changed on disk while it was read: give the clicks again.")


def _target(name: str) -> Target:
    try:
        return Target(name)
    except ValueError:
        raise BadConfig(f"no target {name!r}: choose object (this one thing) or class (everything like it).") from None


def _checked(group: Sequence[Said], info: RasterInfo, pixels: bool) -> tuple[list[MapClick], Box | None]:
    """The clicks in map coordinates, an including one first, and the box in pixels of the image.

    Raises BadClick if there is neither a box nor an including click, or if one lies outside.
    """
    boxes = [check_box(given) for given in group if isinstance(given, tuple | list) and len(given) == 4]
    if len(boxes) > 1:
        raise BadClick(f"{len(boxes)} boxes were given for one object: give one, and clicks for the rest.")
    box = _box_inside(boxes[0], info.grid, pixels) if boxes else None
    clicks = [given for given in group if not (isinstance(given, tuple | list) and len(given) == 4)]
    for given in clicks:
        if not _is_click(given):
            raise BadClick(
                f"{str(given)[:80]} was given as a click: expected (x, y, positive), such as (12.5, 40, True)."
            )
    if box is None and not any(positive for _, _, positive in clicks):
        raise BadClick("no including click was given: add at least one click on the thing you want.")
    found: list[MapClick] = []
    for x, y, positive in clicks:
        at = apply(info.grid.transform, x, y) if pixels else (x, y)
        if not info.grid.holds(info.grid.to_click(*at)):
            extent = (0.0, 0.0, *map(float, info.grid.shape[::-1])) if pixels else info.grid.bounds
            raise BadClick(f"the click {x:.10g}, {y:.10g} lies outside the image, which covers {_text(extent)}.")
        found.append((*at, bool(positive)))
    start = next((index for index, click in enumerate(found) if click[2]), None)
    return found if start is None else [found[start], *found[:start], *found[start + 1 :]], box


def _box_inside(box: MapBox, grid: Grid, pixels: bool) -> Box:
    """A box in pixels of the image. Raises BadClick if it reaches outside."""
    found = box_within(box_on(box, grid, pixels), grid.shape)
    if found is None:
        extent = (0.0, 0.0, *map(float, grid.shape[::-1])) if pixels else grid.bounds
        raise BadClick(f"the box {_text(box)} reaches outside the image, which covers {_text(extent)}.")
    return found


def _is_click(given: object) -> bool:
    """Whether it is two finite numbers and yes or no."""
    if not isinstance(given, tuple | list) or len(given) != 3:
        return False
    x, y, positive = given
    numbers = all(isinstance(value, int | float | np.number) and math.isfinite(value) for value in (x, y))
    return numbers and isinstance(positive, bool | np.bool_ | int)


def _view_bounds(
    clicks: Sequence[MapClick], box: Box | None, info: RasterInfo, target: Target, gsd: float | None
) -> Bounds:
    """The default view around a box and clicks; a coarser gsd shows as many pixels of more ground."""
    native = info.grid.metres_per_pixel or 1.0
    factor = max(1.0, gsd / native) if gsd is not None and math.isfinite(gsd) else 1.0
    at = [*(places_of(box) if box is not None else ()), *(info.grid.to_click(*click) for click in clicks)]
    return info.grid.window(view_window(at, info.grid.shape, target, factor)[0]).bounds


def _on_map(bounds: Bounds, grid: Grid) -> Bounds:
    """Pixel bounds as the upright map rectangle around them."""
    left, top, right, bottom = check_bounds(bounds)
    corners = [apply(grid.transform, x, y) for x in (left, right) for y in (top, bottom)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _text(bounds: Sequence[float]) -> str:
    return ", ".join(f"{value:.10g}" for value in bounds)
