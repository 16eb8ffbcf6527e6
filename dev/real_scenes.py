"""Clicks on real scenes that were never trained on (see unseen_scenes.md): measures every claim, draws every picture.

    python dev/real_scenes.py mosaic naip atlanta views roads --out out/real [--model terra] [--pictures docs/images]

The development data lies in the folder of the setting TERRACLICK_SHARED (default ../shared beside the checkout).
Every robot here is the evaluation robot: the deepest pixel of the deepest error, asked of the outline as it is kept.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import rasterio
import shapely
import shapely.affinity
from affine import Affine
from pyproj import CRS, Transformer

from terraclick import load, outline
from terraclick.api import Outline
from terraclick.core.simulate import next_click
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.geo.raster import read_info, read_view, resolve_image
from terraclick.preview import draw
from terraclick.segment.points import Request
from terraclick.segment.saving import save_session, to_object
from terraclick.terra.models import PATCH_SIDE, terra_graphs
from terraclick.terra.predictor import TerraPredictor
from terraclick.values import Prompt, Target

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TERRACLICK_SHARED", ROOT / ".." / "shared"))
RASTERS = SHARED / "data" / "rasters"
CHIPS = SHARED / "data" / "devtest" / "hot_fair_oam"
ROADS = SHARED / "data" / "devtest" / "cil_roads"

WORLD = 20037508.342789244
"""Half the side of the Web Mercator square, in its metres."""

MOSAICS = {  # name: zoom, columns of 512 px pictures, rows of them (tile numbers of their first 256 px tile)
    "catanduanes_z21": (21, range(1772464, 1772472, 2), range(966380, 966384, 2)),
    "catanduanes_z20": (20, range(886232, 886236, 2), range(483190, 483192, 2)),
}

ATLANTA = "spacenet4_atlanta_pan_uint16"
ATLANTA_BUILDINGS = (  # osm_id of the first 20, by number, of those >= 150 m² that lie 4 px or more inside the picture
    *(85995, 86004, 86005, 86006, 86007, 86008, 86009, 86010, 86011, 86012),
    *(86013, 86015, 86605, 86606, 92642, 93018, 102919, 102920, 102924, 102925),
)

VIEW_OBJECTS = 8

ROAD_PICTURES = 10
"""The first so many of cil_roads, by number."""

NAIP = "naip60cm_rgbn_chico_2020_97"
NAIP_OBJECTS = {  # name: clicks in pixels (x, y, positive), placed by eye
    "house by the bend": [(25.5, 74.5, True)],
    "house across the bend": [(46.5, 150.5, True)],
    "house in the row": [(86.5, 123.5, True)],
    "eastern house": [(170.5, 50.5, True)],
    "house with a pool": [(176.5, 91.5, True)],
    "dark house": [(239.5, 124.5, True)],
    "garden": [(108.5, 43.5, True)],
}
NAIP_ROAD = [(130.5, 60.5, True), (176.5, 91.5, False), (108.5, 43.5, False)]


# --- measures --------------------------------------------------------------------------------------------------------


def iou(a: shapely.Geometry, b: shapely.Geometry) -> float:
    """Intersection over union of two areas; two empty ones agree."""
    union = a.union(b).area
    return a.intersection(b).area / union if union else 1.0


def boundary_offset(a: shapely.Geometry, b: shapely.Geometry, px: float) -> float:
    """Mean distance in pixels between two outlines, both ways, sampled every half pixel; infinite if one is empty."""
    if a.is_empty or b.is_empty:
        return float("inf")
    return sum(_mean_distance(p.boundary, q.boundary, px / 2) for p, q in ((a, b), (b, a))) / 2 / px


def _mean_distance(line: shapely.Geometry, other: shapely.Geometry, step: float) -> float:
    places = [part.interpolate(np.arange(0, part.length, step)) for part in shapely.get_parts(line)]
    return float(shapely.distance(np.concatenate(places), other).mean())


def best_shift(found: shapely.Geometry, truth: shapely.Geometry, px: float, reach: float = 4.0) -> tuple[float, float]:
    """(x, y) in pixels of map sides `px`, y up: how far `found` must move to agree with `truth` best.

    Climbs IoU from no shift, in steps of one pixel down to a thirty-second; stays within `reach` pixels.
    """
    x, y, step = 0.0, 0.0, 1.0
    best = iou(found, truth)
    while step >= 1 / 32:
        moves = [(x + i * step, y + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        tried = [(iou(shapely.affinity.translate(found, p * px, q * px), truth), p, q) for p, q in moves]
        top, p, q = max(tried)
        if top > best and max(abs(p), abs(q)) <= reach:
            best, x, y = top, p, q
        else:
            step /= 2
    return x, y


def px_of(path: str | Path) -> float:
    """Side of a pixel in map units."""
    return abs(read_info(resolve_image(str(path))).grid.transform.a)


# --- the robot -------------------------------------------------------------------------------------------------------


def robot(image: str | Path, truth: shapely.Geometry, model, most: int, target: str = "object", **how) -> list[Outline]:
    """Outline after 1, 2 … `most` clicks of the evaluation robot; stops early when nothing is wrong any more."""
    info = read_info(resolve_image(str(image)))
    # the first click: deepest pixel of the truth on the image's own grid
    clicked = next_click(np.zeros(info.grid.shape, bool), rasterize([truth], info.grid))
    clicks = [(*info.grid.to_map(clicked.row, clicked.col), True)]
    steps = []
    while True:
        found = outline(str(image), clicks, target, model, **how)
        steps.append(found)
        wrong = next_click(found.mask, rasterize([truth], found.grid), clicked=found.sequence.clicks)
        if wrong is None or len(clicks) == most:
            return steps
        clicks.append((*found.grid.to_map(wrong.row, wrong.col), wrong.positive))


# --- scenes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """An image and the outlines known on it, by name, in its coordinates."""

    path: Path
    truths: dict[str, shapely.Geometry]


def tile_grid(zoom: int, x: int, y: int, columns: int, rows: int) -> Grid:
    """The grid of 256 px Web Mercator tiles from tile (x, y) on: `columns` to the right, `rows` down."""
    px = 2 * WORLD / (256 * 2**zoom)
    corner = Affine(px, 0, x * 256 * px - WORLD, 0, -px, WORLD - y * 256 * px)
    return Grid(corner, CRS.from_epsg(3857), (rows * 256, columns * 256))


def mosaic(name: str, folder: Path) -> Scene:
    """Lay neighbouring chips side by side as one GeoTIFF; truths are their buildings, joined over the seams."""
    zoom, columns, rows = MOSAICS[name]
    pictures, numbers = [], []
    for row, y in enumerate(rows):
        names = [f"aoi4_catanduanes_z{zoom}_{x}_{y}" for x in columns]
        pictures.append([cv2.imread(str(CHIPS / "images" / f"{chip}.jpg"))[..., ::-1] for chip in names])
        masks = [cv2.imread(str(CHIPS / "instances" / f"{chip}.png"), cv2.IMREAD_UNCHANGED) for chip in names]
        # numbers start anew in every chip
        numbers.append([np.where(m > 0, m + 1000 * (row * len(names) + k + 1), 0) for k, m in enumerate(masks)])
    image, instances = _blocks(pictures), _blocks(numbers)
    grid = tile_grid(zoom, columns[0], rows[0], 2 * len(columns), 2 * len(rows))
    path = folder / f"{name}.tif"
    write_tif(path, image, grid)
    return Scene(path, _joined(instances, grid))


def _blocks(lines: list[list[np.ndarray]]) -> np.ndarray:
    return np.vstack([np.hstack(line) for line in lines])


def _joined(instances: np.ndarray, grid: Grid) -> dict[str, shapely.Geometry]:
    """Buildings as polygons; pieces that share a seam of pixels' length are one."""
    px = abs(grid.transform.a)
    pieces = [shapely.union_all(polygonize(instances == number, grid)) for number in np.unique(instances) if number > 0]
    whole: list[shapely.Geometry] = []
    for piece in pieces:
        touching = [k for k, other in enumerate(whole) if _share_seam(piece, other, px)]
        for k in reversed(touching):
            piece = piece.union(whole.pop(k))
        whole.append(piece)
    return {f"building {k}": piece for k, piece in enumerate(whole)}


