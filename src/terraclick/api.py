"""From clicks to a polygon in seven stops. Read this file first: it is the whole way through the house.

    1 read_view(path, bounds)          → View, Grid      geo/raster
    2 predictor.encode(view)           → encoded         terra, networks, methods
    3 grid.to_click(x, y, positive)    → Click           geo/grid
    4 session.answer(clicks, …)        → Session         core/session
    5 clean(session, valid)            → mask            core/masks, cut where the view holds no data
    6 drawn(prediction, mask, grid)    → polygons        geo/contours (every pixel: geo/polygonize)
    7 store.add(polygons, …)           → GeoPackage      geo/store, by the caller (`terraclick segment`)

The view that is read, unless bounds or gsd say otherwise, is at the raster's own resolution: for an object the 1024 px
square around the first including click, for a class the 1792 px square. The whole rule is `geo/view_window.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon

from terraclick.catalogue import load
from terraclick.core.masks import clicked_components, drop_specks, fill_holes, mask_box
from terraclick.core.predictor import Predictor
from terraclick.core.session import Session
from terraclick.errors import BadClick, BadConfig, BadImage, NotGeoreferenced
from terraclick.geo.affine import apply, through
from terraclick.geo.contours import contours
from terraclick.geo.grid import Grid, check_bounds
from terraclick.geo.polygonize import only_real, polygonize
from terraclick.geo.raster import RasterInfo, read_info, read_view, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.regularize import simplify, square_corners
from terraclick.geo.sidecars import stamp_of
from terraclick.geo.view_window import MAX_VIEW_PX, view_window
from terraclick.values import Bounds, Click, Prediction, Reference, Stretch, Target, View

__all__ = [
    "MapClick",
    "Outline",
    "check_real",
    "clean",
    "drawn",
    "outline",
    "outlines",
    "score_of",
    "shaped",
]

MapClick = tuple[float, float, bool]
"""(x, y, positive) in the raster's coordinates, or in pixels from its top-left corner."""

PIN_HOLE_PX = 16
SPECK_PX = 16
SQUARE_PX = 3  # walls shorter than this are absorbed when squaring without a tolerance of its own


@dataclass(frozen=True, eq=False)
class Outline:
    """One outlined target.

    geometry is a Polygon or MultiPolygon in `crs` (None: pixels from the image's top-left corner, y down), empty when
    the model found nothing; score is the mean probability inside; mask (H, W) bool lies on `grid`, the view's own grid;
    session holds the clicks in view pixels, `clicks` the same on the map (x, y, positive), in the image's crs; `bounds`
    and `gsd` are what was asked of `read_view`.
    """

    geometry: Polygon | MultiPolygon
    crs: CRS | None
    score: float
    mask: NDArray[np.bool_]
    grid: Grid
    view: View
    session: Session
    bounds: Bounds
    gsd: float | None
    clicks: tuple[MapClick, ...]

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        return dict(shapely.geometry.mapping(self.geometry))


def outline(
    image: str,
    clicks: Sequence[MapClick],
    target: str = "object",
    model: str | Predictor = "terra",
    *,
    bounds: Bounds | None = None,
    gsd: float | None = None,
    pixels: bool = False,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    simplify_m: float | None = None,
    square: bool = False,
    references: Sequence[Reference] = (),
    reading: Reading = PLAIN,
) -> Outline:
    """Outline what the clicks (x, y, positive) mean: this object, or every pixel of that kind in the view.

    Clicks, bounds and the result are in the raster's coordinates, or with `pixels` in pixels from the image's top-left
    corner (a pixel's centre is at .5). gsd in metres says at which resolution to read, never finer than the raster's.
    The outline runs where the probability crosses the model's threshold, with as few corners as it needs
    (`geo.contours`); simplify_m in metres (pixels where there is no crs) drops vertices within that tolerance
    instead, and 0 keeps the edge of every pixel. `model` is a name or any Predictor. References say what the
    thing looks like, or what it is not (`geo.references.read_reference`). `reading` says how the file is to be read
    where it does not say so itself (nodata, page, alpha, crs).

    No outline reaches where the image holds no data. Raises BadImage, NotGeoreferenced (no crs and not `pixels`),
    BadClick (outside the image or the bounds, where there is no data, none positive), BadGrid (bounds that miss the
    image), UnknownName (model), BadConfig (target).
    """
    how: dict[str, Any] = {"bounds": bounds, "gsd": gsd, "pixels": pixels, "bands": bands, "stretch": stretch}
    how |= {"simplify_m": simplify_m, "square": square, "references": references, "reading": reading}
    return next(outlines(image, [clicks], target, model, **how))


