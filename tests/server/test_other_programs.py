"""A session that other programs edit while the server runs."""

import json
import sqlite3
import time
from contextlib import closing

import pytest
import shapely
from tests_app_help import outline_house, ring

from terraclick.store.shapes import encode_geometry
from terraclick.store.sqlite_file import connect

ITEMS = "/api/collections/objects/items"
PIXELS = {"crs": "pixels", "image": "town"}
BOX = shapely.box(500_010, 4_649_900, 500_020, 4_649_910)


def elsewhere(client, statement, *values):
    other = connect(client.space.store.path)
    other.execute(statement, values)
    other.close()


def draw_in_qgis(client, geometry=BOX, **columns):
    names = "".join(f', "{name}"' for name in columns)
    marks = ", ?" * len(columns)
    elsewhere(
        client,
        f"INSERT INTO objects (geom{names}) VALUES (?{marks})",
        encode_geometry(geometry, 32633),
        *columns.values(),
    )


def shown(client):
    return client.get(ITEMS, params=PIXELS).json()["features"]


EVERYTHING = (
    "/api/state",
    "/api/images",
    "/api/classes",
    "/api/references",
    "/api/sessions",
    "/api/collections",
    "/api/collections/objects",
    ITEMS,
    f"{ITEMS}?crs=pixels&image=town",
    f"{ITEMS}?crs=native",
    f"{ITEMS}?bbox=-180,-90,180,90",
    f"{ITEMS}?sort=area_m2",
    f"{ITEMS}?sort=-score",
)


def test_a_program_that_saves_in_steps_is_not_disturbed(client):
    client.space.store.quiet_s = 1.0
    outline_house(client, **{"class": "house"})
    path = client.space.store.path
    other = connect(path)
    reading = other.execute("SELECT fid FROM objects")
    assert reading.fetchone() is not None  # a table that shows its rows keeps them open
    for label in ("one", "two", "three"):
        elsewhere(client, "UPDATE objects SET geom = ?, label = ?", encode_geometry(BOX, 32633), label)
        (seen,) = shown(client)
        assert seen["properties"]["label"] == label and seen["properties"]["area_m2"] == pytest.approx(100, rel=2e-3)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT area_m2 FROM objects").fetchone() == (None,)  # nothing was written into it yet
    other.close()
    end = time.monotonic() + 20
    while True:
        with closing(sqlite3.connect(path)) as db:
            if db.execute("SELECT area_m2 FROM objects").fetchone() != (None,):
                break
        assert time.monotonic() < end, "what was put off is never done"
        time.sleep(0.1)


def test_an_object_drawn_in_qgis_appears_on_the_map(client):
    draw_in_qgis(client, **{"class": "road", "area_m2": 5.0})
    (feature,) = shown(client)
    properties = feature["properties"]
    assert (properties["image"], properties["class"]) == ("town", "road")
    assert properties["area_m2"] == pytest.approx(100, rel=2e-3)
    assert shapely.geometry.shape(feature["geometry"]).area == pytest.approx(400)  # half-metre pixels
    assert client.patch(f"{ITEMS}/{feature['id']}", json={"label": "seen"}).status_code == 200
    assert client.get("/api/images/town").json()["objects"] == 1


def test_the_maps_that_are_open_are_told(client):
    heard = []
    client.space.hub.send = lambda event, data, user=None: heard.append((event, data))
    mine = outline_house(client)
    heard.clear()
    draw_in_qgis(client)
    elsewhere(client, "DELETE FROM objects WHERE uuid = ?", mine["id"])
    client.space.watch.look()
    (told,) = [data for event, data in heard if event == "objects"]
    assert told["deleted"] == [mine["id"]] and told["by"] == "another program"
    assert [feature["properties"]["image"] for feature in told["changed"]] == ["town"]


def test_the_watch_looks_by_itself(serve, town):
    client = serve(town)
    heard = []
    client.space.hub.send = lambda event, data, user=None: heard.append(event)
    draw_in_qgis(client)
    end = time.monotonic() + 10
    while "objects" not in heard and time.monotonic() < end:
        time.sleep(0.05)
    assert "objects" in heard and "classes" in heard


