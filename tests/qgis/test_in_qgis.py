"""The plug-in in a real QGIS: installed from its zip, used with mouse and keys, against the real server."""

import json
import math
import subprocess
import warnings
from pathlib import Path

import pytest
import rasterio
from affine import Affine
from qgis_play import (
    SAMPLE,
    SHARED,
    buildings,
    by_command_line,
    needs_qgis,
    needs_shared,
    overlap,
)
from shapely import from_wkt

from terraclick.store.geopackage import GeoPackageStore


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
        "lines": "holds lines, and clicks make areas",
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
    assert "not installed" in found["panel"], "the message is gone after a while, its reason is not"
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
@pytest.mark.slow
def test_a_server_that_is_killed_ten_times_loses_nothing(qgis):
    assert qgis("killed", str(SAMPLE), "EPSG:3857", buildings(10))["kept"] == list(range(1, 11))


@needs_qgis
@needs_shared
def test_a_raster_of_terabytes_answers_or_says_why(qgis):
    found = qgis("large", str(Path(SHARED) / "hostile" / "made" / "sparse_1e6x1e6.tif"))
    assert found["shown"] or len(found["said"]) == 1
