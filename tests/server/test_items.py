"""Objects over HTTP: OGC API Features, revisions, geometry edits, undo of every act."""

import time

import numpy as np
import pytest
from shapely.geometry import shape
from tests_app_help import area, outline_house, ring

ITEMS = "/api/collections/objects/items"
PIXELS = {"crs": "pixels", "image": "town"}
BEN = {"Authorization": "Bearer token-ben"}


def draw_one(client, polygon, **properties):
    feature = {"type": "Feature", "geometry": polygon, "properties": {"image": "town", **properties}}
    return client.post(ITEMS, params=PIXELS, json=feature)


def uuids(client):
    found = client.get(ITEMS, params=PIXELS).json()["features"]
    return {feature["id"] for feature in found}


def test_create_read_change_delete(client):
    made = draw_one(client, ring(10, 10, 20, 20), **{"class": "house", "attributes": {"roof": "flat"}})
    assert made.status_code == 201 and made.headers["location"] == f"{ITEMS}/{made.json()['id']}"
    path = made.headers["location"]
    assert client.get(path, params=PIXELS).headers["etag"] == '"1"'
    change = {"rev": 1, "status": "review", "attributes": {"floors": 2}}
    changed = client.patch(path, params=PIXELS, json=change).json()
    assert changed["properties"]["attributes"] == {"roof": "flat", "floors": 2}
    whole = {"type": "Feature", "geometry": ring(10, 10, 30, 20), "properties": changed["properties"]}
    put = client.put(path, params=PIXELS, json=whole).json()
    assert put["properties"]["rev"] == 3 and area(put["geometry"]) == pytest.approx(600)
    assert client.delete(path, params={"rev": 3}).status_code == 204
    assert client.get(path).status_code == 404


def test_geometry_comes_and_goes_as_lonlat_by_default(client):
    made = draw_one(client, ring(0, 0, 100, 100)).json()
    lonlat = client.get(f"{ITEMS}/{made['id']}").json()
    west, south, _, north = shape(lonlat["geometry"]).bounds
    assert 14.99 < west < 15.01 and 41.9 < south < north < 42.1
    back = client.post(ITEMS, json={"type": "Feature", "geometry": lonlat["geometry"], "properties": {"image": "town"}})
    pixels = client.get(back.headers["location"], params=PIXELS).json()["geometry"]
    assert shape(pixels).symmetric_difference(shape(made["geometry"])).area < 0.05


