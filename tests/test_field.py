"""Circumstances of the field on the command line: what is said, what is refused, and in which order."""

import json
import sys

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from pyproj import CRS, Transformer

from terraclick.api import outlines
from terraclick.classmap.job import run_map
from terraclick.classmap.tiles import MapJob, TileMapper
from terraclick.cli import cli
from terraclick.errors import BadConfig, BadData, BadImage
from terraclick.exchange.imports import import_polygons
from terraclick.geo.classmap import HEAT_OF, heat_classes
from terraclick.geo.reading import Reading
from terraclick.segment.points import read_points
from terraclick.store.geopackage import GeoPackageStore
from terraclick.values import Prediction, Target

PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5e6)
MINE = 'LOCAL_CS["mine",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
CLICK = ("--click", "500030,4999970", "--model", "grabcut")


def scene(path, crs="EPSG:32633", place=PLACE, values=None):
    if values is None:
        values = np.full((3, 120, 120), 60, np.uint8)
        values[:, 40:80, 40:80] = 200
        values += np.random.default_rng(0).integers(0, 20, values.shape).astype("uint8")
    size = {"count": len(values), "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=place, **size) as file:
        file.write(values)
    return str(path)


def segment(*words):
    """(what was raised or None, stdout, stderr)."""
    done = CliRunner().invoke(cli, ["segment", *map(str, words)])
    return done.exception, done.stdout, done.stderr


def count(path):
    with GeoPackageStore.open(path) as store:
        return len(store.objects())


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_a_refused_run_leaves_the_earlier_session(tmp_path, crs):
    good, mine, session = scene(tmp_path / "a.tif"), scene(tmp_path / "m.tif", MINE), tmp_path / "s.gpkg"
    assert segment(good, *CLICK, "--out", session)[0] is None and count(session) == 1
    before = session.read_bytes()
    error, _, _ = segment(mine, *CLICK, "--out", session, "--crs", crs, "--overwrite")
    assert isinstance(error, BadConfig) and ".gpkg" in str(error)
    assert session.read_bytes() == before
    error, _, _ = segment(mine, *CLICK, "--out", tmp_path / "new.gpkg", "--crs", crs)
    assert isinstance(error, BadConfig) and not (tmp_path / "new.gpkg").exists()
    assert segment(mine, *CLICK, "--out", tmp_path / "own.gpkg")[0] is None and count(tmp_path / "own.gpkg") == 1


def test_geojson_of_another_world_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("terraclick.segment.job.load", lambda *words, **more: pytest.fail("the work was begun"))
    for crs in (MINE, "IAU_2015:49910"):
        error, _, _ = segment(scene(tmp_path / "a.tif", crs), *CLICK)
        assert isinstance(error, BadConfig) and "--out NAME.gpkg" in str(error)


@pytest.mark.parametrize("option", ["--crs", "--image-crs"])
@pytest.mark.parametrize("code", ["EPSG:5703", "EPSG:4978"])
def test_systems_that_are_no_maps_are_refused(tmp_path, option, code):
    error, _, _ = segment(scene(tmp_path / "a.tif"), *CLICK, option, code)
    assert isinstance(error, BadConfig) and "give one for maps" in str(error)


def test_what_was_understood_is_said(tmp_path):
    path = scene(tmp_path / "a.tif", None, None)
    (tmp_path / "a.tfw").write_text("0.5\n0\n0\n-0.5\n500000.25\n4999999.75\n")
    error, _, _ = segment(path, *CLICK)
    assert "--image-crs EPSG:N" in str(error)
    plain = json.loads(segment(scene(tmp_path / "b.tif"), *CLICK)[1])
    _, out, said = segment(path, *CLICK, "--image-crs", "EPSG:32633")
    assert json.loads(out)["features"][0]["geometry"] == plain["features"][0]["geometry"]
    assert "Note on a.tif: it is placed by a.tfw." in said


def test_a_blank_view_is_said(tmp_path):
    values = np.random.default_rng(0).integers(7000, 9000, (3, 120, 120)).astype("uint16")
    _, _, said = segment(scene(tmp_path / "a.tif", values=values), *CLICK, "--stretch", "0,0.3")
    assert "The view is blank" in said


@pytest.mark.parametrize("point", [[500, 10], [10, 95], [True, 1], ["10", "20"], [None, 1], [1], [float("inf"), 0]])
def test_points_that_are_no_places_are_refused(tmp_path, point):
    path = tmp_path / "p.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Point", "coordinates": point}}))
    with pytest.raises(BadData):
        read_points(path, CRS(32633))


