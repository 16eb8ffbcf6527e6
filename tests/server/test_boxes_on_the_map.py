"""A box around a thing over HTTP: answered, corrected, undone, kept, opened again, and replayed."""

import math

import pytest
from tests_app_help import Bright

from terraclick.evaluate.replay import replay

BOX = {"x1": 118, "y1": 98, "x2": 183, "y2": 142}


def begin(client, **more):
    return client.post("/api/sessions", json={"image": "town", **more}).json()["id"]


def drawn(client, name, **more):
    return client.post(f"/api/sessions/{name}/box", json={**BOX, **more})


def test_a_box_outlines_the_house_and_is_corrected_by_clicks(client):
    name = begin(client)
    found = drawn(client, name).json()
    assert found["outline"]["area_px"] == 60 * 40 and found["box"] == BOX and found["begun"] and found["clicks"] == []
    corrected = client.post(f"/api/sessions/{name}/clicks", json={"x": 125, "y": 105, "positive": False}).json()
    assert corrected["box"] == BOX and len(corrected["clicks"]) == 1 and corrected["outline"] != found["outline"]
    other = drawn(client, name, x2=190).json()
    assert other["box"]["x2"] == 190 and other["clicks"] == corrected["clicks"], "clicks are answered again with it"
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"] == corrected["outline"]
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"] == found["outline"]
    nothing = client.post(f"/api/sessions/{name}/undo").json()
    assert nothing["box"] is None and nothing["outline"] is None and not nothing["begun"]
    assert client.post(f"/api/sessions/{name}/redo").json()["outline"] == found["outline"]


def test_clearing_takes_the_box_and_a_class_leaves_it_waiting(client):
    name = begin(client, view={"bounds": [0, 0, 800, 600], "resolution": 1})
    found = drawn(client, name).json()
    alike = client.patch(f"/api/sessions/{name}", json={"target": "class"}).json()
    assert alike["box"] is None and alike["outline"] is None
    assert client.patch(f"/api/sessions/{name}", json={"target": "object"}).json()["outline"] == found["outline"]
    assert client.post(f"/api/sessions/{name}/clear").json()["box"] is None
    kind = begin(client, target="class")
    refused = drawn(client, kind)
    assert refused.status_code == 422 and "one object" in refused.json()["message"]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"x1": 190}, "x1 < x2"),
        ({"y2": 98}, "y1 < y2"),
        ({"x1": -3}, "outside the image"),
        ({"x2": 90_000}, "outside the image"),
        ({"x1": "left"}, "x1"),
        ({"x1": None}, "x1"),
        ({"y3": 4}, "y3"),
        ({"resolution": 0}, "resolution"),
        ({"x1": math.nan}, ""),
        ({"x1": math.inf}, ""),
    ],
)
def test_what_is_no_box_is_refused_in_a_sentence_and_nothing_changes(client, wrong, said):
    name = begin(client)
    good = drawn(client, name).json()
    if isinstance(wrong.get("x1"), float):
        text = '{"x1": %s, "y1": 1, "x2": 2, "y2": 3}' % ("NaN" if math.isnan(wrong["x1"]) else "1e999")
        answer = client.post(f"/api/sessions/{name}/box", content=text, headers={"Content-Type": "application/json"})
    else:
        answer = drawn(client, name, **wrong)
    assert answer.status_code in (400, 422) and said in answer.json()["message"]
    assert client.get(f"/api/sessions/{name}").json()["outline"] == good["outline"]


def test_the_box_is_on_disk_and_comes_back_with_the_outline(serve, town):
    client = serve(town)
    name = begin(client)
    found = drawn(client, name).json()
    (draft,) = [one for one in client.get("/api/sessions").json()["sessions"] if one["id"] == name]
    assert draft["box"] == BOX
    serve.stop(client)
    again = serve(town)
    back = again.get(f"/api/sessions/{name}").json()
    assert back["box"] == BOX and back["outline"] == found["outline"]


def test_an_object_keeps_its_box_and_is_replayed_with_it(client):
    name = begin(client)
    drawn(client, name)
    client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120})
    kept = client.post(f"/api/sessions/{name}/accept", json={"class": "house"}).json()
    assert kept["properties"]["n_clicks"] == 2 and kept["properties"]["model"] != "hand"
    alone = begin(client)
    drawn(client, alone)
    other = client.post(f"/api/sessions/{alone}/accept", json={}).json()
    assert other["properties"]["n_clicks"] == 1
    x1, y1, x2, y2 = client.space.store.view_of(kept["id"]).box
    assert (x1, y1, x2, y2) == pytest.approx((500_059, 4_649_951, 500_091.5, 4_649_929))
    found = replay(client.space.store, Bright(), "bright")
    assert not found.skipped and [len(item.ious) for item in found.objects] == [2, 1]
    assert all(value == pytest.approx(1, abs=2e-3) for item in found.objects for value in item.ious)


def test_an_object_opened_again_keeps_the_box_that_it_had(client):
    name = begin(client)
    drawn(client, name)
    kept = client.post(f"/api/sessions/{name}/accept", json={"class": "house"}).json()
    again = begin(client, object=kept["id"])
    client.post(f"/api/sessions/{again}/clicks", json={"x": 125, "y": 105, "positive": False})
    before = client.space.store.view_of(kept["id"]).box
    assert client.post(f"/api/sessions/{again}/accept", json={}).status_code == 201
    assert client.space.store.view_of(kept["id"]).box == before
    assert len(client.space.store.clicks_of(kept["id"])) == 1