def outlines(
    image: str,
    many: Iterable[Sequence[MapClick]],
    target: str = "object",
    model: str | Predictor = "terra",
    *,
    bounds: Bounds | None = None,
    gsd: float | None = None,
    pixels: bool = False,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    simplify_m: float | None = None,
    square: bool = False,
    references: Sequence[Reference] = (),
    reading: Reading = PLAIN,
) -> Iterator[Outline]:
    """One `outline` for each group of clicks, in order; groups that share a view share its encoding."""
    kind = _target(target)
    path = resolve_image(image)
    stamp = stamp_of(path)
    info = read_info(path, reading)
    if info.grid.crs is None and not pixels:
        raise NotGeoreferenced(
            f"{path.name} {info.unplaced}; or pass --pixels (in Python pixels=True) for pixel polygons."
        )
    if simplify_m is not None and not (math.isfinite(simplify_m) and simplify_m >= 0):
        raise BadConfig(f"a tolerance of {simplify_m} was given to simplify: expected a length in metres, 0 or more.")
    groups = [_checked(clicks, info, pixels) for clicks in many]  # all of them before the first slow step
    fixed = _on_map(bounds, info.grid) if bounds is not None and pixels else bounds
    predictor = load(model) if isinstance(model, str) else model
    asked, view, grid, encoded = None, None, None, None
    for clicks in groups:
        wanted = fixed or _view_bounds(clicks, info, kind, gsd)
        if view is None or grid is None or wanted != asked:
            _check_same(path, stamp)
            view, grid = read_view(path, wanted, gsd, bands, stretch, MAX_VIEW_PX, reading)  # stop 1
            _check_same(path, stamp)
            encoded, asked = predictor.encode(view), wanted  # stop 2
        placed = _placed(clicks, grid, view)  # stop 3
        session = Session(kind, tuple(references)).answer(placed, predictor, encoded)  # stop 4
        mask = clean(session, view.valid)  # stop 5
        polygons = drawn(session.latest, mask, grid, simplify_m, view.valid, info.grid)  # stop 6
        geometry = only_real(shaped(polygons, grid, simplify_m, square), grid, view.valid, info.grid)
        crs = grid.crs
        if pixels:
            geometry, crs = _to_pixels(geometry, info.grid), None
        yield Outline(geometry, crs, score_of(session, mask), mask, grid, view, session, wanted, gsd, tuple(clicks))


def _placed(clicks: Sequence[MapClick], grid: Grid, view: View) -> Iterator[Click]:
    """Clicks on the map as clicks on a view. Raises BadClick outside the view or where it holds no picture."""
    for x, y, positive in clicks:
        click = grid.to_click(x, y, positive)
        if not grid.holds(click):
            raise BadClick(f"the click {x:.10g}, {y:.10g} lies outside the bounds {_text(grid.bounds)}: widen them.")
        check_real(click, view.valid, f"{x:.10g}, {y:.10g}")
        yield click


def _check_same(path: Path, stamp: tuple[Any, ...]) -> None:
    """Raise BadImage where a file is not the one any more that was opened."""
    if stamp_of(path) != stamp:
        raise BadImage(f"{path.name} was changed on disk while it was read: give the clicks again.")


def check_real(click: Click, valid: NDArray[np.bool_] | None, said: str) -> None:
    """Raise BadClick for an including click, called `said`, on a pixel of its view that holds no data."""
    if valid is not None and click.positive and not valid[_pixel(click, valid.shape)]:
        raise BadClick(
            f"the click {said} lies where the image holds no data (nodata, transparent, masked): click on the picture."
        )