def test_queries(client):
    for i, name in enumerate(("b", "a", "c")):
        draw_one(client, ring(50 * i, 0, 20, 10 + i), label=name, status="review" if i else "accepted")

    def labels(**query):
        found = client.get(ITEMS, params={**PIXELS, **query}).json()
        return [f["properties"]["label"] for f in found["features"]]

    assert labels(sort="label") == ["a", "b", "c"] and labels(sort="-area_m2") == ["c", "a", "b"]
    assert labels(status="review") == ["a", "c"] and labels(bbox="45,0,80,50") == ["a"]
    assert labels(limit=1, offset=1) == ["a"] and labels(label="C") == ["c"] and labels(author="ben") == []
    page = client.get(ITEMS, params={**PIXELS, "limit": 2}).json()
    assert (page["numberMatched"], page["numberReturned"]) == (3, 2)
    (after,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    assert "offset=2" in after


@pytest.mark.parametrize("query", ["bbox=1,2,3", "bbox=a,b,c,d", "sort=secret", "crs=EPSG:4326", "limit=0", "image=no"])
def test_queries_that_cannot_be(same_client, query):
    assert same_client.get(f"{ITEMS}?{query}").status_code in (400, 404)


def test_landing_and_conformance(client):
    links = {link["rel"] for link in client.get("/api").json()["links"]}
    assert {"service-desc", "conformance", "data"} <= links
    assert any("core" in name for name in client.get("/api/conformance").json()["conformsTo"])
    outline_house(client)
    (found,) = client.get("/api/collections").json()["collections"]
    assert found["extent"]["spatial"]["bbox"][0][0] == pytest.approx(15.0, abs=0.01)


def test_a_stale_save_is_refused_and_both_versions_stay(client):
    feature = outline_house(client)
    path = f"{ITEMS}/{feature['id']}"
    assert client.patch(path, json={"rev": 1, "label": "hers"}).status_code == 200
    mine = {"rev": 1, "geometry": ring(120, 100, 30, 40)}
    answer = client.patch(path, params=PIXELS, json=mine, headers=BEN)
    assert answer.status_code == 409
    told = answer.json()
    assert told["theirs"]["properties"]["label"] == "hers" and area(told["mine"]["geometry"]) == pytest.approx(1200)
    kept = client.get(f"{ITEMS}/{told['kept']}", params=PIXELS).json()
    assert (kept["properties"]["status"], kept["properties"]["author"]) == ("conflict", "ben")
    assert area(kept["geometry"]) == pytest.approx(1200)
    assert area(client.get(path, params=PIXELS).json()["geometry"]) == 2400


def test_accepting_over_a_colleagues_change_keeps_both(client):
    feature = outline_house(client)
    name = client.post("/api/sessions", json={"object": feature["id"]}).json()["id"]
    client.post(f"/api/sessions/{name}/clicks", json={"x": 122, "y": 102, "positive": False})
    client.patch(f"{ITEMS}/{feature['id']}", json={"label": "ben was here"}, headers=BEN)
    answer = client.post(f"/api/sessions/{name}/accept", json={})
    assert answer.status_code == 409 and answer.json()["kept"]
    assert len(uuids(client)) == 2


def test_every_act_can_be_undone_and_redone(client):
    one = outline_house(client, **{"class": "house"})
    two = draw_one(client, ring(200, 200, 40, 40), **{"class": "shed"}).json()
    acts = [
        lambda: client.patch(f"{ITEMS}/{one['id']}", json={"class": "barn"}),
        lambda: client.post(f"/api/objects/{two['id']}/cut", json={"geometry": ring(210, 210, 5, 5)}),
        lambda: client.post(f"/api/objects/{two['id']}/add", json={"geometry": ring(240, 200, 5, 5)}),
        lambda: client.post(
            f"/api/objects/{two['id']}/split",
            json={"line": {"type": "LineString", "coordinates": [[190, 222], [290, 222]]}},
        ),
        lambda: client.post("/api/objects/merge", json={"objects": [{"id": one["id"]}, {"id": two["id"]}]}),
        lambda: client.post("/api/objects/set", json={"objects": [{"id": one["id"]}], "status": "approved"}),
        lambda: client.delete(f"{ITEMS}/{one['id']}"),
    ]

    def content():
        found = client.get(ITEMS, params=PIXELS).json()["features"]
        return sorted(
            (f["id"], f["properties"]["class"], f["properties"]["status"], area(f["geometry"])) for f in found
        )

    seen = [content()]
    for act in acts:
        assert act().status_code in (200, 204)
        seen.append(content())
        assert seen[-1] != seen[-2]
    for expected in seen[-2::-1]:
        assert client.post("/api/undo").status_code == 200
        assert content() == expected
    for expected in seen[1:]:
        assert client.post("/api/redo").status_code == 200
        assert content() == expected
    assert client.post("/api/redo").status_code == 404
    assert client.get("/api/undo").json()["undo"][:2] == ["delete barn", "change 1 object"]


def test_undoing_an_accept_gives_the_clicks_back(client):
    feature = outline_house(client)
    change = client.post("/api/undo").json()
    assert change["deleted"] == [feature["id"]] and uuids(client) == set()
    session = change["session"]
    assert session["outline"]["area_px"] == 2400 and len(session["clicks"]) == 1
    assert client.post(f"/api/sessions/{session['id']}/accept", json={}).status_code == 201


def test_nothing_is_undone_over_a_colleagues_work(client):
    feature = outline_house(client)
    client.patch(f"{ITEMS}/{feature['id']}", json={"label": "checked"}, headers=BEN)
    assert client.post("/api/undo").status_code == 409
    assert uuids(client) == {feature["id"]}
    assert client.post("/api/undo", headers=BEN).status_code == 200


def test_split_merge_and_holes_keep_the_area(client):
    made = draw_one(client, ring(100, 100, 60, 40)).json()
    cut = client.post(f"/api/objects/{made['id']}/cut", json={"geometry": ring(110, 110, 10, 10)}).json()
    assert len(cut["objects"][0]["geometry"]["coordinates"]) == 2  # a ring and its hole
    line = {"type": "LineString", "coordinates": [[130, 90], [130, 150]]}
    parts = client.post(f"/api/objects/{made['id']}/split", json={"line": line}).json()["objects"]
    assert sorted(area(part["geometry"]) for part in parts) == [1100, 1200]
    both = [{"id": part["id"], "rev": part["properties"]["rev"]} for part in parts]
    merged = client.post("/api/objects/merge", json={"objects": both}).json()
    assert area(merged["objects"][0]["geometry"]) == 2300 and len(merged["deleted"]) == 1


@pytest.mark.parametrize(
    "line", [[[0, 0], [10, 10]], [[0, 0]], [[0, 0], [0, 0]], [["a", 0], [1, 1]], "line", [[100, 90], [110, 110]]]
)
def test_lines_that_do_not_split(client, line):
    made = draw_one(client, ring(100, 100, 60, 40)).json()
    body = {"line": {"type": "LineString", "coordinates": line}}
    assert client.post(f"/api/objects/{made['id']}/split", json=body).status_code == 422


def test_coverage_classes_share_their_borders(client):
    client.put("/api/classes/field", json={"kind": "coverage", "colour": "#00ff00"})
    draw_one(client, ring(0, 0, 100, 100), **{"class": "field"})
    second = draw_one(client, ring(90, 0, 60, 100), **{"class": "field"}).json()
    assert shape(second["geometry"]).bounds == (100, 0, 150, 100)
    third = draw_one(client, ring(150.6, 0, 49.4, 100), **{"class": "field"}).json()  # half a pixel of gap
    assert shape(third["geometry"]).bounds[0] == pytest.approx(150, abs=1e-6)
    assert draw_one(client, ring(10, 10, 50, 50), **{"class": "field"}).status_code == 422
    assert draw_one(client, ring(10, 10, 50, 50), **{"class": "house"}).status_code == 201


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": [1, None]},
        {"type": "MultiPoint", "coordinates": []},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "LineString", "coordinates": [[1, 2], [1, 2]]},
        {"type": "MultiLineString", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1e13, 0], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": "DROP TABLE objects"},
        {"type": "GeometryCollection", "geometries": []},
        {},
    ],
)
def test_shapes_that_cannot_be(same_client, geometry):
    answer = draw_one(same_client, geometry)
    assert answer.status_code == 422 and set(answer.json()) == {"error", "message"}


@pytest.mark.parametrize("count", [200, 20_000])
def test_a_tangle_is_refused_at_once(client, count):
    points = (np.random.default_rng(0).random((count, 2)) * 500).round(2).tolist()
    shape = {"type": "Polygon", "coordinates": [[*points, points[0]]]}
    feature = {"type": "Feature", "geometry": shape, "properties": {"image": "town"}}
    begun = time.perf_counter()
    answer = client.post("/api/collections/objects/items?crs=pixels", json=feature)
    assert answer.status_code == 422 and "crosses itself" in answer.json()["message"]
    assert time.perf_counter() - begun < 20


def test_a_bow_tie_is_repaired(client):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [40, 40], [40, 0], [0, 40], [0, 0]]]}
    assert area(draw_one(client, bow).json()["geometry"]) == pytest.approx(800)