@pytest.mark.parametrize(
    "rings", [[], [[]], [[[1]]], [[5]], [[[10, 50], [10, float("nan")]]], [[[10, 50], [10, 50]]]], ids=str
)
def test_polygons_that_are_no_boxes_are_refused(tmp_path, rings):
    path = tmp_path / "p.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings}}))
    with pytest.raises(BadData):
        read_points(path, CRS(32633))


def test_a_smallest_polygon_larger_than_the_map_is_refused_before_the_work(tmp_path):
    job = MapJob(scene(tmp_path / "a.tif"), "greenness")
    with pytest.raises(BadConfig, match="--min-area"):
        run_map(job, tmp_path / "c.tif", polygons=tmp_path / "p.geojson", min_area=120 * 120 + 1)
    assert not (tmp_path / "c.tif").exists()
    report = run_map(job, tmp_path / "c.tif", polygons=tmp_path / "p.geojson", min_area=120 * 120)
    assert report.polygons >= 1


def test_a_map_in_which_nothing_is_left_has_no_polygons(tmp_path):
    black = scene(tmp_path / "a.tif", values=np.zeros((3, 90, 90), np.uint8))
    job = MapJob(black, "greenness", reading=Reading(nodata="0"))
    for ending in ("geojson", "gpkg", "csv"):
        out = tmp_path / f"p.{ending}"
        assert run_map(job, tmp_path / "c.tif", polygons=out, overwrite=True).polygons == 0 and out.exists()


def test_a_scene_that_changes_while_it_is_mapped_is_noticed(tmp_path, monkeypatch):
    path = scene(tmp_path / "a.tif")
    read = TileMapper.__call__

    def and_change(self, window):
        answer = read(self, window)
        scene(tmp_path / "a.tif", place=Affine(0.5, 0, 500032, 0, -0.5, 5e6))
        return answer

    monkeypatch.setattr(TileMapper, "__call__", and_change)
    with pytest.raises(BadImage, match="changed on disk"):
        run_map(MapJob(path, "greenness"), tmp_path / "c.tif")
    assert not (tmp_path / "c.tif").exists()


@pytest.mark.parametrize("gsd", [1.7, 8.0])
def test_polygons_of_a_coarse_map_end_with_the_scene(tmp_path, gsd):
    values = np.random.default_rng(0).integers(0, 255, (3, 103, 151)).astype("uint8")
    out = tmp_path / "p.geojson"
    job = MapJob(scene(tmp_path / "a.tif", values=values), "greenness", gsd=gsd)
    run_map(job, tmp_path / "c.tif", polygons=tmp_path / "p.gpkg", min_area=1)
    with GeoPackageStore.open(tmp_path / "p.gpkg") as store:
        found = [item.geometry for item in store.objects()]
    left, bottom, right, top = shapely.total_bounds(found)
    assert (left, top) == (500000, 5e6) and right <= 500075.5 + 1e-6 and bottom >= 5e6 - 51.5 - 1e-6
    assert not out.exists()


