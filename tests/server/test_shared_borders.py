"""Objects of coverage classes share their borders: after every act the coverage is valid, and undo takes all back."""

import numpy as np
import pytest
import shapely
from shapely.geometry import mapping
from tests_app_help import draw

pytest.importorskip("fastapi")

FIELD = {"kind": "coverage", "colour": "#33aa55"}
PATH = "/api/collections/objects/items"


def add(client, ring, class_name="field"):
    body = {"type": "Feature", "geometry": mapping(shapely.Polygon(ring)), "properties": {"class": class_name}}
    answer = client.post(f"{PATH}?crs=pixels&image={image(client)}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def image(client):
    return client.get("/api/images").json()["images"][0]["id"]


def stored(client):
    found = client.get(f"{PATH}?crs=native&limit=1000").json()["features"]
    return {feature["id"]: feature for feature in found}


def geometries(client):
    """The polygons that are stored, exactly."""
    return [part for item in client.space.store.objects() for part in shapely.get_parts(item.geometry)]


def reshape(client, uuid, change):
    """Change an object's outer ring as the map does: what it was sent, with some corners moved."""
    feature = client.get(f"{PATH}/{uuid}?crs=pixels&image={image(client)}").json()
    ring = change([tuple(point) for point in feature["geometry"]["coordinates"][0][:-1]])
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    body = {"geometry": geometry, "rev": feature["properties"]["rev"]}
    answer = client.patch(f"{PATH}/{uuid}?crs=pixels&image={image(client)}", json=body)
    assert answer.status_code == 200, answer.text


def moved(near, by):
    def change(ring):
        at = int(np.argmin([np.hypot(x - near[0], y - near[1]) for x, y in ring]))
        return [(x + by[0], y + by[1]) if k == at else (x, y) for k, (x, y) in enumerate(ring)]

    return change


def valid(client):
    return bool(shapely.coverage_is_valid(geometries(client)))


def test_neighbours_meet_corner_by_corner_when_they_are_made(serve, tmp_path):
    client = serve(draw(tmp_path / "fields.tif"))
    client.put("/api/classes/field", json=FIELD)
    add(client, [(10, 10), (60, 12), (58, 80), (12, 78)])
    add(client, [(50, 20), (110, 25), (105, 70), (55, 60)])
    add(client, [(30, 60), (100, 65), (90, 120), (20, 110)])
    assert len(geometries(client)) == 3 and valid(client)


@pytest.fixture
def three(serve, tmp_path):
    """Three fields that meet in one corner at (60, 60), two of them along a border."""
    client = serve(draw(tmp_path / "fields.tif"))
    client.put("/api/classes/field", json=FIELD)
    left = add(client, [(10, 10), (60, 10), (60, 60), (60, 110), (10, 110)])
    upper = add(client, [(60, 10), (110, 10), (110, 60), (60, 60)])
    lower = add(client, [(60, 60), (110, 60), (110, 110), (60, 110)])
    assert valid(client)
    return client, left, upper, lower


@pytest.mark.parametrize("by", [(7, 3), (-8, 0), (0, 12), (0.5, -0.25)])
@pytest.mark.parametrize("who", [1, 2, 3])
def test_a_shared_corner_moves_in_every_neighbour(three, who, by):
    client = three[0]
    area = shapely.union_all(geometries(client)).area
    before = stored(client)
    reshape(client, three[who], moved((60, 60), by))
    assert valid(client)
    assert shapely.union_all(geometries(client)).area == pytest.approx(area, rel=1e-9)
    assert sum(one.area for one in geometries(client)) == pytest.approx(area, rel=1e-9)
    client.post("/api/undo")
    assert [f["geometry"] for f in stored(client).values()] == [f["geometry"] for f in before.values()]


def test_a_corner_added_to_or_taken_from_a_border_is_so_on_both_sides(three):
    client, left, upper, _ = three
    corners = [len(one.exterior.coords) for one in geometries(client)]

    def bend(ring):
        at = next(k for k in range(len(ring)) if {ring[k], ring[(k + 1) % len(ring)]} == {(60, 10), (60, 60)})
        return [*ring[: at + 1], (66, 35), *ring[at + 1 :]]

    reshape(client, upper, bend)
    assert valid(client)
    assert sum(len(one.exterior.coords) for one in geometries(client)) == sum(corners) + 2
    reshape(client, left, lambda ring: [p for p in ring if abs(p[0] - 66) > 0.01])
    assert valid(client)
    assert sum(len(one.exterior.coords) for one in geometries(client)) == sum(corners)


def test_every_act_leaves_a_valid_coverage(three):
    client, left, upper, lower = three
    rng = np.random.default_rng(5)
    for _ in range(25):
        uuid = [left, upper, lower][rng.integers(3)]
        ring = client.get(f"{PATH}/{uuid}?crs=pixels&image={image(client)}").json()["geometry"]["coordinates"][0]
        corner = ring[rng.integers(len(ring) - 1)]
        feature = client.get(f"{PATH}/{uuid}?crs=pixels&image={image(client)}").json()
        change = moved(corner, rng.uniform(-9, 9, 2))
        new = change([tuple(point) for point in ring[:-1]])
        if shapely.Polygon(new).is_valid:
            body = {
                "geometry": {"type": "Polygon", "coordinates": [[*new, new[0]]]},
                "rev": feature["properties"]["rev"],
            }
            client.patch(f"{PATH}/{uuid}?crs=pixels&image={image(client)}", json=body)
        assert valid(client)
    line = {"type": "LineString", "coordinates": [[0, 40], [130, 45]]}
    for uuid in (left, upper):
        client.post(f"/api/objects/{uuid}/split", json={"line": line})
        assert valid(client)
    piece = mapping(shapely.Point(60, 80).buffer(9))
    client.post(f"/api/objects/{lower}/add", json={"geometry": piece})
    assert valid(client)
    while client.post("/api/undo").status_code == 200:
        assert valid(client)


def test_objects_of_other_classes_stay_apart(three):
    client = three[0]
    client.put("/api/classes/house", json={"kind": "discrete"})
    before = geometries(client)
    add(client, [(50, 50), (70, 50), (70, 70), (50, 70)], "house")
    assert [one.wkt for one in geometries(client)][:3] == [one.wkt for one in before]