def _share_seam(a: shapely.Geometry, b: shapely.Geometry, px: float) -> bool:
    """Whether two pieces touch over 8 px or more on a chip's straight edge."""
    if not a.intersects(b):
        return False
    common = a.intersection(b)
    left, low, right, high = common.bounds
    return common.length >= 8 * px and min(right - left, high - low) < 1e-6


def write_tif(path: Path, image: np.ndarray, grid: Grid) -> None:
    """A tiled RGB GeoTIFF."""
    rows, cols = grid.shape
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": 3, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", **profile, crs=grid.crs.to_wkt(), transform=grid.transform) as file:
        file.write(np.ascontiguousarray(image.transpose(2, 0, 1)))


def atlanta() -> Scene:
    """The 16-bit panchromatic scene and its 20 named buildings."""
    found = json.loads((RASTERS / f"{ATLANTA}_buildings.geojson").read_text())["features"]
    by_id = {feature["properties"]["osm_id"]: shapely.geometry.shape(feature["geometry"]) for feature in found}
    return Scene(RASTERS / f"{ATLANTA}.tif", {str(number): by_id[number] for number in ATLANTA_BUILDINGS})


def sample(kind: str = "building", least_m2: float = 60.0) -> Scene:
    """The packaged scene (made up, truth exact to the pixel): things of a kind wholly inside it, of one piece."""
    path = resolve_image("sample")
    grid = read_info(path).grid
    to_map = Transformer.from_crs(4326, grid.crs, always_xy=True)
    truths = {}
    for feature in json.loads(path.with_name("sample_truth.geojson").read_text())["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        if feature["properties"]["class"] == kind:
            shape = shape.geoms[0] if len(shape.geoms) == 1 else shape
            moved = shapely.transform(shape, to_map.transform, interleaved=False)
            if moved.area >= least_m2:
                truths[f"{kind} {feature['properties']['id']}"] = moved
    inside = shapely.box(*grid.bounds).buffer(-4 * abs(grid.transform.a))
    if kind == "road":
        return Scene(path, truths)
    return Scene(path, {n: g for n, g in truths.items() if inside.contains(g) and isinstance(g, shapely.Polygon)})


def spread(scene: Scene, count: int, least_px: float) -> dict[str, shapely.Geometry]:
    """A fixed choice: of all things of `least_px` pixels or more that lie inside the scene, every k-th by area."""
    grid = read_info(scene.path).grid
    px = abs(grid.transform.a)
    inside = shapely.box(*grid.bounds).buffer(-4 * px)
    fitting = {n: g for n, g in scene.truths.items() if g.area >= least_px * px**2 and inside.contains(g)}
    ordered = sorted(fitting, key=lambda name: (fitting[name].area, name))
    chosen = [ordered[round(k)] for k in np.linspace(0, len(ordered) - 1, min(count, len(ordered)))]
    return {name: fitting[name] for name in chosen}


# --- tables ----------------------------------------------------------------------------------------------------------


def table(title: str, head: list[str], rows: list[list[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(f'{v:.3f}' if isinstance(v, float) else str(v) for v in row)} |")


def by_clicks(scene: Scene, truths: dict[str, shapely.Geometry], model, most: int = 3) -> list[list[Outline]]:
    """Robot clicks on every truth, with a table of IoU, boundary offset and shift after the last click."""
    px = px_of(scene.path)
    rows, runs = [], []
    for name, truth in truths.items():
        steps = robot(scene.path, truth, model, most)
        ious = [iou(step.geometry, truth) for step in steps]
        ious += ious[-1:] * (most - len(ious))
        last = steps[-1].geometry
        shift = best_shift(last, truth, px) if ious[-1] > 0.5 else (float("nan"),) * 2
        rows.append([name, round(truth.area / px**2), *ious, boundary_offset(last, truth, px), *shift])
        runs.append(steps)
    numbers = np.array([row[1:] for row in rows], float)
    rows.append(["**median**", *(float(v) for v in np.nanmedian(numbers, axis=0))])
    clicks = [f"IoU@{k + 1}" for k in range(most)]
    table(scene.path.stem, ["object", "px", *clicks, "offset px", "shift x", "shift y"], rows)
    return runs


def save(path: Path, scene: Scene, runs: list[list[Outline]], model: str, kind: str) -> None:
    """The last outline of every run in a GeoPackage."""
    grid = read_info(scene.path).grid
    results = (
        (to_object(run[-1], Request(str(k), kind, run[-1].clicks), str(scene.path), model), run[-1])
        for k, run in enumerate(runs)
    )
    kept = save_session(path, scene.path, results, grid.crs, None, "auto", overwrite=True)
    print(f"{len(kept)} objects in {path}")


def picture(path: Path, image: Path, drawings, bounds=None, zoom: int = 1, credit: str = "", side: int = 1400) -> None:
    """Image, outlines, clicks and a line of credit as a small JPEG."""
    view, grid = read_view(image, bounds, None, None, "auto", 4096)
    canvas = draw(view.image, grid, drawings, zoom)
    if max(canvas.shape) > side:
        scale = side / max(canvas.shape)
        canvas = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    write_jpeg(path, canvas, credit)


def write_jpeg(path: Path, canvas: np.ndarray, credit: str) -> None:
    """An RGB picture with its credit in the lower left corner."""
    canvas = canvas.copy()
    if credit:
        (width, height), _ = cv2.getTextSize(credit, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        bottom = canvas.shape[0]
        cv2.rectangle(canvas, (0, bottom - height - 12), (width + 12, bottom), (0, 0, 0), -1)
        cv2.putText(canvas, credit, (6, bottom - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])


def drawn(runs: list[list[Outline]]):
    return [(run[-1].geometry, run[-1].clicks) for run in runs]


# --- what is shown ---------------------------------------------------------------------------------------------------


def show_mosaic(model: str, out: Path, pictures: Path) -> None:
    """15 buildings on each mosaic of Catanduanes chips."""
    for name in MOSAICS:
        scene = mosaic(name, out)
        runs = by_clicks(scene, spread(scene, 15, 400), load(model))
        save(out / f"{name}.gpkg", scene, runs, model, "building")
        if name.endswith("z21"):
            credit = "Image: OpenAerialMap contributors, CC BY 4.0 (Catanduanes, Philippines)"
            picture(pictures / "real_mosaic.jpg", scene.path, drawn(runs), credit=credit)


def show_naip(model: str, out: Path, pictures: Path) -> None:
    """A few objects and the road class on a 4-band NAIP tile (bands 1, 2, 3)."""
    path = RASTERS / f"{NAIP}.tif"
    predictor = load(model)
    grid = read_info(path).grid

    def on_map(clicks):
        return [(*grid.to_map(y - 0.5, x - 0.5), positive) for x, y, positive in clicks]

    things = [outline(str(path), on_map(c), "object", predictor, bands=(1, 2, 3)) for c in NAIP_OBJECTS.values()]
    roads = outline(str(path), on_map(NAIP_ROAD), "class", predictor, bands=(1, 2, 3))
    rows = [[n, round(o.geometry.area), o.score] for n, o in zip(NAIP_OBJECTS, things, strict=True)]
    table(
        NAIP, ["object (one click)", "m2", "score"], [*rows, ["road (class)", round(roads.geometry.area), roads.score]]
    )
    credit = "Image: NAIP, USDA, public domain (Chico, California)"
    halves = []
    for k, drawings in enumerate(([(o.geometry, o.clicks) for o in things], [(roads.geometry, roads.clicks)])):
        half = out / f"naip_{k}.jpg"
        picture(half, path, drawings, zoom=3, credit=credit if k == 0 else "")
        halves.append(cv2.imread(str(half))[..., ::-1])
    write_jpeg(
        pictures / "real_naip.jpg",
        np.hstack([halves[0], np.full((halves[0].shape[0], 8, 3), 255), halves[1]]).astype(np.uint8),
        "",
    )


def show_atlanta(model: str, out: Path, pictures: Path) -> None:
    """20 named buildings of the 16-bit panchromatic scene, at most three clicks each."""
    scene = atlanta()
    runs = by_clicks(scene, scene.truths, load(model))
    save(out / "atlanta.gpkg", scene, runs, model, "building")
    credit = "Image: SpaceNet 4 (Maxar), CC BY-SA 4.0 (Atlanta)"
    picture(pictures / "real_atlanta.jpg", scene.path, drawn(runs), credit=credit, zoom=1, side=1000)


def show_views(model: str, out: Path, pictures: Path) -> None:
    """The same clicks read at three extents and three zooms: do the outlines agree?"""
    cases = [("sample", sample(), 1200), ("catanduanes_z21", mosaic("catanduanes_z21", out), 4000)]
    predictor = load(model)
    for (name, scene, least), most in itertools.product(cases, (1, 3)):
        rows, grid = [], read_info(scene.path).grid
        px, gsd = abs(grid.transform.a), grid.metres_per_pixel
        every = {"extents": [], "zooms": [], "all": []}
        for thing, truth in spread(scene, VIEW_OBJECTS, least).items():
            clicks = robot(scene.path, truth, predictor, most)[-1].clicks
            found = {}
            for side, zoom in itertools.product((512, 768, 1024), (1.0, 1.5, 2.0)):
                bounds = around(clicks[0], side * px, grid.bounds)
                found[side, zoom] = outline(
                    str(scene.path), clicks, "object", predictor, bounds=bounds, gsd=gsd * zoom
                ).geometry
            kinds = {"extents": [], "zooms": [], "all": []}
            for a, b in itertools.combinations(found, 2):
                value = iou(found[a], found[b])
                kinds["all"].append(value)
                if a[1] == b[1]:
                    kinds["extents"].append(value)
                if a[0] == b[0]:
                    kinds["zooms"].append(value)
            for kind, values in kinds.items():
                every[kind] += values
            fits = [iou(g, truth) for g in found.values()]
            label = f"{name} {thing}, {len(clicks)} clicks"
            rows.append([label, round(truth.area / px**2), *_spans(kinds), f"{min(fits):.2f} … {max(fits):.2f}"])
        rows.append([f"**{name}, <= {most} clicks: all**", "", *_spans(every), ""])
        table(
            "same clicks, other views: pairwise IoU (least / median)",
            ["", "px", "extents", "zooms", "all", "IoU with truth"],
            rows,
        )


def _spans(kinds: dict[str, list[float]]) -> list[str]:
    return [f"{min(v):.3f} / {median(v):.3f}" for v in kinds.values()]


def around(click, side: float, limits) -> tuple[float, float, float, float]:
    """A square of map side `side` around a click, moved inside the limits where it fits."""
    left = min(max(click[0] - side / 2, limits[0]), max(limits[2] - side, limits[0]))
    low = min(max(click[1] - side / 2, limits[1]), max(limits[3] - side, limits[1]))
    return left, low, min(left + side, limits[2]), min(low + side, limits[3])


def show_roads(model: str, out: Path, pictures: Path) -> None:
    """One click on a road that crosses patches: how much of it is found where no click is?"""
    rows = []
    chips = sorted((ROADS / "masks").glob("*.png"), key=lambda p: int(re.sub(r"\D", "", p.stem)))[:ROAD_PICTURES]
    for number in (3,):
        results = []
        for chip in chips:
            truth = cv2.imread(str(chip), cv2.IMREAD_UNCHANGED) == 1
            image = cv2.imread(str(ROADS / "images" / f"{chip.stem}.jpg"))[..., ::-1].copy()
            found = road_recall(image, truth, number, ("terra-single", f"division {number}"))
            if found is not None:
                results.append(found)
        rows += _road_rows(f"cil_roads, {len(results)} pictures, n={number}", results)
    view, grid = read_view(resolve_image("sample"))
    truth = rasterize(sample("road").truths.values(), grid)
    patched = ("terra-single", "terra", "terra-fused")
    kept: dict[str, np.ndarray] = {}
    rows += _road_rows("sample, 448 px patches", [road_recall(view.image, truth, None, patched, kept)])
    table(
        "one click on a road, recall (precision) in patches without a click",
        ["scene", "model", "recall away", "precision away", "IoU, whole view"],
        rows,
    )
    side_by_side(pictures / "real_roads.jpg", view.image, truth, kept)


def _road_rows(name: str, results) -> list[list[object]]:
    models = results[0].keys()
    return [[name, m, *(float(np.median([r[m][k] for r in results])) for k in range(3))] for m in models]


@functools.lru_cache
def _for_classes(name: str):
    """The predictor that answers class targets."""
    if name.startswith("division "):
        return TerraPredictor(terra_graphs(), int(name.split()[1]), PATCH_SIDE)
    found = load(name)
    return found.inners[Target.CLASS] if hasattr(found, "inners") else found


def road_recall(image, truth, number, models, kept=None):
    """Recall, precision away from the click and IoU by model, for one click on the road that crosses most patches.

    `number` is the division whose patches count (None: 448 px patches). None if no road crosses three of them.
    """
    from terraclick.values import View

    view = View(image)
    windows = _for_classes("terra" if number is None else f"division {number}").encode(view).windows
    labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)[1]
    crossed = {k: sum((labels[w.slices] == k).any() for w in windows) for k in range(1, labels.max() + 1)}
    best = max(crossed, key=lambda k: (crossed[k], int((labels == k).sum())), default=None)
    if best is None or crossed[best] < 3:
        return None
    click = next_click(np.zeros(truth.shape, bool), labels == best)
    away = np.ones(truth.shape, bool)
    for window in windows:
        if window.contains(click.row, click.col):
            away[window.slices] = False
    if not (truth & away).any():
        return None
    found = {}
    for name in models:
        predictor = _for_classes(name)
        mask = predictor.predict(predictor.encode(view), Prompt((click,), Target.CLASS), None).mask
        hit = np.count_nonzero(mask & truth & away)
        precision = hit / max(1, np.count_nonzero(mask & away))
        whole = np.count_nonzero(mask & truth) / max(1, np.count_nonzero(mask | truth))
        found[name] = (hit / np.count_nonzero(truth & away), precision, whole)
        if kept is not None:
            kept[name] = mask
            kept["click"] = np.array([click.row, click.col])
    return found


def side_by_side(path: Path, image, truth, kept) -> None:
    """The answers of several models beside each other: found in yellow, missed in red."""
    row, col = (round(v) for v in kept.pop("click"))
    parts = []
    for name, mask in kept.items():
        canvas = image.copy()
        for where, colour in ((mask, (255, 225, 30)), (truth & ~mask, (230, 40, 40))):
            canvas[where] = (0.55 * canvas[where] + 0.45 * np.array(colour)).astype(np.uint8)
        cv2.circle(canvas, (col, row), 16, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, (col, row), 12, (40, 200, 70), -1, cv2.LINE_AA)
        small = cv2.resize(canvas, (560, 560), interpolation=cv2.INTER_AREA)
        cv2.putText(small, name, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(small, name, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
        parts += [small, np.full((560, 8, 3), 255, np.uint8)]
    write_jpeg(path, np.hstack(parts[:-1]), "")


SHOWS = {
    "mosaic": show_mosaic,
    "naip": show_naip,
    "atlanta": show_atlanta,
    "views": show_views,
    "roads": show_roads,
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("shows", nargs="*", help=f"of {', '.join(SHOWS)} (default: all)")
    words.add_argument("--model", default="terra")
    words.add_argument("--out", type=Path, default=Path("out/real"))
    words.add_argument("--pictures", type=Path, help="where the JPEGs go (default: the folder of --out)")
    given = words.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.shows or SHOWS:
        SHOWS[name](given.model, given.out, given.pictures or given.out)


if __name__ == "__main__":
    main()
