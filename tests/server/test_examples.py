"""Classes, examples, find the rest, events."""

import base64
import json

import cv2
import numpy as np
import pytest
from tests_app_help import area, outline_house, ring

ITEMS = "/api/collections/objects/items"
VIEW = {"bounds": [0, 0, 800, 600], "resolution": 1}


def png(image):
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


def test_classes_are_made_renamed_and_deleted(client):
    schema = {"roof": {"type": "string", "values": ["flat", "gable"]}}
    made = client.put("/api/classes/house", json={"colour": "#112233", "key": "1", "schema": schema}).json()
    assert made["schema"]["roof"]["values"] == ["flat", "gable"] and made["objects"] == 0
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    renamed = client.put("/api/classes/house", json={"name": "Haus / Häuser"}).json()
    assert (renamed["name"], renamed["objects"], renamed["colour"]) == ("Haus / Häuser", 1, "#112233")
    assert client.get("/api/references?class=Haus / Häuser").json()["references"][0]["class"] == "Haus / Häuser"
    path = "/api/classes/Haus%20%2F%20H%C3%A4user"
    assert client.delete(path).status_code == 409
    client.put("/api/classes/barn", json={})
    assert client.delete(path, params={"move_to": "barn"}).status_code == 204
    assert [c["name"] for c in client.get("/api/classes").json()["classes"]] == ["barn"]
    assert client.get(f"{ITEMS}/{feature['id']}").json()["properties"]["class"] == "barn"
    assert client.post("/api/undo").status_code == 200  # the move, not the class


@pytest.mark.parametrize(
    "body", [{"colour": "red"}, {"colour": "#12345"}, {"kind": "both"}, {"key": "12"}, {"schema": {"a": {"type": "x"}}}]
)
def test_classes_that_cannot_be(same_client, body):
    assert same_client.put("/api/classes/house", json=body).status_code == 422
    assert same_client.get("/api/classes").json() == {"classes": []}


def test_an_object_becomes_an_example(client):
    feature = outline_house(client, **{"class": "house"})
    made = client.post("/api/references", json={"object": feature["id"], "positive": False}).json()
    assert (made["class"], made["positive"], made["width"], made["height"]) == ("house", False, 120, 100)
    picture = client.get(f"/api/references/{made['id']}/picture")
    image = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert image[50, 60, 0] == 200 and image[2, 2, 0] == 20 // 3
    assert client.delete(f"/api/references/{made['id']}").status_code == 204
    assert client.delete(f"/api/references/{made['id']}").status_code == 404


def test_imported_examples(client):
    image, mask = np.full((20, 30, 3), 90, np.uint8), np.zeros((20, 30), np.uint8)
    mask[5:9, 5:9] = 255
    body = {"image_png": png(image), "mask_png": png(mask), "class": "house"}
    assert client.post("/api/references", json=body).json()["width"] == 30
    huge = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0" + b"\0" * 20).decode()
    for bad in ({"mask_png": png(mask[:9])}, {"image_png": "%%%"}, {"image_png": huge}, {"mask_png": png(mask * 0)}):
        assert client.post("/api/references", json=body | bad).status_code == 422, bad
    assert client.post("/api/references", json={"class": "house"}).status_code == 422


@pytest.mark.parametrize("kind", ["LineString", "Point"])
def test_lines_and_points_do_not_hinder_finding_the_rest(client, kind):
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    shape = {"type": kind, "coordinates": [110.0, 110.0] if kind == "Point" else [[100.0, 90.0], [300.0, 95.0]]}
    body = {"type": "Feature", "geometry": shape, "properties": {"class": "house"}}
    assert client.post(f"{ITEMS}?crs=pixels&image=town", json=body).status_code == 201
    found = client.post("/api/proposals", json={"image": "town", "class": "house", "view": VIEW})
    assert found.status_code == 200 and len(found.json()["items"]) == 3


def test_undo_leaves_a_proposal_that_another_window_decided_otherwise(client):
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    found = client.post("/api/proposals", json={"image": "town", "class": "house", "view": VIEW}).json()
    where, left, right = f"/api/proposals/{found['id']}", {"TerraClick-Window": "a"}, {"TerraClick-Window": "b"}
    client.post(f"{where}/refuse", json={"items": [0]}, headers=left)
    client.post("/api/undo", headers=left)
    kept = client.post(f"{where}/accept", json={"items": [0]}, headers=right).json()
    answer = client.post("/api/redo", headers=left)
    assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
    undone = client.post("/api/undo", headers=right).json()
    assert undone["deleted"] == [kept["objects"][0]["id"]] and undone["proposals"]["items"] == found["items"]


def test_find_the_rest(client):
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    found = client.post("/api/proposals", json={"image": "town", "class": "house", "view": VIEW}).json()
    assert len(found["items"]) == 3  # the fourth is an object already
    scores = [item["score"] for item in found["items"]]
    assert scores == sorted(scores, reverse=True)
    assert [item["outline"]["area_px"] for item in found["items"]] == [2400, 2400, 400]
    change = client.post(f"/api/proposals/{found['id']}/accept", json={"items": [0, 1], "status": "review"}).json()
    assert {f["properties"]["status"] for f in change["objects"]} == {"review"}
    assert client.post(f"/api/proposals/{found['id']}/accept", json={"items": [0]}).status_code == 404
    seed = {"proposal": found["id"], "item": 2}
    session = client.post("/api/sessions", json={"image": "town", "seed": seed, "class": "house"}).json()
    assert session["outline"]["area_px"] == 400
    assert client.post("/api/undo").json()["deleted"]
    assert client.delete(f"/api/proposals/{found['id']}").status_code == 204


