"""The interface of the SegMap plug-in's server, version 1, so that its plug-in can point at ours.

`segmap_exchange.json` is what the published plug-in (TitorX/SegMap-QGIS, segmap/iscontroller.py) said in a real QGIS to
`terraclick serve`, recorded by dev/record_segmap.py. The plug-in sends the canvas as RGB of 8 bits with every click,
clicks that are not rounded and may lie off the canvas, and an empty previous_mask. It reads the list of models as a
list, and counts only a status of 400 or more as an error. The other tests follow the description of the interface in
that project's server/README.md. There are no fields for a box or for text in that interface.
"""

import base64
import json
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Point, box, shape
from shapely.ops import unary_union

from terraclick.catalogue import load

EXCHANGE = Path(__file__).parent / "segmap_exchange.json"


def picture(channels=3):
    image = np.full((60, 80, channels), 20, np.uint8)
    image[10:30, 20:50] = 200
    return image


def asked(image=None, clicks=((30, 15, 1),), **more):
    """A request as the plug-in makes it."""
    image = picture() if image is None else image
    return {
        "model_id": "bright",
        "image": base64.b64encode(np.transpose(image, (2, 0, 1)).flatten()).decode(),
        "clicks": [list(click) for click in clicks],
        "width": image.shape[1],
        "height": image.shape[0],
        "channel": image.shape[2],
        "previous_mask": [],
        **more,
    }


def parts(client, request):
    """The polygons of an answer."""
    answer = client.post("/v1/segment", json=request)
    assert answer.status_code == 200, answer.text
    for part in answer.json()["segmentation"]:
        assert part["type"] == "Polygon" and all(ring[0] == ring[-1] and len(ring) > 3 for ring in part["coordinates"])
    return [shape(part) for part in answer.json()["segmentation"]]


@pytest.fixture(scope="module")
def recorded():
    """What the published plug-in said and what it was answered; pictures as it sends them."""
    found = json.loads(EXCHANGE.read_text())
    pictures = {name: zlib.decompress(base64.b64decode(text)) for name, text in found["pictures"].items()}
    for exchange in found["exchanges"]:
        body = exchange["request"]["body"]
        if body is not None:
            data = pictures[body["image"]]
            assert len(data) == body["channel"] * body["height"] * body["width"]
            body["image"] = base64.b64encode(data).decode()
    return found["exchanges"]


@pytest.fixture
def shipped(serve, town):
    """A server with the shipped model, as the one of the record."""
    return serve(town, predictor=load("terra"), model="terra")


def test_the_record_is_complete(recorded):
    bodies = [exchange["request"]["body"] or {} for exchange in recorded]
    assert {exchange["status"] for exchange in recorded} == {200, 401, 422}
    codes = {exchange["answer"]["error"]["code"] for exchange in recorded if exchange["status"] >= 400}
    assert codes == {"invalid_clicks", "model_not_found", "invalid_token"}
    assert max(len(body.get("clicks", [])) for body in bodies) == 3
    assert {click[2] for body in bodies for click in body.get("clicks", [])} == {0, 1}
    assert any(body.get("previous_mask") for body in bodies), "no answer is refined"
    off = [click for body in bodies for click in body.get("clicks", []) if not 0 <= click[0] < body["width"]]
    assert off, "the map was never moved"


def test_every_request_of_the_published_plug_in_is_answered_as_recorded(shipped, recorded):
    for number, exchange in enumerate(recorded):
        request, wanted = exchange["request"], exchange["answer"]
        token = "token-anna" if exchange["status"] != 401 else "wrong"
        headers = request["headers"] | {"Authorization": f"Bearer {token}"}
        answer = shipped.request(request["method"], request["path"], json=request["body"], headers=headers)
        assert answer.status_code == exchange["status"], (number, answer.text)
        found = answer.json()
        if exchange["status"] >= 400:
            assert found["error"]["code"] == wanted["error"]["code"]
        elif request["body"] is None:
            for model in found:  # as the plug-in fills its list
                assert all(isinstance(model[name], str) for name in ("id", "name", "description"))
            assert [set(model) for model in found] == [set(model) for model in wanted]
        else:
            assert set(found) == set(wanted)
            same_answer(found["segmentation"], wanted["segmentation"], request["body"], number)


