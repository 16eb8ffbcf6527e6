"""A real QGIS opens a session and each of its exports, and edits the session while the server runs."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import shapely
from tests_app_help import outline_house, ring

from terraclick.exchange.export_session import export_session
from terraclick.server.main import QUIET_S
from terraclick.store.geopackage import GeoPackageStore

ITEMS = "/api/collections/objects/items"
PIXELS = {"crs": "pixels", "image": "town"}
READER = Path(__file__).with_name("qgis_reader.py")
PYTHON = os.environ.get("QGIS_PYTHON", "/usr/bin/python3")


@pytest.fixture(scope="module")
def qgis():
    """A function that has QGIS do things one by one and gives what it found."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environ |= {"QT_QPA_PLATFORM": "offscreen"}
    known = shutil.which(PYTHON) and subprocess.run(
        [PYTHON, "-c", "import qgis.core"], env=environ, capture_output=True, timeout=120
    )
    if not known or known.returncode:
        pytest.skip(f"{PYTHON} has no QGIS: apt-get install qgis, or set QGIS_PYTHON")

    def do(folder, *deeds):
        told = subprocess.run(
            [PYTHON, str(READER)],
            input=json.dumps([[str(word) for word in deed] for deed in deeds]),
            env=environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        lines = [line for line in told.stdout.splitlines() if line.startswith("FOUND")]
        assert lines, told.stderr[-2000:]
        return json.loads(lines[0].removeprefix("FOUND"))

    return do


@pytest.fixture
def worked(serve, town, tmp_path):
    """A server with a house and a shed, a hole in the one and two parts in the other."""
    client = serve(town)
    house = outline_house(client, **{"class": "house"})
    shed = outline_house(client, 320, 120, **{"class": "shed"})
    answer = client.post(f"/api/objects/{house['id']}/cut", json={"geometry": ring(130, 110, 10, 10), "rev": 1})
    assert answer.status_code == 200, answer.text
    return client, house["id"], shed["id"]


@pytest.mark.slow
def test_qgis_opens_the_session_and_every_export(worked, qgis, tmp_path):
    client, house, shed = worked
    path = client.space.store.path
    with GeoPackageStore.open(path) as store:
        export_session(store, path, tmp_path / "set", images=[tmp_path / "town.tif"])
        truth = {item.uuid: item.geometry for item in store.objects()}
        colours = {kind.name: kind.colour for kind in store.classes()}
    out = tmp_path / "set"
    vectors = {
        "session": f"{path}|layername=objects",
        "gpkg": f"{out / 'gpkg' / 'objects.gpkg'}|layername=objects",
        "geojson": out / "geojson" / "objects.geojson",
        "shapefile": out / "shapefile" / "objects.shp",
        "csv": out / "csv" / "objects.csv",
        "geoparquet": out / "geoparquet" / "objects.parquet",
    }
    rasters = {"mask": out / "mask" / "town.tif", "instances": out / "instances" / "town.instances.tif"}
    saved = {name: ("saved_as", vectors[name], tmp_path / f"{name}.saved.gpkg") for name in ("geojson", "session")}
    deeds = [*(("vector", place) for place in vectors.values()), *(("raster", place) for place in rasters.values())]
    found = qgis(tmp_path, *deeds, *saved.values())
    seen = dict(zip([*vectors, *rasters, *saved], found, strict=True))
    for name in ("session", "gpkg", "geojson", "shapefile"):
        one = found[list(vectors).index(name)]
        assert one["valid"] and one["features"] == one["declared"] == 2 and one["all_valid"], (name, one)
        assert one["crs"] == ("EPSG:4326" if name == "geojson" else "EPSG:32633"), (name, one["crs"])
        assert set(one["shapes"]) == {house, shed}
        if name != "geojson":
            for uuid, wkt in one["shapes"].items():
                assert shapely.from_wkt(wkt).symmetric_difference(truth[uuid]).area < 1e-3, name
    assert found[0]["classes"] == found[1]["classes"] == colours
    mask, instances = (found[len(vectors) + place] for place in (0, 1))
    for one in (mask, instances):
        assert one["valid"] and one["crs"] == "EPSG:32633" and one["size"] == [800, 600]
        assert one["extent"] == pytest.approx([500_000, 4_649_700, 500_400, 4_650_000])
    assert {name: mask["classes"][name] for name in colours} == colours
    assert [one["ok"] for one in found[-2:]] == [True, True], found[-2:]
    assert seen["csv"]["valid"] and seen["csv"]["features"] == 2
    assert not seen["geoparquet"]["valid"] or seen["geoparquet"]["features"] == 2  # a QGIS without that driver


@pytest.mark.slow
def test_what_is_edited_in_qgis_is_adopted_by_the_running_server(worked, qgis, tmp_path):
    client, house, shed = worked
    client.space.store.quiet_s = QUIET_S  # as every server that is started by name
    before = {f["id"]: f for f in client.get(ITEMS, params=PIXELS).json()["features"]}
    drawn = shapely.box(500_010, 4_649_900, 500_020, 4_649_910)
    (told,) = qgis(tmp_path, ("edited", client.space.store.path, house, drawn.wkt))
    assert told["committed"], told
    end = time.monotonic() + 20
    while len(after := {f["id"]: f for f in client.get(ITEMS, params=PIXELS).json()["features"]}) < 3:
        assert time.monotonic() < end, "the server never saw what QGIS drew"
        time.sleep(0.2)
    moved, was = after[house], before[house]
    assert moved["properties"]["class"] == "shed" and moved["properties"]["rev"] > was["properties"]["rev"]
    now, then = (shapely.from_geojson(json.dumps(one["geometry"])).centroid for one in (moved, was))
    assert (now.x - then.x, now.y - then.y) == pytest.approx((2, 0), abs=1e-3)  # a metre is two pixels
    assert moved["properties"]["area_m2"] == pytest.approx(was["properties"]["area_m2"], rel=1e-3)
    assert after[shed] == before[shed]
    (new,) = set(after) - set(before)
    assert after[new]["properties"]["image"] == "town" and after[new]["properties"]["class"] == "drawn"
    assert after[new]["properties"]["area_m2"] == pytest.approx(100, rel=2e-3)
    assert any(kind["name"] == "drawn" for kind in client.get("/api/classes").json()["classes"])
    stale = client.patch(f"{ITEMS}/{house}", json={"rev": was["properties"]["rev"], "label": "mine"})
    assert stale.status_code == 409