def clean(session: Session, valid: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The latest mask fit to be drawn: for an object the clicked parts only, pin holes filled, specks dropped.

    A pin hole that was clicked away stays a hole; a speck that was clicked stays. Nothing is kept where `valid` (H, W)
    is False: there is no picture.
    """
    latest = session.latest
    if latest is None:
        raise BadClick("no click was given: add at least one click on the thing you want.")
    mask = latest.mask if valid is None else latest.mask & valid
    prompt = session.prompt
    if session.target is Target.OBJECT:
        mask = clicked_components(mask, prompt.positives)
    filled = fill_holes(mask, PIN_HOLE_PX)
    filled &= ~_parts_under(filled & ~mask, prompt.negatives)
    if valid is not None:
        filled &= valid
    return np.asarray(drop_specks(filled, SPECK_PX) | _parts_under(filled, prompt.positives), dtype=np.bool_)


def _target(name: str) -> Target:
    try:
        return Target(name)
    except ValueError:
        raise BadConfig(f"no target {name!r}: choose object (this one thing) or class (everything like it).") from None


def _checked(clicks: Sequence[MapClick], info: RasterInfo, pixels: bool) -> list[MapClick]:
    """The clicks in map coordinates, an including one first; raises BadClick if none includes or one lies outside."""
    for given in clicks:
        if not _is_click(given):
            raise BadClick(
                f"{str(given)[:80]} was given as a click: expected (x, y, positive), such as (12.5, 40, True)."
            )
    if not any(positive for _, _, positive in clicks):
        raise BadClick("no including click was given: add at least one click on the thing you want.")
    found: list[MapClick] = []
    for x, y, positive in clicks:
        at = apply(info.grid.transform, x, y) if pixels else (x, y)
        if not info.grid.holds(info.grid.to_click(*at)):
            extent = (0.0, 0.0, *map(float, info.grid.shape[::-1])) if pixels else info.grid.bounds
            raise BadClick(f"the click {x:.10g}, {y:.10g} lies outside the image, which covers {_text(extent)}.")
        found.append((*at, bool(positive)))
    start = next(index for index, click in enumerate(found) if click[2])
    return [found[start], *found[:start], *found[start + 1 :]]


def _is_click(given: object) -> bool:
    """Whether it is two finite numbers and yes or no."""
    if not isinstance(given, tuple | list) or len(given) != 3:
        return False
    x, y, positive = given
    numbers = all(isinstance(value, int | float | np.number) and math.isfinite(value) for value in (x, y))
    return numbers and isinstance(positive, bool | np.bool_ | int)


def _view_bounds(clicks: Sequence[MapClick], info: RasterInfo, target: Target, gsd: float | None) -> Bounds:
    """The default view around clicks on the map; a coarser gsd shows as many pixels of more ground."""
    native = info.grid.metres_per_pixel or 1.0
    factor = max(1.0, gsd / native) if gsd is not None and math.isfinite(gsd) else 1.0
    at = [info.grid.to_click(*click) for click in clicks]
    return info.grid.window(view_window(at, info.grid.shape, target, factor)[0]).bounds


def _on_map(bounds: Bounds, grid: Grid) -> Bounds:
    """Pixel bounds as the upright map rectangle around them."""
    left, top, right, bottom = check_bounds(bounds)
    corners = [apply(grid.transform, x, y) for x in (left, right) for y in (top, bottom)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _to_pixels(geometry: Polygon | MultiPolygon, grid: Grid) -> Polygon | MultiPolygon:
    return through(geometry, ~grid.transform)


def drawn(
    answer: Prediction | None,
    mask: NDArray[np.bool_],
    grid: Grid,
    simplify_m: float | None = None,
    valid: NDArray[np.bool_] | None = None,
    within: Grid | None = None,
) -> list[Polygon]:
    """The outlines of a mask (H, W) that was cleaned from `answer`, in the grid's crs: every outline is made here.

    simplify_m None gives as few corners as the outline needs, 0 the edge of every pixel, any other tolerance the
    line where the probability crosses the threshold, which `shaped` then simplifies.
    """
    if simplify_m == 0:
        return polygonize(mask, grid, within=within)
    probs, threshold = (None, 0.5) if answer is None else (answer.probs, answer.threshold)
    return contours(mask, grid, probs, threshold, valid, within, budget=simplify_m is None)


def shaped(polygons: list[Polygon], grid: Grid, simplify_m: float | None, square: bool) -> Polygon | MultiPolygon:
    """One geometry of all polygons, in the shape asked for."""
    if square:
        tolerance = simplify_m or SQUARE_PX * (grid.metres_per_pixel or 1.0)
        polygons = [square_corners(polygon, tolerance, grid.crs) for polygon in polygons]
    elif simplify_m:
        polygons = [simplify(polygon, simplify_m, grid.crs) for polygon in polygons]
    if len(polygons) == 1:
        return polygons[0]
    whole = shapely.union_all(polygons)  # parts may touch at a corner, or overlap once squared
    return whole if isinstance(whole, Polygon | MultiPolygon) else MultiPolygon()


def _parts_under(mask: NDArray[np.bool_], clicks: Sequence[Click]) -> NDArray[np.bool_]:
    """The 8-connected parts of a mask that lie under any of the clicks."""
    found = np.zeros_like(mask)
    box = mask_box(mask) if clicks else None
    if box is None or not any(mask[_pixel(click, mask.shape)] for click in clicks):
        return found
    labels = np.zeros(mask.shape, dtype=np.int32)
    labels[box] = cv2.connectedComponents(mask[box].astype(np.uint8), connectivity=8)[1]
    under = {int(labels[_pixel(click, mask.shape)]) for click in clicks} - {0}
    found[box] = np.isin(labels[box], list(under))
    return found


def _pixel(click: Click, shape: tuple[int, ...]) -> tuple[int, int]:
    return min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)


def score_of(session: Session, mask: NDArray[np.bool_]) -> float:
    """The mean probability inside a mask (H, W) of the session's view; 0 for an empty one."""
    latest = session.latest
    return float(latest.probs[mask].mean()) if latest is not None and mask.any() else 0.0


def _text(bounds: Sequence[float]) -> str:
    return ", ".join(f"{value:.10g}" for value in bounds)
