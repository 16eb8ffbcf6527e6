"""Acts on thousands of objects: measured in processor time against one transaction of as many rows in SQLite."""

import json
import resource
import time

import pytest
from tests_app_help import ring

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


def many(count=COUNT):
    shapes = [ring(10 + 7.5 * (at % 100), 10 + 11 * (at // 100), 5, 6) for at in range(count)]
    features = [{"type": "Feature", "properties": {"class": "a"}, "geometry": shape} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features})


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

    seconds, _ = spent(write)
    db.close()
    path.unlink()
    return seconds


def test_five_thousand_objects(client, tmp_path):
    query = "/api/import?name=a.geojson&crs=pixels&image=town"
    imported, answer = spent(lambda: client.post(query, content=many(), headers=WINDOW))
    assert answer.json()["imported"] == COUNT
    page = client.get("/api/collections/objects/items?crs=pixels&limit=10000").json()["features"]
    row = min(one_transaction(client, tmp_path) for _ in range(3))
    objects = [{"id": item["id"], "rev": item["properties"]["rev"]} for item in page]
    relabelled, undone = [], []
    for name in ("b", "c", "d"):
        body = {"objects": [{"id": item["id"]} for item in objects], "class": name}
        seconds, answer = spent(lambda body=body: client.post("/api/objects/set", json=body, headers=WINDOW))
        assert len(answer.json()["patches"]) == COUNT and not answer.json()["reload"]
        relabelled.append(seconds)
        seconds, answer = spent(lambda: client.post("/api/undo", headers=WINDOW))
        assert len(answer.json()["patches"]) == COUNT
        undone.append(seconds)
    ratios = {"relabel": min(relabelled) / row, "undo": min(undone) / row, "import": imported / row}
    print({name: round(value, 1) for name, value in ratios.items()})
    assert ratios["relabel"] < 4 and ratios["undo"] < 4  # 2.2 and 2.4 measured; 3 is the aim
    assert ratios["import"] < 14  # 8.5 to 10 measured: 3 of it start the process that reads a stranger's file


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
