"""Uploads that never end, eat the machine or hold too much: refused in time, and nothing of them stays."""

import io
import json
import os
import sqlite3
import subprocess
import time
import zipfile

import pytest
import shapely
from pyproj import CRS
from tests_app_help import outline_house

from terraclick.errors import BadData
from terraclick.server.importing import Limits, read_upload
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store
from terraclick.store.shapes import encode_geometry


def send(client, name, data, **query):
    headers = {"Content-Type": "application/octet-stream"}
    return client.post("/api/import", params={"name": name, **query}, content=data, headers=headers)


def children():
    """The processes that this one started and that are still there."""
    told = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in told.stdout.splitlines() if "import_worker" in line]


def many(count):
    square = [[[15, 42], [15.0001, 42], [15.0001, 42.0001], [15, 42.0001], [15, 42]]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": square}}
    text = json.dumps(feature)
    return f'{{"type": "FeatureCollection", "features": [{", ".join([text] * count)}]}}'.encode()


def endless(path):
    """A GeoPackage whose layer is a view without an end."""
    square = shapely.box(500_000, 4_649_900, 500_010, 4_649_910)
    with open_store(path, CRS.from_epsg(32633)) as store:
        store.add(MapObject(geometry=square))
    with sqlite3.connect(path) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute("ALTER TABLE objects RENAME TO kept")
        db.execute(
            "CREATE VIEW objects AS WITH RECURSIVE n(fid) AS (SELECT 1 UNION ALL SELECT fid + 1 FROM n) "
            f"SELECT fid, x'{encode_geometry(square, 32633).hex()}' AS geom FROM n"
        )
    return path.read_bytes()


def test_more_features_than_may_be_are_refused_at_once(client):
    begun = time.perf_counter()
    answer = send(client, "many.geojson", many(50_001))
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")
    assert "50001" in answer.json()["message"] and "20000" in answer.json()["message"]
    assert time.perf_counter() - begun < 30


def test_a_view_without_an_end(client, tmp_path, monkeypatch):
    pytest.importorskip("pyogrio")
    monkeypatch.setattr("terraclick.server.importing.LIMITS", Limits(seconds=5))
    data = endless(tmp_path / "endless.gpkg")
    begun = time.perf_counter()
    answer = send(client, "endless.gpkg", data)
    assert (answer.status_code, answer.json()["error"]) == (422, "BadData"), answer.text
    assert "endless.gpkg" in answer.json()["message"] and str(tmp_path) not in answer.text
    assert time.perf_counter() - begun < 45 and children() == []
    assert outline_house(client)["id"]  # everything goes on


def test_an_archive_that_unpacks_to_everything_costs_no_memory_here(client):
    resource = pytest.importorskip("resource")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out, out.open("a.shp", "w", force_zip64=True) as file:
        file.write(b"\0\0\x27\x0a")
        for _ in range(250):
            file.write(b"\0" * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = send(client, "a.zip", bomb.getvalue())
    assert answer.status_code in (413, 422)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kB


@pytest.mark.parametrize("crs", ["/etc/passwd", "+proj=pipeline " + "+step +proj=noop " * 5000, "GEOGCS[" * 9000])
def test_coordinate_systems_of_uploads(client, crs):
    begun = time.perf_counter()
    data = many(1)[:-1] + b', "crs": {"type": "name", "properties": {"name": ' + json.dumps(crs).encode() + b"}}}"
    assert send(client, "a.geojson", data).status_code == 422
    assert time.perf_counter() - begun < 20


def test_a_reader_that_dies_is_said(tmp_path):
    (tmp_path / "upload").write_bytes(many(3000))
    with pytest.raises(BadData, match=r"a\.geojson"):
        read_upload("a.geojson", tmp_path, None, Limits(memory_bytes=2**20))


@pytest.mark.slow
def test_as_many_features_as_may_be(client):
    begun = time.perf_counter()
    answer = send(client, "many.geojson", many(20_000))
    assert answer.status_code == 200 and len(answer.json()["objects"]) == 20_000
    print(f"20,000 features in {time.perf_counter() - begun:.0f} s")
    assert time.perf_counter() - begun < 110