def same_answer(found, wanted, body, number):
    """Two answers cover the same, and what they cover fits the clicks."""
    got, recorded = (unary_union([shape(part) for part in parts]) for parts in (found, wanted))
    assert got.intersection(recorded).area / got.union(recorded).area > 0.8, number
    for x, y, positive in body["clicks"]:
        if 0 <= x < body["width"] and 0 <= y < body["height"]:
            assert got.intersects(Point(x, y)) == bool(positive), (number, x, y)


def test_the_answer_tells_model_time_and_date(client):
    found = client.post("/v1/segment", json=asked()).json()
    assert found["model_used"] == "bright" and 0 <= found["processing_time"] < 60
    assert datetime.fromisoformat(found["timestamp"].replace("Z", "+00:00")).utcoffset() == timedelta(0)


def test_the_list_of_models(client):
    (model,) = client.get("/v1/models").json()
    assert set(model) == {"id", "name", "input_channels", "description", "version"}
    assert model["id"] == "bright" and model["input_channels"] == 3


def test_clicks_that_the_map_was_moved_away_from_are_left_out(client):
    (moved,) = parts(client, asked(clicks=[(30, 15, 1), (-12.5, 15, 1), (30, 400, 0)]))
    assert moved.equals(box(20, 10, 50, 30))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_one_three_and_four_channels(client, channels):
    (found,) = parts(client, asked(picture(channels)))
    assert found.equals(box(20, 10, 50, 30))


def test_clicks_are_integers_or_not_and_exclude(client):
    (whole,) = parts(client, asked(clicks=[(30.4, 15.7, 1)]))
    assert whole.equals(box(20, 10, 50, 30))
    less = parts(client, asked(clicks=[(22, 12, 1), (48, 28, 0)]))
    assert sum(part.area for part in less) < whole.area and not any(part.contains(Point(48.5, 28.5)) for part in less)
    assert parts(client, asked(clicks=[])) == []
    alone = client.post("/v1/segment", json=asked(clicks=[(5, 5, 0)]))
    assert alone.status_code == 422 and alone.json()["error"]["code"] == "invalid_clicks"


def test_holes_of_an_earlier_mask_and_of_the_answer(client):
    image = picture()
    image[15:20, 30:40] = 20
    ring = [[60, 40], [75, 40], [75, 55], [60, 55], [60, 40]]
    hole = [[65, 45], [70, 45], [70, 50], [65, 50], [65, 45]]
    earlier = [{"type": "Polygon", "coordinates": [ring, hole]}, {"type": "Polygon", "coordinates": [hole]}]
    (found,) = parts(client, asked(image, clicks=[(22, 12, 1)], previous_mask=earlier))
    assert found.equals(box(20, 10, 50, 30) - box(30, 15, 40, 20)) and len(found.interiors) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"width": 81}, "invalid_shape"),
        ({"image": "no base64"}, "invalid_shape"),
        ({"clicks": [[500, 5, 1]]}, "invalid_clicks"),
        ({"model_id": "another"}, "model_not_found"),
        ({"clicks": [[5, 5]]}, "invalid_request"),
        ({"clicks": "none"}, "invalid_request"),
        ({"width": 0}, "invalid_request"),
        ({"channel": 7}, "invalid_request"),
        ({"image": None}, "invalid_request"),
        ({"previous_mask": [{"type": "Point", "coordinates": [1, 1]}]}, "invalid_shape"),
    ],
)
def test_errors_are_told_in_the_words_of_that_interface(client, change, code):
    answer = client.post("/v1/segment", json=asked() | change)
    assert answer.status_code == 422, answer.text
    told = answer.json()["error"]
    assert set(told) == {"code", "message"} and told["code"] == code and told["message"].endswith(".")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/segment")])
def test_a_wrong_token_is_told_in_the_words_of_that_interface(client, method, path):
    answer = client.request(method, path, headers={"Authorization": "Bearer wrong"}, json=asked())
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_token"
