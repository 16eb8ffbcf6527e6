"""A scene mapped tile by tile: the same bytes however it ran, and what becomes of the map."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from terraclick.classmap.job import map_scene, run_map
from terraclick.classmap.model import MAP_MODELS, LandClass, MapModelSpec, MapSpec, load_map
from terraclick.classmap.polygons import class_seed, object_seed
from terraclick.classmap.tiles import MapJob, plan_tiles
from terraclick.cli import cli
from terraclick.errors import BadConfig, BadGrid, BadOutput, BadWeights, UnknownName
from terraclick.geo.classmap import class_patches, heat_classes, read_classes, read_legend
from terraclick.geo.raster import read_info, read_view
from terraclick.store.geopackage import open_store
from terraclick.values import Target, Window


def write_scene(path, image, nodata=None, crs="EPSG:32633"):
    rows, cols = image.shape[:2]
    place = {"transform": Affine(0.5, 0, 500000, 0, -0.5, 4650000), "crs": crs, "nodata": nodata}
    if crs is None:
        place = {"nodata": nodata}
    options = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": rows, "width": cols}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **options, **place) as file:
            file.write(image.transpose(2, 0, 1))
    return path


def patchwork(rows=420, cols=530, seed=0):
    """Green and grey fields with soft noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((rows // 50 + 1, cols // 50 + 1)) > 0.5
    green = np.kron(coarse, np.ones((50, 50), bool))[:rows, :cols]
    image = np.where(green[..., None], (60, 150, 50), (150, 140, 135)) + rng.integers(-12, 12, (rows, cols, 3))
    image = np.maximum(image, 1)
    return image.astype(np.uint8), green


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "fields.tif", patchwork()[0])


@pytest.fixture(scope="module")
def mapped(scene, tmp_path_factory):
    """(report, bytes of the map, of the confidence) of a plain local run."""
    folder = tmp_path_factory.mktemp("maps")
    report = map_scene(MapJob(str(scene), "greenness"), folder / "a.tif", confidence=folder / "sure.tif")
    return report, folder


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def levels(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read(1)


def test_the_map_is_right_and_a_cog_with_colours(mapped):
    report, folder = mapped
    assert np.mean((levels(folder / "a.tif") == 2) == patchwork()[1]) > 0.97
    with rasterio.open(folder / "a.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.colormap(1)[2] == (0x2E, 0x9E, 0x45, 255)
        assert file.nodata == 0
        assert file.crs.to_epsg() == 32633
        assert file.transform == read_info(folder / "a.tif").grid.transform == report.grid.transform
    assert read_legend(folder / "a.tif") == {1: "other", 2: "vegetation"}
    assert not (folder / "a.tif.work").exists()
    sure = levels(folder / "sure.tif")
    assert sure.min() >= 50
    assert sure.max() <= 100


@pytest.mark.parametrize("executor", ["processes", pytest.param("dask", marks=pytest.mark.slow)])
def test_every_executor_gives_the_same_bytes(scene, mapped, tmp_path, executor):
    if executor == "dask":
        pytest.importorskip("distributed")
    words = f"map {scene} --model greenness --out {tmp_path / 'a.tif'} --confidence {tmp_path / 'sure.tif'}"
    command = [
        sys.executable,
        "-c",
        "from terraclick.cli import main; main()",
        *words.split(),
        "--executor",
        executor,
        "--workers",
        "2",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    for name in ("a.tif", "sure.tif"):
        assert digest(tmp_path / name) == digest(mapped[1] / name)


class Stop(Exception):
    """A power cut."""


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(scene, mapped, tmp_path, after):
    def stop(done, total):
        if done > after:
            raise Stop

    job, out = MapJob(str(scene), "greenness"), tmp_path / "a.tif"
    options = {"confidence": tmp_path / "sure.tif"}
    with pytest.raises(Stop):
        map_scene(job, out, progress=stop, **options)
    assert not out.exists()
    with pytest.raises(BadConfig, match="--resume"):
        map_scene(job, out, **options)
    with pytest.raises(BadConfig, match="another run's work"):
        map_scene(MapJob(str(scene), "greenness", overlap=0.1), out, resume=True, **options)
    seen = []
    report = map_scene(job, out, resume=True, progress=lambda done, total: seen.append(done), **options)
    assert seen[0] == after // 3 * 3  # whole rows of tiles are kept
    assert report.tiles == seen[-1] - seen[0]
    for name in ("a.tif", "sure.tif"):
        assert digest(tmp_path / name) == digest(mapped[1] / name)


def test_a_killed_process_goes_on_where_it_was(scene, mapped, tmp_path):
    """SIGKILL in the middle, as the kernel does it."""
    code = f"""
import os
from pathlib import Path
from terraclick.classmap.job import map_scene
from terraclick.classmap.tiles import MapJob
def stop(done, total):
    if done == 5:
        os.kill(os.getpid(), 9)
map_scene(MapJob({str(scene)!r}, "greenness"), Path({str(tmp_path / "a.tif")!r}), progress=stop)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == -9
    map_scene(MapJob(str(scene), "greenness"), tmp_path / "a.tif", resume=True)
    assert digest(tmp_path / "a.tif") == digest(mapped[1] / "a.tif")


def test_a_worker_killed_midway_changes_no_byte(scene, mapped, tmp_path):
    killed = []

    def kill(done, total):
        if done == 2:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    map_scene(MapJob(str(scene), "greenness"), tmp_path / "a.tif", executor="processes", workers=2, progress=kill)
    assert len(killed) == 1 and digest(tmp_path / "a.tif") == digest(mapped[1] / "a.tif")


def test_a_part_of_the_scene_gets_the_classes_of_the_whole(scene, mapped, tmp_path):
    left, top = 500000 + 0.5 * 131, 4650000 - 0.5 * 77
    job = MapJob(str(scene), "greenness", bounds=(left, top - 0.5 * 200, left + 0.5 * 333, top))
    report = map_scene(job, tmp_path / "part.tif")
    assert report.grid.shape == (200, 333)
    assert np.array_equal(levels(tmp_path / "part.tif"), levels(mapped[1] / "a.tif")[77:277, 131:464])
    with pytest.raises(BadGrid, match="miss the scene"):
        map_scene(MapJob(str(scene), "greenness", bounds=(0, 0, 1, 1)), tmp_path / "none.tif")


def test_no_data_stays_no_data(tmp_path):
    image, _ = patchwork(300, 300)
    image[:, :120] = 0
    report = map_scene(MapJob(str(write_scene(tmp_path / "s.tif", image, 0)), "greenness"), tmp_path / "a.tif")
    found = levels(tmp_path / "a.tif")
    assert (found[:, :120] == 0).all()
    assert (found[:, 120:] > 0).all()
    assert sum(report.pixels.values()) == 300 * 180


def test_a_coarser_gsd_maps_fewer_pixels_of_the_same_ground(scene, tmp_path):
    report = map_scene(MapJob(str(scene), "greenness", gsd=1.0), tmp_path / "a.tif")
    assert report.grid.shape == (210, 265)
    assert report.grid.bounds == pytest.approx(read_info(scene).grid.bounds)


def test_tiles_cover_the_part_and_their_weights_never_vanish():
    plan = plan_tiles((1000, 700), Window(100, 50, 333, 444), 256, 0.25)
    for axis, (first, length) in enumerate(((100, 333), (50, 444))):
        starts = plan.needed(axis)
        covered = np.zeros(1300, bool)
        for start in starts:
            covered[start : start + 256] = True
        assert covered[first : first + length].all()
        assert plan.weight(axis).min() > 1e-4
        assert len(plan.weight(axis)) == length


class Steps:
    """A model whose logits depend on the place within the tile: seams would show at once."""

    spec = MapSpec((LandClass(1, "a", "#ff0000"), LandClass(7, "b", "#00ff00")), side=64)

    def __call__(self, image):
        bright = image.mean(axis=2).astype(np.float32) / 255 - 0.5
        lean = np.linspace(-0.2, 0.2, 64, dtype=np.float32)[None]
        return np.stack([bright + lean, -bright - lean]), np.stack([bright, -bright])


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.setitem(MAP_MODELS, "steps", MapModelSpec("test", "none", lambda threads: Steps()))
    load_map.cache_clear()
    yield
    load_map.cache_clear()


def test_overlaps_are_blended_without_a_seam(steps, tmp_path):
    """On an even picture the blended logit moves from tile to tile by small steps, though each tile jumps by 0.4."""
    scene = write_scene(tmp_path / "even.tif", np.full((200, 300, 3), 128, np.uint8))
    heat = tmp_path / "heat.tif"
    map_scene(
        MapJob(str(scene), "steps", overlap=0.5), tmp_path / "a.tif", confidence=tmp_path / "s.tif", heatmaps=heat
    )
    sure = levels(tmp_path / "s.tif")[100].astype(int)
    assert np.abs(np.diff(sure)).max() <= 2
    with rasterio.open(heat) as file:
        assert file.count == 2
        assert file.descriptions == ("heat of a, percent", "heat of b, percent")
        assert np.abs(file.read(1).astype(int) - 50).max() <= 1


def test_polygons_share_their_borders_and_make_a_session(scene, tmp_path):
    out, polygons = tmp_path / "a.tif", tmp_path / "a.gpkg"
    report = run_map(MapJob(str(scene), "greenness"), out, polygons=polygons, simplify_m=1.0)
    with open_store(polygons) as store:
        objects, classes = store.objects(), store.classes()
    assert report.polygons == len(objects) > 5
    assert {o.status for o in objects} == {"proposed"}
    assert [o.score for o in objects] == sorted(o.score for o in objects)
    assert {c.name: c.colour for c in classes} == {"other": "#b8b0a0", "vegetation": "#2e9e45"}
    parts = [part for o in objects for part in shapely.get_parts(o.geometry)]
    assert shapely.coverage_is_valid(parts)
    assert sum(part.area for part in parts) == pytest.approx(420 * 530 * 0.25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gpkg", "a.tif", "a.tif.aux.xml"]


def test_three_classes_that_meet_in_the_middle_of_an_edge_share_all_their_vertices(tmp_path):
    """The long straight border of one class gets a vertex where the other two meet on it."""
    values = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 3, 3], [1, 1, 3, 3]], np.uint8)
    values = np.kron(values, np.ones((4, 4), np.uint8))
    with rasterio.open(
        tmp_path / "m.tif",
        "w",
        driver="GTiff",
        dtype="uint8",
        count=1,
        height=16,
        width=16,
        crs="EPSG:32633",
        transform=Affine(1, 0, 0, 0, -1, 16),
        nodata=0,
    ) as file:
        file.write(values, 1)
    patches = class_patches(tmp_path / "m.tif", read_info(tmp_path / "m.tif").grid, 1)
    assert [(p.value, p.pixels) for p in patches] == [(1, 128), (2, 64), (3, 64)] or len(patches) == 3
    assert shapely.coverage_is_valid([p.polygon for p in patches])
    assert sorted(len(p.polygon.exterior.coords) for p in patches) == [5, 5, 6]


def test_specks_go_to_their_neighbour(tmp_path):
    image, _ = patchwork(120, 120)
    image[:] = (150, 140, 135)
    image[40:45, 40:45] = (60, 150, 50)
    scene = write_scene(tmp_path / "s.tif", image)
    map_scene(MapJob(str(scene), "greenness"), tmp_path / "a.tif")
    grid = read_info(scene).grid
    assert len(class_patches(tmp_path / "a.tif", grid, 1)) == 2
    assert [p.pixels for p in class_patches(tmp_path / "a.tif", grid, 64)] == [120 * 120]


def test_maps_are_seeds_of_sessions(scene, mapped):
    """A class seed is what the map says in the view; an object seed is one piece; a click goes on from either."""
    path = mapped[1] / "a.tif"
    view, grid = read_view(scene, bounds=(500020, 4649860, 500120, 4649960))
    session = class_seed(path, "vegetation", grid)
    assert session.target is Target.CLASS
    assert np.array_equal(session.latest.mask, levels(path)[80:280, 40:240] == 2)
    with pytest.raises(BadConfig, match="it has other, vegetation"):
        class_seed(path, "water", grid)
    patch = max(
        class_patches(path, grid.__class__(read_info(path).grid.transform, grid.crs, (420, 530)), 64),
        key=lambda p: p.pixels,
    )
    piece = object_seed(patch.polygon, grid)
    assert piece.target is Target.OBJECT
    assert (piece.latest.mask & (levels(path)[80:280, 40:240] != patch.value)).mean() < 0.01
    assert view.shape == grid.shape


def test_a_map_is_read_on_another_grid(mapped):
    path = mapped[1] / "a.tif"
    grid = read_info(path).grid
    assert np.array_equal(read_classes(path, grid), levels(path))
    assert np.array_equal(read_classes(path, grid.window(Window(-5, -5, 20, 20)))[5:, 5:], levels(path)[:15, :15])
    assert (read_classes(path, grid.window(Window(-5, -5, 20, 20)))[:5] == 0).all()
    coarse = read_classes(path, grid.resized((210, 265)))
    assert np.array_equal(coarse, levels(path)[1::2, 1::2])


def test_wrong_words_are_answered_in_one_sentence(scene, tmp_path):
    job = MapJob(str(scene), "greenness")
    with pytest.raises(UnknownName, match="Known: land-cover, greenness"):
        map_scene(MapJob(str(scene), "geenness"), tmp_path / "a.tif")
    with pytest.raises(BadWeights, match="describes no map model"):
        map_scene(MapJob(str(scene), str(tmp_path)), tmp_path / "a.tif")
    with pytest.raises(BadConfig, match="no heatmaps"):
        map_scene(job, tmp_path / "a.tif", heatmaps=tmp_path / "h.tif")
    with pytest.raises(BadOutput, match=r"\.tif"):
        map_scene(job, tmp_path / "a.png")
    with pytest.raises(BadConfig, match="overlap"):
        MapJob(str(scene), "greenness", overlap=0.7)
    (tmp_path / "b.tif").touch()
    with pytest.raises(BadOutput, match="already exists"):
        map_scene(job, tmp_path / "b.tif")


def test_a_picture_without_a_place_is_mapped_in_pixels(tmp_path):
    scene = write_scene(tmp_path / "s.tif", patchwork(130, 140)[0], crs=None)
    report = run_map(MapJob(str(scene), "greenness"), tmp_path / "a.tif", polygons=tmp_path / "a.geojson")
    shapes = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert report.polygons == len(shapes) > 0
    whole = shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in shapes])
    assert whole.bounds == (0, 0, 140, 130)


def test_the_verb_maps_and_explains(steps, tmp_path):
    scene = write_scene(tmp_path / "s.tif", patchwork(100, 130)[0])
    words = ["map", str(scene), "--model", "steps", "--out", str(tmp_path / "a.tif"), "--json"]
    done = CliRunner().invoke(cli, [*words, "--explain", str(tmp_path / "why")], catch_exceptions=False)
    answer = json.loads(done.output)
    assert sum(answer["pixels"].values()) == 100 * 130
    assert sorted(p.name for p in (tmp_path / "why").iterdir()) == ["01_a.png", "02_b.png", "heatmaps.tif"]
    assert heat_classes(tmp_path / "why" / "heatmaps.tif") == ("s.tif", ("a", "b"))
    assert heat_classes(tmp_path / "a.tif") is None