COPY = "INSERT INTO objects (uuid, rev, geom, {0}) SELECT 'p', 1, geom, {1} FROM objects"
DEEP = "'{\"a\":' || replace(hex(zeroblob(4000)), '00', '[') || replace(hex(zeroblob(4000)), '00', ']') || '}'"
POINT = "x'47500001797f00000101000000000000000000000000000000'"
EXAMPLE = 'INSERT INTO "references" (uuid, class, positive, crop, mask)'
POISON = {
    "class with only a name": "INSERT INTO classes (name) VALUES ('road')",
    "class of unknown kind": "INSERT INTO classes (name, kind) VALUES ('road', 'line')",
    "schema that is no JSON": "INSERT INTO classes (name, schema) VALUES ('road', '{')",
    "schema of lists": "INSERT INTO classes (name, schema) VALUES ('road', '{\"a\": [1]}')",
    "class name a blob": "INSERT INTO classes (name) VALUES (x'ff')",
    "point": f"INSERT INTO objects (uuid, rev, geom) VALUES ('p', 1, {POINT})",
    "no geometry": "INSERT INTO objects (uuid, rev, class) VALUES ('p', 1, 'road')",
    "blob": COPY.format("class", "x'ff00'"),
    "blob as image": COPY.format("image", "x'ff00'"),
    "attributes NaN": COPY.format("attributes", "'{\"a\": NaN}'"),
    "attributes deep": COPY.format("attributes", DEEP),
    "score of text": COPY.format("score", "'high'"),
    "area of text": COPY.format("area_m2", "'big'"),
    "huge score": COPY.format("score", "9e999"),
    "rev of text": "INSERT INTO objects (uuid, rev, geom) SELECT 'p', 'x', geom FROM objects",
    "draft of blobs": "INSERT INTO drafts (uuid, author, image, content) VALUES ('d', 'anna', 'x', x'00')",
    "draft no JSON": "INSERT INTO drafts (uuid, author, image, content) VALUES ('d', 'anna', 'x', 'no')",
    "example that is none": f"{EXAMPLE} VALUES ('r', 'c', 1, x'00', x'00')",
    "image without sense": "INSERT INTO images (path, crs, \"left\") VALUES ('x', 'nothing', 'far')",
}


@pytest.mark.parametrize("kind", POISON)
def test_a_bad_row_poisons_nothing(serve, town, kind):
    client = serve(town)
    mine = outline_house(client, **{"class": "house"})
    client.put("/api/classes/house", json={"colour": "#00ff00"})
    elsewhere(client, POISON[kind])
    for start in (1, 2):
        for path in EVERYTHING:
            answer = client.get(path)
            assert answer.status_code == 200, (kind, start, path, answer.text[:300])
        assert mine["id"] in {feature["id"] for feature in shown(client)}
        assert "house" in {item["name"] for item in client.get("/api/classes").json()["classes"]}
        assert outline_house(client, 320, 120, **{"class": "house"})["id"]
        assert client.post("/api/exports", json={"format": "geojson", "name": f"all-{start}"}).status_code == 201
        aside = client.get("/api/state").json()["set_aside"]
        if kind not in ("class with only a name", "score of text", "area of text", "huge score"):
            assert aside["count"] == len(aside["rows"]) == 1 and set(aside["rows"][0]) == {"table", "row", "reason"}
        if start == 1:
            serve.stop(client)
            client = serve(town)


def test_an_object_outside_the_coordinate_system(client):
    mine = outline_house(client)
    draw_in_qgis(client, shapely.box(1e9, 1e9, 1e9 + 5, 1e9 + 5))
    for path in EVERYTHING:
        assert client.get(path).status_code == 200, path
    assert [feature["id"] for feature in client.get(ITEMS).json()["features"]] == [mine["id"]]
    for kind in ("geojson", "gpkg", "csv", "coco"):
        body = {"format": kind, "name": "all", "image": "town", "overwrite": True}
        assert client.post("/api/exports", json=body).status_code == 201


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_lost_session_is_never_answered_with_saved(client, how, tmp_path):
    mine = outline_house(client)
    path = client.space.store.path
    path.unlink() if how == "deleted" else path.rename(tmp_path / "moved.gpkg")
    feature = {"type": "Feature", "geometry": ring(10, 10, 20, 20), "properties": {"image": "town"}}
    answer = client.post(ITEMS, params=PIXELS, json=feature)
    assert (answer.status_code, answer.json()["error"]) == (503, "FileGone")
    assert "rescued" in answer.json()["message"] and str(tmp_path) not in answer.text
    name = client.post("/api/sessions", json={"image": "town"}).json()["id"]
    assert client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120}).status_code == 503
    assert client.delete(f"{ITEMS}/{mine['id']}").status_code == 503
    assert len(shown(client)) == 1
    with sqlite3.connect(tmp_path / "work.rescued.gpkg") as db:
        assert db.execute("SELECT count(*) FROM objects").fetchone()[0] == 1


def test_objects_without_an_image_are_given_the_one_they_lie_on(client):
    lonlat = shapely.geometry.mapping(shapely.box(15.0005, 42.0, 15.0007, 42.0002))
    feature = {"type": "Feature", "geometry": lonlat, "properties": {}}
    assert client.post(ITEMS, json=feature).json()["properties"]["image"] == "town"
    far = shapely.geometry.mapping(shapely.box(16, 42, 16.001, 42.001))
    assert client.post(ITEMS, json=feature | {"geometry": far}).json()["properties"]["image"] is None
    change = client.post("/api/import?name=a.geojson", content=json.dumps(feature)).json()
    assert change["objects"][0]["properties"]["image"] == "town" and len(shown(client)) == 2
