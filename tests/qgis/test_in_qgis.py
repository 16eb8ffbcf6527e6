"""The plug-in in a real QGIS: installed from its zip, used with mouse and keys, against the real server."""

import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pyogrio
import pytest
import rasterio
from pyproj import Transformer
from shapely import from_wkb, from_wkt
from shapely.affinity import affine_transform
from shapely.geometry import shape

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("driver.py")
SAMPLE = ROOT / "src" / "terraclick" / "data" / "sample.tif"
SHARED = os.environ.get("TERRACLICK_SHARED")
NAIP_TILE = "naip60cm_rgbn_chico_2020_97.tif"


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

    def play(scenario, *words, screen=None):
        folder = tmp_path / scenario
        folder.mkdir()
        asked = [qgis_python(), str(DRIVER), scenario, str(folder), str(program), str(archive), json.dumps(words)]
        done = subprocess.run(
            [*(screen or []), *asked], capture_output=True, text=True, timeout=400, env=clean(), check=False
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
def test_a_naip_tile_gives_the_outlines_of_the_command_line(qgis, program, tmp_path):
    tile = Path(SHARED) / "data" / "rasters" / NAIP_TILE
    with rasterio.open(tile) as file:
        middle = [file.xy(file.height // 2 + step, file.width // 2 + step) for step in (0, 40)]
        pixel = file.res[0]
    found = qgis("story", str(tile), "EPSG:3857", [list(place) for place in middle])
    for index, item in enumerate(found["objects"]):
        wanted = by_command_line(program, tile, json.loads(item["clicks"]), tmp_path / f"{index}.gpkg")
        assert from_wkt(item["wkt"]).hausdorff_distance(wanted) <= pixel


@needs_qgis
def test_a_server_that_is_killed_in_mid_work_loses_nothing(qgis):
    found = qgis("killed", str(SAMPLE), "EPSG:3857", buildings(4))
    assert found["kept"] == [1, 2, 3, 4]
    assert len(found["said"]) == 4 and all("Nothing is lost" in line for line in found["said"]), found["said"]


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
