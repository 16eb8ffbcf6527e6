"""Acts on thousands of objects: measured in processor time against one transaction of as many rows in SQLite."""

import gc
import json
import os
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from pyproj import Transformer
from tests_app_help import NORTH_UP, ring

from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.sqlite_file import connect

COUNT = 5000
WINDOW = {"TerraClick-Window": "w"}


def processor_s():
    """Seconds of processor time of this process and of those that it started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def spent(work):
    began = processor_s()
    answer = work()
    return processor_s() - began, answer


def many(count=COUNT, place=lambda shape: shape):
    shapes = [place(ring(10 + 7.5 * (at % 100), 10 + 11 * (at // 100), 5, 6)) for at in range(count)]
    features = [{"type": "Feature", "properties": {"class": "a"}, "geometry": shape} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features})


def in_degrees(ring_in_pixels):
    corners = np.array(ring_in_pixels["coordinates"][0])
    x, y = NORTH_UP @ (corners[:, 0], corners[:, 1])
    degrees = Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)
    return {"type": "Polygon", "coordinates": [np.column_stack(degrees).tolist()]}


def reader_waits(client):
    """The processor time that the process which will read the next file took to get ready, as the map lets it."""
    assert client.post("/api/import/prepare").status_code == 204
    pid = client.app.app.state.readers.ready()
    taken, known = -1.0, 0.0
    while taken != known:
        taken = known
        time.sleep(0.5)
        known = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return known / os.sysconf("SC_CLK_TCK")


def one_transaction(client, folder):
    """The same rows into an empty session file, with its spatial index."""
    path = folder / "bare.gpkg"
    db = connect(client.space.store.path)
    rows = db.execute("SELECT * FROM objects").fetchall()
    db.close()
    GeoPackageStore.create(path, client.space.store.crs).close()
    db = connect(path)
    marks = ",".join("?" * len(rows[0]))

    def write():
        db.execute("BEGIN IMMEDIATE")
        db.executemany(f"INSERT INTO objects VALUES ({marks})", rows)
        db.execute("COMMIT")

    gc.collect()
    gc.disable()  # what a transaction takes, not what else lies in memory
    seconds, _ = spent(write)
    gc.enable()
    db.close()
    path.unlink()
    return seconds


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to tell the time of another process")
@pytest.mark.parametrize("file", ["pixels", "degrees"])
def test_five_thousand_objects(client, tmp_path, file):
    """Importing, relabelling and undoing them within three times one transaction: medians of five rounds."""
    body = many() if file == "pixels" else many(place=in_degrees)
    query = f"/api/import?name=a.geojson&image=town{'&crs=pixels' if file == 'pixels' else ''}"
    rounds = {"import": [], "relabel": [], "undo": []}
    for name in ("b", "c", "d", "e", "f"):
        ahead = reader_waits(client)
        seconds, answer = spent(lambda: client.post(query, content=body, headers=WINDOW))
        assert answer.json()["imported"] == COUNT
        row = (one_transaction(client, tmp_path) + one_transaction(client, tmp_path)) / 2
        rounds["import"].append((seconds - ahead) / row)
        page = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]
        request = {"objects": [{"id": item["id"]} for item in page], "class": name}
        seconds, answer = spent(lambda request=request: client.post("/api/objects/set", json=request, headers=WINDOW))
        assert len(answer.json()["patches"]) == COUNT and not answer.json()["reload"]
        rounds["relabel"].append(seconds / row)
        seconds, answer = spent(lambda: client.post("/api/undo", headers=WINDOW))
        assert len(answer.json()["patches"]) == COUNT
        rounds["undo"].append(seconds / row)
        seconds, answer = spent(lambda: client.post("/api/undo", headers=WINDOW))
        assert len(answer.json()["deleted"]) == COUNT
        rounds["undo"].append(seconds / row)
    ratios = {act: round(median(found), 2) for act, found in rounds.items()}
    print(f"one transaction {1000 * row:.0f} ms; {ratios}")
    assert all(ratio < 3 for ratio in ratios.values()), ratios


def test_an_act_on_many_objects_can_be_given_up(client):
    client.post("/api/import?name=a.geojson&crs=pixels&image=town", content=many(1500), headers=WINDOW)
    page = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]
    body = {"objects": [{"id": item["id"]} for item in page], "class": "b"}
    heard = []
    send = client.space.hub.send

    def hear(event, data, user=None):
        if event == "progress":
            heard.append((data["act"], data["done"], data["total"]))
            client.space.objects.cancel_act("anna", data["act"])  # as the route does, at a moment that is sure
        send(event, data, user)

    client.space.hub.send = hear
    answer = client.post("/api/objects/set", json=body, headers=WINDOW | {"TerraClick-Act": "big"})
    assert answer.status_code == 409 and heard == [("big", 0, 1500)]
    client.space.hub.send = send
    after = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]
    assert {item["properties"]["class"] for item in after} == {"a"}
    assert client.get("/api/undo", headers=WINDOW).json()["undo"] == ["import 1500 objects"]
    assert client.post("/api/acts/big/cancel").status_code == 204


def test_undo_of_thousands_is_whole(client):
    client.post("/api/import?name=a.geojson&crs=pixels&image=town", content=many(1200), headers=WINDOW)
    before = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]
    assert len(client.post("/api/undo", headers=WINDOW).json()["deleted"]) == 1200
    assert client.post("/api/redo", headers=WINDOW).json()["reload"]
    after = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]

    def plain(features):
        rows = [(f["id"], str(f["geometry"]), f["properties"]["class"], f["properties"]["area_m2"]) for f in features]
        return sorted(rows)

    assert plain(after) == plain(before) and len(after) == 1200


@pytest.mark.parametrize("word", ["undo", "redo"])
def test_nothing_to_turn_is_said(client, word):
    assert client.post(f"/api/{word}", headers=WINDOW).status_code == 404
