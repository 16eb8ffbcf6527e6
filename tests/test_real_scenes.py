"""Where outlines lie, measured on real and generated scenes: half a pixel or a wrong coordinate system must show.

Real labels are drawn by hand and lie a pixel or two off, so half a pixel is looked for where the truth is exact: on the
packaged scene. A wrong coordinate system is looked for on a real one. Scenes: dev/unseen_scenes.md.
"""

import runpy
import sys
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
import rasterio
import shapely
from pyproj import CRS, Transformer

import terraclick.geo.raster as raster_module
from terraclick import load, outline
from terraclick.geo.grid import Grid

real = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "dev" / "real_scenes.py")))


@pytest.fixture
def mistaken(monkeypatch):
    """Make every view that `outline` reads lie elsewhere than it does."""
    right = raster_module.read_view

    def mistake(change):
        def read(*args):
            view, grid = right(*args)
            return view, Grid(*change(grid.transform, grid.crs), grid.shape)

        monkeypatch.setattr(sys.modules["terraclick.api"], "read_view", read)

    return mistake


def shift_of(scene, truths, model):
    """Median (x, y) in pixels by which outlines of three clicks that fit the truth must move, and how many fit."""
    px = real.px_of(scene.path)
    shifts = []
    for truth in truths:
        found = real.robot(scene.path, truth, model, 3)[-1].geometry
        if real.iou(found, truth) > 0.6:
            shifts.append(real.best_shift(found, truth, px))
    return [median(values) for values in zip(*shifts, strict=True)], len(shifts)


@pytest.mark.parametrize("x, y", [(0.0, 0.0), (0.5, -0.5), (-1.25, 0.75)])
def test_the_measure_finds_a_known_shift(x, y):
    truth = shapely.box(10, 10, 40, 30)
    moved = shapely.affinity.translate(truth, -2 * x, -2 * y)
    assert real.best_shift(moved, truth, px=2.0) == (x, y)
    assert real.boundary_offset(truth, truth.buffer(3, join_style="mitre"), 2.0) == pytest.approx(1.5, abs=0.1)


def test_tiles_lie_where_web_mercator_says():
    """Tile corners against their longitude and latitude, which the chips' own list gives."""
    grid = real.tile_grid(20, 886232, 483190, 2, 2)
    to_degrees = Transformer.from_crs(3857, 4326, always_xy=True)
    left, bottom, right, top = grid.bounds
    west, south = to_degrees.transform(left, bottom)
    east, north = to_degrees.transform(right, top)
    listed = (124.26361083984375, 13.968719455908257, 124.26429748535156, 13.969385794736821)
    assert (west, south, east, north) == pytest.approx(listed, abs=1e-9)
    assert grid.metres_per_pixel == pytest.approx(0.1445, abs=2e-4)


@pytest.mark.slow
def test_outlines_lie_on_the_labels_of_the_real_scene(shared):
    """Labels and answers differ by pixels here, so only a coarse shift (or a flipped axis) would show."""
    scene = real.atlanta()
    (x, y), fitting = shift_of(scene, scene.truths.values(), load("terra"))
    assert fitting >= 4
    assert abs(x) < 2.5 and abs(y) < 2.5


def test_another_zone_shows_on_the_real_scene(shared, mistaken):
    """Zone 17 instead of 16: the same numbers, 560 km away once anybody asks where that is."""
    scene = real.atlanta()
    truth = scene.truths["86009"]
    at = truth.representative_point()
    ground = Transformer.from_crs(32616, 4326, always_xy=True).transform
    there = shapely.transform(truth, ground, interleaved=False)
    for change, right in ((lambda t, crs: (t, crs), True), (lambda t, crs: (t, CRS.from_epsg(32617)), False)):
        mistaken(change)
        found = outline(str(scene.path), [(at.x, at.y, True)], model="grabcut")
        to_degrees = Transformer.from_crs(found.crs, 4326, always_xy=True).transform
        placed = shapely.transform(found.geometry, to_degrees, interleaved=False)
        assert placed.intersects(there) is right


def test_mosaic_joins_its_chips(shared, tmp_path):
    scene = real.mosaic("catanduanes_z20", tmp_path)
    with rasterio.open(scene.path) as file:
        assert (file.width, file.height, file.crs.to_epsg()) == (1024, 512, 3857)
        seam = (file.bounds.left + file.bounds.right) / 2
    assert any(g.bounds[0] < seam < g.bounds[2] for g in scene.truths.values())
