"""Tiles of an image's own pixels, whatever its coordinate system."""

import cv2
import numpy as np
import pytest
import rasterio
from tests_app_help import draw


def picture(answer):
    assert answer.status_code == 200, answer.text
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return image


def test_the_last_level_is_the_image(same_client):
    about = same_client.get("/api/images/town").json()
    assert (about["width"], about["height"], about["max_zoom"]) == (800, 600, 2)
    tile = picture(same_client.get("/api/images/town/tiles/pixels/2/0/0.png"))
    assert tile.shape == (256, 256, 4) and tile[120, 150, :3].tolist() == [200, 200, 200]
    assert tile[99, 150, 0] == 20 and (tile[..., 3] == 255).all()
    edge = picture(same_client.get("/api/images/town/tiles/pixels/2/3/2"))
    assert edge.shape[2] == 4 and edge[87, 31, 3] == 255 and edge[88, 0, 3] == 0 == edge[0, 32, 3]
    coarse = picture(same_client.get("/api/images/town/tiles/pixels/0/0/0.png"))
    assert coarse[30, 37, 0] == 200 and coarse[150, 0, 3] == 0


@pytest.mark.parametrize("where", ["3/0/0", "2/4/0", "2/0/3", "2/-1/0", "2/0/-1", "-1/0/0", "2/0/x", "99/0/0"])
def test_tiles_that_are_not_there(same_client, where):
    assert same_client.get(f"/api/images/town/tiles/pixels/{where}").status_code in (404, 422)


def test_bands_stretch_and_gamma(serve, tmp_path):
    client = serve(draw(tmp_path / "deep.tif", dtype="uint16", bands=4))
    base = "/api/images/deep/tiles/pixels/2/0/0.png"
    assert picture(client.get(base, params={"rescale": "0,6000"}))[120, 150, 0] == 128
    assert picture(client.get(base, params={"rescale": "300,3000"}))[0, 0, 0] == 0
    grey = picture(client.get(base, params={"bidx": [4], "rescale": "0,6000", "gamma": 2}))
    assert grey[120, 150, 0] == pytest.approx(255 * (128 / 255) ** 0.5, abs=1)
    bands = client.get("/api/images/deep/statistics", params={"bidx": [2, 4]}).json()["bands"]
    assert [(b["index"], b["min"], b["max"]) for b in bands] == [(2, 300, 3000), (4, 300, 3000)]
    for bad in ({"bidx": [9]}, {"bidx": [1, 2]}, {"gamma": 0}, {"gamma": "nan"}, {"rescale": "5,1"}, {"rescale": "x"}):
        assert client.get(base, params=bad).status_code == 400, bad


def test_nodata_is_transparent(serve, tmp_path):
    path = draw(tmp_path / "hole.tif")
    with rasterio.open(path, "r+") as file:
        file.nodata = 20
    tile = picture(serve(path).get("/api/images/hole/tiles/pixels/2/0/0"))
    assert tile[0, 0, 3] == 0 and tile[120, 150, 3] == 255


def test_a_large_image_without_overviews_is_read_once_from_afar(serve, tmp_path, monkeypatch):
    from terraclick.server import images

    client = serve(draw(tmp_path / "large.tif", shape=(600, 9000)))
    calls = []
    read = images.read_tile
    monkeypatch.setattr(images, "read_tile", lambda *a: calls.append(a) or read(*a))
    tiles = [picture(client.get(f"/api/images/large/tiles/pixels/{where}")) for where in ("0/0/0", "1/0/0", "1/1/0")]
    assert len(calls) == 1
    assert tiles[0].shape == (256, 256, 4) and tiles[0][8, 139, 3] == 255 and tiles[0][11, 0, 3] == 0


def test_folders_are_listed_and_what_is_no_image_left_out(serve, tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    draw(folder / "Town One.tif")
    draw(folder / "town-one.tif")
    (folder / "notes.txt").write_text("no image")
    found = serve(folder).get("/api/images").json()["images"]
    assert [image["id"] for image in found] == ["town-one", "town-one-2"]
    assert [image["name"] for image in found] == ["Town One.tif", "town-one.tif"]


def test_tiles_may_be_kept_only_when_the_version_is_named(same_client):
    path = "/api/images/town/tiles/pixels/0/0/0"
    assert "max-age=60" in same_client.get(path).headers["cache-control"]
    assert "max-age=604800" in same_client.get(path, params={"v": "1"}).headers["cache-control"]
