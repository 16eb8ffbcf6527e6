"""Objects are moved, copied and taken apart in one act, which one undo takes back."""

import pytest
from shapely.geometry import shape
from tests_app_help import draw, ring

pytest.importorskip("fastapi")

PATH = "/api/collections/objects/items"


@pytest.fixture
def client(serve, tmp_path):
    return serve(draw(tmp_path / "town.tif"))


def add(client, geometry):
    body = {"type": "Feature", "geometry": geometry, "properties": {"class": "house", "label": "a", "image": "town"}}
    answer = client.post(f"{PATH}?crs=pixels&image=town", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def pixels(client):
    found = client.get(f"{PATH}?crs=pixels&image=town").json()["features"]
    return {feature["id"]: shape(feature["geometry"]) for feature in found}


def test_several_objects_move_in_one_act(client):
    one, two = add(client, ring(10, 10, 20, 20)), add(client, ring(50, 10, 20, 20))
    before = pixels(client)
    body = {
        "objects": [
            {"id": one, "rev": 1, "geometry": ring(13, 8, 20, 20)},
            {"id": two, "geometry": ring(53, 8, 20, 20)},
        ]
    }
    assert client.post("/api/objects/place", json=body).status_code == 200
    assert pixels(client)[one].bounds == (13, 8, 33, 28) and pixels(client)[two].bounds == (53, 8, 73, 28)
    assert client.post("/api/undo").status_code == 200
    assert pixels(client) == before
    stale = client.post("/api/objects/place", json={"objects": [{"id": one, "rev": 1, "geometry": ring(0, 0, 9, 9)}]})
    assert stale.status_code == 409


def test_a_copy_lies_so_far_away_and_keeps_what_was_said(client):
    one = add(client, ring(10, 10, 20, 20))
    change = client.post("/api/objects/copy", json={"objects": [{"id": one}], "dx": 100, "dy": 7}).json()
    (copied,) = change["objects"]
    assert copied["id"] != one and copied["properties"]["class"] == "house" and copied["properties"]["label"] == "a"
    assert shape(copied["geometry"]).bounds == pytest.approx((110, 17, 130, 37))


def test_parts_become_objects_and_one_again(client):
    parts = [ring(10, 10, 20, 20)["coordinates"], ring(60, 10, 9, 9)["coordinates"], ring(90, 10, 5, 5)["coordinates"]]
    one = add(client, {"type": "MultiPolygon", "coordinates": parts})
    change = client.post("/api/objects/explode", json={"objects": [{"id": one}]}).json()
    assert sorted(shape(f["geometry"]).area for f in change["objects"]) == pytest.approx([25, 81, 400])
    assert pixels(client)[one].area == pytest.approx(400)
    refused = client.post("/api/objects/explode", json={"objects": [{"id": one}]})
    assert refused.status_code == 422 or refused.status_code == 400
    assert "parts" in refused.json()["message"]
    together = client.post("/api/objects/merge", json={"objects": [{"id": uuid} for uuid in pixels(client)]}).json()
    assert len(shape(together["objects"][0]["geometry"]).geoms) == 3
