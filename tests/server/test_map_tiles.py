"""Tiles in Web Mercator lie where the ground is, whatever the image's own system and turn."""

import math

import cv2
import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer
from tests_app_help import HOUSES, draw

EDGE = 20037508.342789244
TURNED = Affine.translation(500_000, 4_650_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
GRIDS = {
    "north up": (Affine(0.5, 0, 500_000, 0, -0.5, 4_650_000), "EPSG:32633"),
    "turned": (TURNED, "EPSG:32633"),
    "degrees": (Affine(6e-6, 0, 15.0, 0, -4.5e-6, 42.0), "EPSG:4326"),
    "south up": (Affine(0.5, 0, 500_000, 0, 0.5, 4_650_000), "EPSG:32633"),
    "feet": (Affine(1.5, 0, 300_000, 0, -1.5, 200_000), "EPSG:2272"),
}


def picture(answer):
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def tile_of(lonlat, z):
    """(x, y) of the tile and (row, column) in it of a point."""
    x, y = Transformer.from_crs("OGC:CRS84", 3857, always_xy=True).transform(*lonlat)
    side = 2 * EDGE / 2**z
    east, south = (x + EDGE) / side, (EDGE - y) / side
    return (math.floor(east), math.floor(south)), (int(south % 1 * 256), int(east % 1 * 256))


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("z", [16, 18, 20])
def test_every_house_lies_where_it_is(serve, tmp_path, kind, z):
    transform, crs = GRIDS[kind]
    client = serve(draw(tmp_path / "town.tif", transform, crs))
    to_lonlat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform
    for row, col, rows, cols in HOUSES.values():
        for (r, c), bright in (((row + rows / 2, col + cols / 2), True), ((row + rows / 2, col - 15), False)):
            (x, y), at = tile_of(to_lonlat(*(transform @ (c, r))), z)
            found = picture(client.get(f"/api/images/town/tiles/map/{z}/{x}/{y}.png"))
            assert found.shape == (256, 256, 4) and found[(*at, 3)] == 255
            assert z == 16 or bool(found[at][0] > 127) is bright, (kind, row, col)


def test_outside_it_is_transparent_and_beyond_there_is_nothing(client):
    (x, y), _ = tile_of((15.0, 42.0), 18)
    found = picture(client.get(f"/api/images/town/tiles/map/18/{x}/{y}"))
    assert 0 < (found[..., 3] == 0).mean() < 1
    for place in ("0/1/0", "0/0/1", "31/0/0", "18/0/0", "-1/0/0", f"18/{x}/{y + 50}"):
        assert client.get(f"/api/images/town/tiles/map/{place}").status_code == 404, place
    assert client.get(f"/api/images/town/tiles/map/18/{x}/{y}.jpg").status_code == 400
    assert client.get("/api/images/town/tiles/map/x/0/0").status_code == 400
    (x, y), _ = tile_of((15.001, 41.999), 13)
    assert client.get(f"/api/images/town/tiles/map/13/{x}/{y}").status_code == 200


def test_without_a_coordinate_system(serve, picture_file):
    answer = serve(picture_file).get("/api/images/photo/tiles/map/0/0/0")
    assert answer.status_code == 400 and "tiles/pixels" in answer.json()["message"]


@pytest.fixture
def picture_file(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((60, 80, 3), 20, np.uint8))
    return tmp_path / "photo.png"
