"""The interface of the SegMap plug-in's server, version 1, so that its plug-in can point at ours.

What is sent here is put together by hand, not recorded from a running plug-in. It is derived from two public texts of
TitorX/SegMap-QGIS: the description of the interface in server/README.md, and what segmap/iscontroller.py of the plug-in
states that it sends. From the first: `GET /models` and `POST /segment` below /v1 with a bearer token; the picture as
base64 of its bytes in the order channel, row, column; clicks as [x, y, 1 or 0] in pixels, x right and y down, integers
or not; previous_mask as GeoJSON polygons with holes; width, height, channel, model_id; the answer's segmentation,
model_used, processing_time in seconds and timestamp in UTC; errors as {"error": {"code", "message"}} with 401
invalid_token. From the second: the plug-in sends the canvas as RGB of 8 bits with every click, its clicks are not
rounded, previous_mask is always there and always empty, and only a status of 400 or more counts as an error.
There are no fields for a box or for text in that interface.
"""

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Point, box, shape

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


def test_the_stored_exchange_is_answered(client):
    exchange = json.loads(EXCHANGE.read_text())
    assert base64.b64decode(exchange["request"]["image"]) == np.moveaxis(picture(), 2, 0).tobytes()
    answer = client.post("/v1/segment", json=exchange["request"])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found) == set(exchange["response"]) == {"segmentation", "model_used", "processing_time", "timestamp"}
    (got,), (wanted,) = found["segmentation"], exchange["response"]["segmentation"]
    assert shape(got).equals(shape(wanted)) and got["type"] == "Polygon"


def test_the_answer_tells_model_time_and_date(client):
    found = client.post("/v1/segment", json=asked()).json()
    assert found["model_used"] == "bright" and 0 <= found["processing_time"] < 60
    assert datetime.fromisoformat(found["timestamp"].replace("Z", "+00:00")).utcoffset() == timedelta(0)


def test_the_list_of_models(client):
    (model,) = client.get("/v1/models").json()["models"]
    names = {"id", "name", "version", "input_shape", "description", "status", "created_at"}
    assert set(model) == names and model["id"] == "bright" and model["status"] == "active"
    assert set(model["input_shape"]) == {"channels", "width", "height"} and model["input_shape"]["channels"] == 3


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
