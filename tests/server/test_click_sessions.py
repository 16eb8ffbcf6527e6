"""Click sessions over HTTP: a fold over acts, saved at every step."""

import pytest
from shapely.geometry import box, shape
from tests_app_help import area, draw, outline_house, ring

ITEMS = "/api/collections/objects/items"


def begin(client, **more):
    return client.post("/api/sessions", json={"image": "town", **more}).json()["id"]


def click(client, name, x, y, positive=True):
    return client.post(f"/api/sessions/{name}/clicks", json={"x": x, "y": y, "positive": positive})


def test_one_click_is_the_house_to_the_millimetre(client):
    name = begin(client)
    found = click(client, name, 150, 120).json()
    assert shape(found["outline"]["geometry"]).equals(box(120, 100, 180, 140))
    assert shape(found["outline"]["map"]).equals(box(500_060, 4_649_930, 500_090, 4_649_950))
    assert found["outline"]["area_m2"] == pytest.approx(600, rel=1e-3)  # true ground metres
    accepted = client.post(f"/api/sessions/{name}/accept", json={"class": "house", "label": "first"}).json()
    stored = client.get(f"{ITEMS}/{accepted['id']}?crs=native").json()
    assert shape(stored["geometry"]).equals(box(500_060, 4_649_930, 500_090, 4_649_950))
    assert (stored["properties"]["class"], stored["properties"]["author"]) == ("house", "anna")
    assert client.get(f"/api/sessions/{name}").status_code == 404


def test_undo_and_redo_give_the_same_outlines(client):
    name = begin(client)
    seen = [click(client, name, 150, 120).json(), click(client, name, 125, 105, False).json()]
    back = client.post(f"/api/sessions/{name}/undo").json()
    assert back["outline"] == seen[0]["outline"] and back["can_redo"]
    assert client.post(f"/api/sessions/{name}/redo").json()["outline"] == seen[1]["outline"]
    assert client.delete(f"/api/sessions/{name}/clicks/last").json()["clicks"] == seen[0]["clicks"]
    other = click(client, name, 175, 135, False).json()
    assert not other["can_redo"] and other["outline"] != seen[1]["outline"]


def test_paint_stays_whatever_is_clicked_later(client):
    name = begin(client)
    click(client, name, 150, 120)
    painted = client.post(f"/api/sessions/{name}/paint", json={"geometry": ring(180, 100, 20, 40)}).json()
    assert painted["outline"]["area_px"] == 80 * 40
    client.post(f"/api/sessions/{name}/paint", json={"geometry": ring(140, 110, 10, 10), "add": False})
    later = click(client, name, 130, 130).json()
    assert later["outline"]["area_px"] == 80 * 40 - 100
    assert client.post(f"/api/sessions/{name}/clear").json()["outline"] is None
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"] == later["outline"]


def test_target_and_shape_can_change_on_the_way(client):
    name = begin(client, view={"bounds": [0, 0, 800, 600], "resolution": 1})
    click(client, name, 150, 120)
    everything = client.patch(f"/api/sessions/{name}", json={"target": "class"}).json()
    assert everything["outline"]["parts"] == 4 and everything["target"] == "class"
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"]["parts"] == 1
    squared = client.get(f"/api/sessions/{name}/outline?simplify_m=2&square=true").json()
    assert squared["vertices"] == 5
    assert client.patch(f"/api/sessions/{name}", json={"simplify_m": 1}).json()["simplify_m"] == 1


def test_a_view_that_grows_answers_all_clicks_again(serve, tmp_path):
    apart = {"one": (500, 100, 40, 200), "other": (500, 2500, 40, 200)}
    client = serve(draw(tmp_path / "town.tif", houses=apart, shape=(1000, 3000)))
    name = begin(client)
    first = click(client, name, 200, 520).json()
    second = click(client, name, 2600, 520).json()
    assert second["view"]["bounds"][2] > first["view"]["bounds"][2]
    assert second["outline"]["area_px"] == pytest.approx(2 * 40 * 200)
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"] == first["outline"]


def test_zoomed_out_reads_coarser_and_a_class_reads_the_view(serve, tmp_path):
    client = serve(draw(tmp_path / "town.tif", shape=(3000, 4000)))
    far = begin(client, view={"bounds": [0, 0, 4000, 3000], "resolution": 8})
    assert click(client, far, 150, 120).json()["view"]["gsd"] == pytest.approx(2.0, rel=1e-2)
    kind = begin(client, target="class", view={"bounds": [0, 0, 400, 600], "resolution": 1})
    found = click(client, kind, 150, 120).json()
    assert found["outline"]["parts"] == 3  # the fourth house is out of view
    assert found["view"]["bounds"] == [0, 0, 448, 640]