def test_a_heatmap_is_opened_behind_the_same_walls_as_an_image(tmp_path):
    path = tmp_path / "true_heat.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=9, width=9, dtype="uint8", transform=PLACE) as file:
        file.set_band_description(1, HEAT_OF.format("house"))
        file.update_tags(SCENE="a.tif")
    assert heat_classes(path) == ("a.tif", ("house",))
    disguised = tmp_path / "false_heat.tif"
    rasterio.shutil.copy(path, disguised, driver="VRT")
    assert heat_classes(disguised) is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_labels_of_a_turned_photograph_lie_right_in_viewers(tmp_path, orientation):
    image, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    shown = np.full((120, 200, 3), 30, np.uint8)
    shown[20:60, 30:90] = 220
    turn = {1: None, 3: 180, 6: 90, 8: 270}[orientation]  # how a camera stores what it then says to turn back
    stored = image.fromarray(shown) if turn is None else image.fromarray(shown).rotate(turn, expand=True)
    exif = image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "a.jpg", quality=98, exif=exif)
    assert ops.exif_transpose(image.open(tmp_path / "a.jpg")).size == (200, 120)
    out = tmp_path / "a.json"
    error, _, said = segment(tmp_path / "a.jpg", "--click", "60,40", "--pixels", "--model", "grabcut", "--out", out)
    assert error is None and ("shown turned" in said) == (orientation != 1)
    told = json.loads(out.read_text())
    assert (told["imageWidth"], told["imageHeight"]) == (200, 120)
    corners = np.array(told["shapes"][0]["points"])
    assert np.abs([*corners.min(axis=0), *corners.max(axis=0)] - np.array([30, 20, 90, 60])).max() <= 3


def test_polygons_of_a_map_over_the_antimeridian_are_cut(tmp_path):
    values = np.random.default_rng(2).integers(0, 255, (3, 60, 60)).astype("uint8")
    values = np.repeat(np.repeat(values[:, ::15, ::15], 15, axis=1), 15, axis=2)
    x, y = Transformer.from_crs(4326, 32660, always_xy=True).transform(180.0, 17.0)
    path = scene(tmp_path / "a.tif", "EPSG:32660", Affine(1, 0, x - 30, 0, -1, y + 30), values)
    out = tmp_path / "p.geojson"
    run_map(MapJob(path, "greenness"), tmp_path / "c.tif", polygons=out, min_area=1)
    shapes = [shapely.geometry.shape(f["geometry"]) for f in json.loads(out.read_text())["features"]]
    assert all(shape.is_valid for shape in shapes)
    parts = [part.bounds for shape in shapes for part in shapely.get_parts(shape)]
    assert all(b[2] - b[0] < 0.001 and -180 <= b[0] and b[2] <= 180 for b in parts)
    assert any(b[2] == 180 for b in parts) and any(b[0] == -180 for b in parts)


def test_what_was_said_of_an_image_holds_in_later_exports(tmp_path):
    path = scene(tmp_path / "a.tif", None)
    session = tmp_path / "s.gpkg"
    assert segment(path, *CLICK, "--image-crs", "EPSG:32633", "--out", session)[0] is None
    done = CliRunner().invoke(cli, ["export-session", str(session), str(tmp_path / "o"), "--format", "coco"])
    assert done.exception is None, done.exception
    (file,) = (tmp_path / "o").glob("**/*.coco.json")
    (label,) = json.loads(file.read_text())["annotations"]
    assert label["bbox"][0] == pytest.approx(40, abs=3) and label["bbox"][2] == pytest.approx(40, abs=5)


def test_an_image_that_changes_between_two_clicks_is_noticed(tmp_path, monkeypatch):
    path = scene(tmp_path / "a.tif")

    class Changing:
        def encode(self, view):
            scene(tmp_path / "a.tif", place=Affine(0.5, 0, 500032, 0, -0.5, 5e6))
            return view.image

        def predict(self, encoded, prompt, previous):
            return Prediction(np.ones(encoded.shape[:2], np.float32))

    groups = [[(500030, 4999970, True)], [(500010, 4999990, True)]]
    room = sys.modules["terraclick.geo.view_window"]
    monkeypatch.setattr(room, "VIEW_PX", dict.fromkeys(Target, 32))
    monkeypatch.setattr(room, "LATTICE_PX", dict.fromkeys(Target, 16))
    answers = outlines(path, groups, model=Changing())
    next(answers)
    with pytest.raises(BadImage, match="changed on disk"):
        next(answers)


@pytest.mark.parametrize("code", [5703, 4978])
def test_polygons_in_heights_or_geocentric_coordinates_are_refused(tmp_path, code):
    path = tmp_path / "p.geojson"
    ring = [[1, 1], [2, 1], [2, 2], [1, 1]]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring], "crs": crs}))
    with pytest.raises(BadConfig, match="give one for maps"):
        import_polygons(path, CRS(32633))
