"""The plug-in in a real QGIS: installed from its zip, used with mouse and keys, against the real server."""

import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from urllib.request import urlopen

import pyogrio
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from shapely import from_wkb, from_wkt
from shapely.affinity import affine_transform
from shapely.geometry import shape

from terraclick.geo.store import GeoPackageStore

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("driver.py")
SAMPLE = ROOT / "src" / "terraclick" / "data" / "sample.tif"
SHARED = os.environ.get("TERRACLICK_SHARED")
NAIP_TILE = "naip60cm_rgbn_chico_2020_97.tif"
MOSAIC = "cog_rgb_0.6m_3857.tif"


@lru_cache
def qgis_python():
    """The Python that has QGIS; None where there is none."""
    for name in (os.environ.get("QGIS_PYTHON"), "/usr/bin/python3", shutil.which("python3")):
        if name and Path(name).exists():
            asked = [name, "-c", "import qgis.core"]
            if subprocess.run(asked, capture_output=True, env=clean(), check=False).returncode == 0:
                return name
    return None


def clean(**more):
    """The environment of a Python that is not ours."""
    found = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    return found | {"QT_QPA_PLATFORM": "offscreen"} | more


needs_qgis = pytest.mark.skipif(
    qgis_python() is None, reason="no Python here has QGIS: install QGIS (Debian: python3-qgis), or set QGIS_PYTHON"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    out = tmp_path_factory.mktemp("zip") / "terraclick_qgis.zip"
    subprocess.run([sys.executable, str(ROOT / "qgis" / "package.py"), str(out)], check=True, capture_output=True)
    return out


@pytest.fixture
def program(tmp_path):
    """The terraclick of this environment, as a program."""
    path = tmp_path / "terraclick"
    source = ROOT / "src"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" OMP_NUM_THREADS=1 exec "{sys.executable}" -m terraclick "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def qgis(tmp_path, program, archive):
    """A function that plays a scenario of driver.py and gives what it found."""

    def play(scenario, *words, screen=(), **environment):
        folder = tmp_path / scenario
        folder.mkdir()
        asked = [qgis_python(), str(DRIVER), scenario, str(folder), str(program), str(archive), json.dumps(words)]
        done = subprocess.run(
            [*screen, *asked], capture_output=True, text=True, timeout=500, env=clean(**environment), check=False
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert done.returncode == 0 and lines, f"{lines}\n{done.stderr[-3000:]}"
        return json.loads(lines[-1])

    return play


def buildings(count):
    """Places on buildings of the packaged town, in its own coordinate system."""
    truth = json.loads((SAMPLE.parent / "sample_truth.geojson").read_text())
    carry = Transformer.from_crs(4326, 32633, always_xy=True)
    found = []
    for feature in truth["features"]:
        if feature["properties"]["class"] == "building":
            place = shape(feature["geometry"]).representative_point()
            found.append([round(value, 2) for value in carry.transform(place.x, place.y)])
    return found[:count]


def by_command_line(program, image, clicks, out):
    """What `terraclick segment` makes of clicks in pixels, in the image's coordinate system."""
    words = [str(program), "segment", str(image), "--pixels", "--out", str(out)]
    for x, y, positive in clicks:
        words += ["--click" if positive else "--exclude", f"{x},{y}"]
    subprocess.run(words, check=True, capture_output=True)
    with rasterio.open(image) as file:
        a, b, c, d, e, f = tuple(file.transform)[:6]
    geometry = pyogrio.raw.read(str(out), layer="objects", columns=[])[2]
    return affine_transform(from_wkb(geometry[0]), (a, b, d, e, c, f))


@needs_qgis
def test_click_correct_undo_accept_save_and_reopen_in_a_project_of_another_crs(qgis, program, tmp_path):
    found = qgis("story", str(SAMPLE), "EPSG:3857", buildings(3))
    assert found["saved"] == 3 and found["corrected"] and found["previewed"] == 1
    assert (found["class"], found["target"]) == ("building", "class")
    for index, item in enumerate(found["objects"]):
        assert item["class"] == "building" and item["model"] == "terra" and 0 < item["score"] <= 1
        clicks = json.loads(item["clicks"])
        assert len(clicks) == item["n_clicks"] == 1
        wanted = by_command_line(program, SAMPLE, clicks, tmp_path / f"{index}.gpkg")
        assert from_wkt(item["wkt"]).hausdorff_distance(wanted) <= 0.3  # one pixel


@needs_qgis
@pytest.mark.skipif(SHARED is None, reason="TERRACLICK_SHARED is not set: no NAIP tile to open")
@pytest.mark.parametrize(("name", "crs"), [(NAIP_TILE, "EPSG:3857"), (MOSAIC, "EPSG:32652")])
def test_real_images_give_the_outlines_of_the_command_line(qgis, program, tmp_path, name, crs):
    tile = Path(SHARED) / "data" / "rasters" / name
    with rasterio.open(tile) as file:
        middle = [file.xy(file.height // 2 + step, file.width // 2 + step) for step in (0, 40)]
        pixel = file.res[0]
    found = qgis("story", str(tile), crs, [list(place) for place in middle])
    for index, item in enumerate(found["objects"]):
        wanted = by_command_line(program, tile, json.loads(item["clicks"]), tmp_path / f"{index}.gpkg")
        assert from_wkt(item["wkt"]).hausdorff_distance(wanted) <= pixel


@needs_qgis
def test_a_server_that_is_killed_in_mid_work_loses_nothing(qgis):
    found = qgis("killed", str(SAMPLE), "EPSG:3857", buildings(4))
    assert found["kept"] == [1, 2, 3, 4]
    assert 1 <= len(found["said"]) <= 4  # QGIS shows the same sentence once while it is there
    assert all("Nothing is lost" in line for line in found["said"]), found["said"]


@needs_qgis
def test_bad_input_is_told_in_one_sentence_and_loses_nothing(qgis):
    found = qgis("bad", str(SAMPLE), "EPSG:3857", buildings(4)[3])
    wanted = {
        "outside": "outside the image",
        "table": "holds no polygons",
        "lines": "holds no polygons",
        "locked": "read-only",
        "layer removed": "press Enter",
        "no layer": "Choose an image layer",
        "nothing to keep": "no outline to keep",
        "wrong token": "token",
        "nobody there": "No TerraClick server answers",
        "no address": "no server address",
        "not installed": "not installed",
    }
    for name, text in wanted.items():
        assert len(found[name]) == 1 and text in found[name][0], (name, found[name])
    assert found["kept after the layer was removed"] == 1
    assert found["report"]["QGIS"].startswith("3.") or found["report"]["QGIS"].startswith("4.")
    assert not found["told"], "the report tells the token"


@needs_qgis
def test_pixels_that_are_sent_to_a_server_elsewhere_give_nearly_the_same(qgis, program, tmp_path):
    places = buildings(2)
    found = qgis("elsewhere", str(SAMPLE), places)
    with rasterio.open(SAMPLE) as file:
        inverse = ~file.transform
    for index, (item, (x, y)) in enumerate(zip(found["objects"], places, strict=True)):
        column = inverse.a * x + inverse.b * y + inverse.c
        row = inverse.d * x + inverse.e * y + inverse.f
        wanted = by_command_line(program, SAMPLE, [[column, row, 1]], tmp_path / f"{index}.gpkg")
        assert overlap(from_wkt(item["wkt"]), wanted) > 0.85
    assert len(found["objects"]) == 2 and found["said"] == [] and 4 <= found["vertices"] < 20


def overlap(one, other):
    """IoU of two geometries."""
    return one.intersection(other).area / one.union(other).area


@pytest.fixture
def tiles(tmp_path, program):
    """An XYZ address on this machine."""
    out = tmp_path / "tiles"
    out.mkdir()
    words = [str(program), "serve", str(SAMPLE), "--no-browser", "--model", "grabcut", "--port", "0", "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        base, token = process.stdout.readline().strip().split("/?token=")
        image = json.loads(urlopen(f"{base}/api/images?token={token}").read())["images"][0]["id"]
        yield f"{base}/api/images/{image}/tiles/map/{{z}}/{{x}}/{{y}}.png?token={token}"
        process.terminate()


@needs_qgis
def test_an_online_layer_gives_the_same_answer_at_three_zooms(qgis, tiles):
    x, y = buildings(4)[3]
    found = qgis("online", Transformer.from_crs(32633, 3857, always_xy=True).transform(x, y), tiles)
    first, *others = [from_wkt(item["wkt"]) for item in found["objects"]]
    assert len(others) == 2 and all(overlap(first, other) >= 0.95 for other in others)
    assert found["windows"] == 1, "the window was drawn more than once"
    on_ground = Transformer.from_crs(3857, 32633, always_xy=True).transform(first.centroid.x, first.centroid.y)
    assert abs(on_ground[0] - x) < 8 and abs(on_ground[1] - y) < 8


@needs_qgis
def test_examples_find_the_rest_and_objects_are_reviewed(qgis):
    found = qgis("examples", str(SAMPLE), buildings(1))
    assert found["proposals"] > 2 and found["kept"] == 1 and found["left"] == found["proposals"] - 2
    assert found["judged"] == "approved" and found["next"]


@needs_qgis
def test_turned_rasters_and_rasters_that_lie_nowhere(qgis, tmp_path):
    with rasterio.open(SAMPLE) as file:
        part = file.read(window=((700, 1100), (0, 500)))
    kind = {"driver": "GTiff", "width": 500, "height": 400, "count": 3, "dtype": "uint8"}
    cosine, sine = 0.3 * math.cos(math.radians(25)), 0.3 * math.sin(math.radians(25))
    turned = Affine(cosine, sine, 500000, sine, -cosine, 4649790)
    with rasterio.open(tmp_path / "turned.tif", "w", crs="EPSG:32633", transform=turned, **kind) as file:
        file.write(part)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(tmp_path / "plain.tif", "w", **kind) as file:
            file.write(part)
    images = [
        [str(tmp_path / "turned.tif"), "EPSG:3857", [0.5, 0.5]],
        [str(tmp_path / "plain.tif"), "", [0.0634, 0.6125]],
    ]
    assert qgis("placed", images)["found"] == [[True, 1], [True, 1]]


@needs_qgis
def test_a_session_of_the_server_is_a_layer_for_polygons(qgis, program, tmp_path):
    session, places = tmp_path / "session.gpkg", buildings(4)
    at = ",".join(str(value) for value in places[0])
    subprocess.run([program, "segment", SAMPLE, "--click", at, "--out", session], check=True, capture_output=True)
    found = qgis("ours", str(SAMPLE), places[3], str(session))
    assert found["saved"] and found["count"] == 2, found["errors"]
    with GeoPackageStore.open(session) as store:
        store.look()
        first, second = store.objects()
    assert {first.class_name, second.class_name} == {"", "building"} and first.uuid != second.uuid
    assert first.image == second.image, "the object does not lie on its image"


@needs_qgis
def test_keys_own_fields_and_saving_after_every_object(qgis):
    found = qgis("keys", str(SAMPLE), buildings(4)[3])
    assert found["back"] and found["left"] and found["valid"], found
    assert (found["saved"], found["class"]) == (1, "road")
    assert found["parts"] >= 1 and found["told"][0] == "road" and 0 < found["told"][1] <= 1


@needs_qgis
def test_every_algorithm_runs(qgis, program, tmp_path):
    session, places = tmp_path / "session.gpkg", buildings(2)
    at = ",".join(str(value) for value in places[0])
    subprocess.run([program, "segment", SAMPLE, "--click", at, "--out", session], check=True, capture_output=True)
    found = qgis("processing", str(SAMPLE), places, str(session))
    assert found["algorithms"] == [f"terraclick:{name}" for name in ("classmap", "export", "replay", "segmentpoints")]
    assert len(found["objects"]) == 2 and found["replay"][0] == 1 and found["replay"][1] > 0.9
    for item in found["objects"]:
        wanted = by_command_line(program, SAMPLE, json.loads(item["clicks"]), tmp_path / f"{item['uuid']}.gpkg")
        assert from_wkt(item["wkt"]).hausdorff_distance(wanted) <= 0.3
    assert {"gpkg", "geojson"} <= set(found["export"])
    assert found["classes"] == [132, 200]  # cut at the edge of the image
    assert "nothing" in found["refused"]


@needs_qgis
def test_an_installation_that_fails_says_why(qgis):
    nowhere, empty = qgis("installing")["ended"]
    assert "does not exist" in nowhere and "The installation failed" in empty


@needs_qgis
@pytest.mark.skipif(
    not (shutil.which("xvfb-run") and shutil.which("xdotool")),
    reason="xvfb-run and xdotool are needed for a real mouse",
)
def test_the_mouse_of_a_real_screen(qgis):
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1400x1000x24"]
    mouse = {"QT_QPA_PLATFORM": "xcb", "REAL_MOUSE": shutil.which("xdotool")}
    found = qgis("story", str(SAMPLE), "EPSG:3857", buildings(2), screen=screen, **mouse)
    assert found["saved"] == 2 and found["corrected"] and found["previewed"] == 1


@needs_qgis
@pytest.mark.slow
def test_a_server_that_is_killed_ten_times_loses_nothing(qgis):
    assert qgis("killed", str(SAMPLE), "EPSG:3857", buildings(10))["kept"] == list(range(1, 11))


@needs_qgis
@pytest.mark.slow
def test_ten_buildings(qgis, program, tmp_path):
    found = qgis("story", str(SAMPLE), "EPSG:3857", buildings(10))
    assert found["saved"] == 10
    for index, item in enumerate(found["objects"]):
        wanted = by_command_line(program, SAMPLE, json.loads(item["clicks"]), tmp_path / f"{index}.gpkg")
        assert from_wkt(item["wkt"]).hausdorff_distance(wanted) <= 0.3


@needs_qgis
@pytest.mark.skipif(SHARED is None, reason="TERRACLICK_SHARED is not set: no raster of terabytes to open")
def test_a_raster_of_terabytes_answers_or_says_why(qgis):
    found = qgis("large", str(Path(SHARED) / "hostile" / "made" / "sparse_1e6x1e6.tif"))
    assert found["shown"] or len(found["said"]) == 1
