"""Lines and points through the server: drawn, listed with their length, edited, undone; areas alone are cut."""

import pytest
from shapely.geometry import shape
from tests_app_help import ring

ROAD = {"type": "LineString", "coordinates": [[10, 10], [110, 10], [110, 60]]}
TREE = {"type": "Point", "coordinates": [200, 120]}
WINDOW = {"TerraClick-Window": "w"}
ITEMS = "/api/collections/objects/items"


def draw(client, geometry, **properties):
    body = {"type": "Feature", "geometry": geometry, "properties": {"image": "town", **properties}}
    answer = client.post(f"{ITEMS}?crs=pixels&image=town", json=body, headers=WINDOW)
    assert answer.status_code == 201, answer.text
    return answer.json()


def listed(client, crs="pixels"):
    return client.get(f"{ITEMS}?crs={crs}&image=town").json()["features"]


def test_a_line_and_a_point_are_kept_listed_and_undone(client):
    road, tree = draw(client, ROAD, **{"class": "road"}), draw(client, TREE, **{"class": "tree"})
    assert shape(road["geometry"]).equals(shape(ROAD)) and shape(tree["geometry"]).equals(shape(TREE))
    assert road["properties"]["area_m2"] is None and road["properties"]["perimeter_m"] > 0
    assert tree["properties"]["area_m2"] is None and tree["properties"]["perimeter_m"] is None
    assert [one["id"] for one in listed(client)] == [road["id"], tree["id"]]
    kinds = [one["geometry"]["type"] for one in listed(client, "CRS84")]
    assert kinds == ["MultiLineString", "MultiPoint"]
    assert client.post("/api/undo", headers=WINDOW).json()["deleted"] == [tree["id"]]
    assert client.post("/api/redo", headers=WINDOW).status_code == 200
    assert len(listed(client)) == 2


def test_corners_of_a_line_are_edited_moved_copied_and_relabelled(client):
    road = draw(client, ROAD)
    other = {"type": "LineString", "coordinates": [[10, 10], [60, 80], [110, 60]]}
    body = {"objects": [{"id": road["id"], "geometry": other}], "corners": True}
    change = client.post("/api/objects/place", json=body, headers=WINDOW).json()
    assert shape(change["objects"][0]["geometry"]).equals_exact(shape(other), 1e-3)
    copied = client.post("/api/objects/copy", json={"objects": [{"id": road["id"]}], "dx": 5, "dy": 7}, headers=WINDOW)
    assert shape(copied.json()["objects"][0]["geometry"]).bounds == pytest.approx((15, 17, 115, 87), abs=1e-3)
    body = {"objects": [{"id": road["id"]}], "class": "path"}
    assert client.post("/api/objects/set", json=body, headers=WINDOW).status_code == 200
    for _ in range(3):
        assert client.post("/api/undo", headers=WINDOW).status_code == 200
    (left,) = listed(client)
    assert shape(left["geometry"]).equals_exact(shape(ROAD), 1e-3) and left["properties"]["class"] == ""


def test_lines_that_meet_become_one_and_come_apart_again(client):
    one = draw(client, ROAD)
    far = draw(client, {"type": "LineString", "coordinates": [[300, 10], [400, 10]]})
    merged = client.post("/api/objects/merge", json={"objects": [{"id": one["id"]}, {"id": far["id"]}]}, headers=WINDOW)
    assert merged.json()["objects"][0]["geometry"]["type"] == "MultiLineString"
    apart = client.post("/api/objects/explode", json={"objects": [{"id": one["id"]}]}, headers=WINDOW).json()
    assert {part["geometry"]["type"] for part in apart["objects"]} == {"LineString"}


@pytest.mark.parametrize("act", ["cut", "add", "split", "shape"])
@pytest.mark.parametrize(("geometry", "kind"), [(ROAD, "line"), (TREE, "point")])
def test_what_is_done_to_areas_is_refused_by_name(client, act, geometry, kind):
    made = draw(client, geometry)
    line = {"type": "LineString", "coordinates": [[0, 0], [50, 50]]}
    body = {"split": {"line": line}, "shape": {"square": True}}.get(act, {"geometry": ring(0, 0, 50, 50)})
    answer = client.post(f"/api/objects/{made['id']}/{act}", json=body)
    assert answer.status_code == 422 and f"is a {kind}" in answer.json()["message"]


def test_kinds_do_not_merge_and_lines_are_not_clicked_on(client):
    road, tree = draw(client, ROAD), draw(client, TREE)
    body = {"objects": [{"id": road["id"]}, {"id": tree["id"]}]}
    answer = client.post("/api/objects/merge", json=body)
    assert answer.status_code == 422 and "one kind" in answer.json()["message"]
    answer = client.post("/api/sessions", json={"object": road["id"]})
    assert answer.status_code == 422 and "is a line" in answer.json()["message"]


def test_borders_of_coverage_are_those_of_areas(client):
    client.put("/api/classes/field", json={"kind": "coverage"})
    road = draw(client, ROAD, **{"class": "field"})
    area = draw(client, ring(0, 0, 120, 70), **{"class": "field"})
    assert shape(area["geometry"]).area == pytest.approx(8400)
    assert shape(next(o for o in listed(client) if o["id"] == road["id"])["geometry"]).length == pytest.approx(150)


def test_an_export_counts_what_a_format_cannot_hold(client):
    draw(client, ROAD), draw(client, TREE), draw(client, ring(0, 0, 50, 50))
    told = client.post("/api/exports", json={"format": "coco", "name": "a", "image": "town"}).json()
    assert told["objects"] == 1 and told["left_out"] == 2
    told = client.post("/api/exports", json={"format": "geojson", "name": "b"}).json()
    assert told["objects"] == 3 and told["left_out"] == 0