def test_reopen_and_go_on_clicking(client):
    feature = outline_house(client, **{"class": "house"})
    again = client.post("/api/sessions", json={"object": feature["id"]}).json()
    assert again["outline"]["area_px"] == 2400 and again["class"] == "house"
    click(client, again["id"], 122, 102, False)
    changed = client.post(f"/api/sessions/{again['id']}/accept", json={}).json()
    assert changed["id"] == feature["id"] and changed["properties"]["rev"] == 2
    assert changed["properties"]["n_clicks"] == 2 and area(changed["geometry"]) < 2400


def test_a_seed_is_a_start(client):
    name = begin(client, seed=ring(118, 98, 64, 44))
    assert client.get(f"/api/sessions/{name}").json()["outline"]["area_px"] == 64 * 44
    assert click(client, name, 150, 120).json()["outline"]["area_px"] == 2400


def test_a_preview_keeps_nothing(client):
    name = begin(client)
    assert client.get(f"/api/sessions/{name}/preview?x=150&y=120").json()["ready"] is False
    click(client, name, 150, 120)
    seen = client.get(f"/api/sessions/{name}/preview?x=122&y=102&positive=false").json()
    assert seen["ready"] and seen["outline"]["area_px"] < 2400
    client.space.outlines._held[name].states.clear()
    assert client.get(f"/api/sessions/{name}/preview?x=122&y=102").json()["ready"] is False
    assert client.get(f"/api/sessions/{name}").json()["outline"]["area_px"] == 2400


@pytest.mark.parametrize(
    ("x", "y", "positive", "status"),
    [(-1, 5, True, 422), (800, 5, True, 422), (5, 5, False, 422), ("x", 5, True, 422), (1e400, 5, True, 400)],
)
def test_clicks_that_cannot_be(client, x, y, positive, status):
    name = begin(client)
    body = f'{{"x": {"1e999" if x == 1e400 else repr(x).replace(chr(39), chr(34))}, "y": {y}, "positive": false}}'
    body = body.replace("false", str(positive).lower())
    answer = client.post(f"/api/sessions/{name}/clicks", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (status, 422)
    assert set(answer.json()) == {"error", "message"}
    assert client.get(f"/api/sessions/{name}").json()["clicks"] == []


def test_sessions_of_others_are_not_there(client):
    name = begin(client)
    ben = {"Authorization": "Bearer token-ben"}
    assert client.get(f"/api/sessions/{name}", headers=ben).status_code == 404
    assert client.get("/api/sessions", headers=ben).json() == {"sessions": []}


def test_unfinished_work_is_there_after_a_restart(serve, town):
    first = serve(town)
    name = begin(first, **{"class": "house"})
    click(first, name, 150, 120)
    seen = click(first, name, 122, 102, False).json()
    first.post(f"/api/sessions/{name}/undo")
    serve.stop(first)
    second = serve(town)
    (found,) = second.get("/api/sessions").json()["sessions"]
    assert (found["id"], found["class"], found["can_redo"]) == (name, "house", True)
    assert second.post(f"/api/sessions/{name}/redo").json()["outline"] == seen["outline"]
    assert second.post(f"/api/sessions/{name}/accept", json={}).status_code == 201
    assert second.get("/api/sessions").json() == {"sessions": []}


def test_earlier_answers_put_away_come_back_the_same(client):
    name = begin(client)
    seen = [click(client, name, 150, 120).json(), click(client, name, 122, 102, False).json()]
    client.space.outlines._held[name].states.clear()
    assert client.post(f"/api/sessions/{name}/undo").json()["outline"] == seen[0]["outline"]
    client.space.outlines._held.clear()
    assert client.post(f"/api/sessions/{name}/redo").json()["outline"] == seen[1]["outline"]


def test_images_without_coordinates_work_alike(serve, picture):
    client = serve(picture)
    name = client.post("/api/sessions", json={"image": "photo"}).json()["id"]
    found = client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120}).json()["outline"]
    assert shape(found["geometry"]).equals(box(120, 100, 180, 140))
    assert found["map"] is None and found["area_m2"] is None
    kept = client.post(f"/api/sessions/{name}/accept", json={}).json()
    assert client.get(f"{ITEMS}/{kept['id']}").json()["geometry"] == kept["geometry"]
    assert client.get(ITEMS + "?crs=CRS84").status_code == 400


def test_a_rotated_image_speaks_its_own_pixels(serve, tmp_path):
    from affine import Affine

    turned = Affine(0.4, 0.3, 500_000, 0.3, -0.4, 4_650_000)
    client = serve(draw(tmp_path / "town.tif", transform=turned))
    found = outline_house(client)
    assert shape(found["geometry"]).symmetric_difference(box(120, 100, 180, 140)).area < 1e-3
