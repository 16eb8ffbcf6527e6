"""The plug-in beside everything else of a real QGIS: examples, hints, keys, other layers, borders, servers."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from qgis_play import ROOT, SAMPLE, buildings, needs_qgis


@needs_qgis
def test_counter_examples_are_kept_and_all_proposals_can_be(qgis):
    found = qgis("not_like_this", str(SAMPLE), buildings(2))
    assert found["examples"] == [False, True], found
    assert found["proposals"] == found["kept"] > 1 and found["left"] == 0
    assert found["buttons"] == [True, False]


@needs_qgis
def test_the_hint_is_answered_by_keys_and_tab_and_numbers_do_what_they_say(qgis):
    found = qgis("hinted", str(SAMPLE), buildings(4)[3])
    assert found["signs"] == [True, False] and found["clicks"] == 3
    assert max(found["near"]) < 0.5, found["near"]  # pixels and metres
    assert found["tab"] == ["class", "class", True] and found["back"] == ["object", True]
    names = found["all"]
    wanted = [names[min(number, len(names) - 1)] for number in range(9)]
    assert found["classes"] == [[name, name] for name in wanted] and found["said"] == []


@needs_qgis
def test_layers_that_go_while_a_click_is_answered_lose_nothing(qgis):
    found = qgis("removed", str(SAMPLE), buildings(2))
    assert found["clicks"] == 2 and found["shown"] and found["kept"] == 1
    assert len(found["said"]) == 2 and all("removed" in line for line in found["said"]), found["said"]


@needs_qgis
def test_layers_that_take_nothing_say_so_and_the_outline_stays(qgis, tmp_path):
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    feature = {"type": "Feature", "properties": {"class": "house"}, "geometry": square}
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:  # QGIS writes into no zip
        archive.writestr("locked.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))
    found = qgis("closed", str(SAMPLE), buildings(4)[3], f"/vsizip/{tmp_path}/locked.zip/locked.geojson")
    assert "read-only" in found["locked"][0] and "no polygons" in found["table"][0]
    assert "points, and clicks make areas" in found["points"][0] and "lines, and" in found["lines"][0]
    assert all(len(lines) == 1 for lines in found.values())


@needs_qgis
def test_shared_borders_as_the_project_says(qgis):
    found = qgis("borders", str(SAMPLE), buildings(4)[3])
    assert found["allowed"] > 5
    overlap, area, valid = found["avoided"]
    assert overlap < 1e-6 and 0.2 * found["whole"] < area < 0.8 * found["whole"] and valid
    long, common, more = found["shared"]
    assert long and common >= 2 and more, found["shared"]
    assert found["undone"] == [5] and found["redone"] == 2  # the neighbour has its own corners again
    distance, overlap, area = found["snapped"]
    assert distance == 0 and overlap < 0.5 and abs(area / found["whole"] - 1) < 0.2
    assert len(found["nothing left"]) == 1 and "avoids overlaps" in found["nothing left"][0] and found["still shown"]


@needs_qgis
def test_a_layer_of_theirs_takes_what_the_dialog_says(qgis):
    found = qgis("theirs", str(SAMPLE), buildings(4)[3])
    assert found["saved"] and found["count"] == 1, found
    ((use, sure, note, model),) = found["told"]
    assert use == "building" and 0 < sure <= 1 and note == "image" and model in (None, 0), found["told"]


@contextmanager
def serving(folder, *words, **environment):
    """A server of this package; its address without the token."""
    asked = [sys.executable, "-m", "terraclick", "serve", "sample", "--no-browser", "--model", "grabcut", *words]
    asked += ["--out", str(folder), "--port", "0"]
    usual = {"PYTHONPATH": str(ROOT / "src"), "TERRACLICK_TOKEN": "token-of-the-server"}
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env=os.environ | usual | environment) as process:
        yield process.stdout.readline().strip().split("/?token=")[0]
        process.terminate()


@needs_qgis
def test_the_token_is_encrypted_where_the_authentication_manager_is_unlocked(qgis, tmp_path):
    with serving(tmp_path) as address:
        found = qgis("remembered", str(SAMPLE), buildings(1)[0], address, "token-of-the-server")
    assert found["locked"] and found["plain"] == ["first-token-of-the-test"] * 2
    assert len(found["note"]) == 1 and "plain text" in found["note"][0] and found["quiet"]
    assert found["safe"] == ["", "token-of-the-server"] and found["connected"]
    assert not found["readable"] and not found["told"] and found["gone"] == ["", ""]


@needs_qgis
def test_a_server_of_an_older_version_and_a_wrong_token_are_told(qgis, tmp_path):
    told = tmp_path / "older" / "terraclick-0.0.9.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: terraclick\nVersion: 0.0.9\n")
    path = os.pathsep.join([str(told.parent), str(ROOT / "src")])
    with serving(tmp_path, PYTHONPATH=path) as address:
        found = qgis("visit", str(SAMPLE), address, "token-of-the-server")
    assert not found["connected"] and "version 0.0.9" in found["said"][0], found
    shutil.rmtree(tmp_path / "visit")
    with serving(tmp_path) as address:
        found = qgis("visit", str(SAMPLE), address, "another-token")
    assert not found["connected"] and "does not accept the token" in found["said"][0], found


@needs_qgis
def test_the_own_server_reads_the_folders_of_the_project_alone(qgis, tmp_path):
    (tmp_path / "other place").mkdir()
    other = shutil.copy(SAMPLE, tmp_path / "other place" / "other.tif")
    found = qgis("narrow", str(SAMPLE), str(other), buildings(4)[3])
    assert found["refused"] == [True, True] and found["shown"] and found["said"] == []
    assert "--root" not in found["words"] and "--roots-file" in found["words"] and not found["list"]
    assert " ".join(found["folders"]) == f"{SAMPLE.parent} {tmp_path}/other place"


@needs_qgis
def test_a_raster_of_terabytes_is_clicked_on(qgis, tmp_path):
    """A virtual raster of 10^12 pixels, empty but for the packaged town; one click on it, one far beside."""
    x, y = buildings(4)[3]
    source = (
        f"<SimpleSource><SourceFilename>{SAMPLE}</SourceFilename><SourceBand>{{}}</SourceBand>"
        '<SrcRect xOff="0" yOff="0" xSize="1536" ySize="1536"/>'
        '<DstRect xOff="500000" yOff="500000" xSize="1536" ySize="1536"/></SimpleSource>'
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{source.format(band)}</VRTRasterBand>' for band in (1, 2, 3)
    )
    left, top = 500000 - 500000 * 0.3, 4650000 + 500000 * 0.3
    path = Path(tmp_path / "huge.vrt")
    path.write_text(
        f'<VRTDataset rasterXSize="1000000" rasterYSize="1000000"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>{left}, 0.3, 0, {top}, 0, -0.3</GeoTransform>{bands}</VRTDataset>"
    )
    found = qgis("huge", str(path), [x, y], [x + 30000, y])
    assert found["answers"][0] is True, found
    assert found["answers"][1] is not None and found["seconds"] < 60, found


@pytest.mark.parametrize("path", sorted((ROOT / "qgis" / "terraclick_qgis").glob("*.py")), ids=lambda path: path.name)
def test_the_plug_in_reads_in_the_python_of_old_qgis(path):
    """QGIS 3.22 came with Python 3.9 on Windows."""
    import ast

    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match), "match needs Python 3.10"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
            assert not any(word.arg == "strict" for word in node.keywords), "zip(strict=) needs Python 3.10"


@needs_qgis
def test_keys_go_to_the_map_under_the_mouse_but_not_out_of_a_text(qgis):
    assert qgis("focused", str(SAMPLE), buildings(1)[0]) == {"button": [True, True], "text": [True, False]}