def test_refusing_a_proposal_is_an_act_that_undo_takes_back(client):
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    found = client.post("/api/proposals", json={"image": "town", "class": "house", "view": VIEW}).json()
    where = f"/api/proposals/{found['id']}"
    change = client.post(f"{where}/refuse", json={"items": [1]}).json()
    assert [item["item"] for item in change["proposals"]["items"]] == [0, 2] and change["objects"] == []
    assert (change["proposals"]["kept"], change["proposals"]["refused"], change["image"]) == (0, 1, "town")
    kept = client.post(f"{where}/accept", json={"items": [0]}).json()
    assert [item["item"] for item in kept["proposals"]["items"]] == [2]
    for gone in (0, 1):
        assert client.post(f"{where}/refuse", json={"items": [gone]}).status_code == 404
        assert client.post(f"{where}/accept", json={"items": [gone]}).status_code == 404
    assert client.get("/api/undo").json()["undo"][:2] == ["accept 1 proposal", "refuse 1 proposal"]
    assert client.delete(where).status_code == 204
    assert client.post(f"{where}/refuse", json={"items": [2]}).status_code == 404  # closed
    undone = client.post("/api/undo").json()
    assert undone["deleted"] == [kept["objects"][0]["id"]]
    assert [item["item"] for item in undone["proposals"]["items"]] == [0, 2]  # open again
    undone = client.post("/api/undo").json()
    assert undone["proposals"]["items"] == found["items"] and undone["proposals"]["refused"] == 0
    again = client.post("/api/redo").json()["proposals"]
    assert [item["item"] for item in again["items"]] == [0, 2] and again["refused"] == 1
    assert client.post("/api/redo").json()["proposals"]["kept"] == 1
    assert client.post(f"{where}/refuse", json={"items": [2]}).json()["proposals"]["items"] == []


def test_a_refusal_whose_list_is_forgotten_is_left_out_of_the_history(client):
    feature = outline_house(client, **{"class": "house"})
    client.post("/api/references", json={"object": feature["id"]})
    body = {"image": "town", "class": "house", "view": VIEW}
    found = client.post("/api/proposals", json=body).json()
    client.post(f"/api/proposals/{found['id']}/refuse", json={"items": [0]})
    for _ in range(32):
        client.post("/api/proposals", json=body)
    answer = client.post("/api/undo")
    assert answer.status_code == 409 and "ask for them again" in answer.json()["message"]
    assert client.get("/api/undo").json()["undo"][0] == "add an example"


def test_without_an_example_nothing_is_found(same_client):
    answer = same_client.post("/api/proposals", json={"image": "town", "class": "house", "view": VIEW})
    assert (answer.status_code, answer.json()["error"]) == (422, "BadClick")
    no = {"image": "town", "class": "house", "references": ["nobody"]}
    assert same_client.post("/api/proposals", json=no).status_code == 404


def test_examples_reach_the_model_and_can_change(client):
    feature = outline_house(client, **{"class": "house"})
    made = client.post("/api/references", json={"object": feature["id"]}).json()
    body = {"image": "town", "target": "class", "class": "house", "view": VIEW, "references": "class"}
    name = client.post("/api/sessions", json=body).json()["id"]
    # with an example even an excluding click alone has something to start from
    click = {"x": 310, "y": 120, "positive": False}
    found = client.post(f"/api/sessions/{name}/clicks", json=click).json()
    assert found["references"] == [made["id"]] and found["outline"]["parts"] == 4
    assert client.patch(f"/api/sessions/{name}", json={"references": []}).status_code == 422
    assert client.get(f"/api/sessions/{name}").json()["references"] == [made["id"]]


def events_of(client, act):
    """What a listener hears while `act` runs."""
    import asyncio

    heard = []

    async def listen():
        stream = client.space.hub.listen("anna", {"user": "anna"})
        heard.append(await anext(stream))
        await asyncio.get_running_loop().run_in_executor(None, act)
        while True:
            try:
                heard.append(await asyncio.wait_for(anext(stream), 1.0))
            except (TimeoutError, StopAsyncIteration):
                return

    asyncio.run(listen())
    pairs = [text.split("\n") for text in heard]
    return [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in pairs]


def test_everybody_hears_of_changes(client):
    ben = {"Authorization": "Bearer token-ben"}
    body = {"type": "Feature", "geometry": ring(0, 0, 9, 9), "properties": {"image": "town"}}
    heard = events_of(client, lambda: client.post(ITEMS, params={"crs": "pixels"}, json=body, headers=ben))
    assert [name for name, _ in heard] == ["hello", "objects"]
    assert heard[1][1]["by"] == "ben" and area(heard[1][1]["changed"][0]["geometry"]) == 81


def test_a_rough_class_answer_comes_first(serve, town):
    from dataclasses import replace

    client = serve(town)
    client.space.answering._model = replace(client.space.model, rough=client.space.model.predictor)
    name = client.post("/api/sessions", json={"image": "town", "target": "class", "view": VIEW}).json()["id"]
    heard = events_of(client, lambda: client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120}))
    assert [(event, data["final"]) for event, data in heard[1:]] == [("answer", False)]
    assert heard[1][1]["session"] == name and heard[1][1]["outline"]["parts"] == 4
