"""What the model is shown: nearer clicks are answered nearer, large objects are not cut where nobody sees why."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import shape

pytest.importorskip("fastapi")

LARGE = (300, 200, 700, 3000)
"""Row, column, rows, columns of a bright hall, longer than any frame of one click."""


@pytest.fixture
def wide(tmp_path):
    """A picture of 1600 x 4000 pixels with one long hall and a small house."""
    image = np.full((3, 1600, 4000), 20, np.uint8)
    row, col, rows, cols = LARGE
    image[:, row : row + rows, col : col + cols] = 200
    image[:, 1300:1330, 1003:1041] = 200
    size = {"height": 1600, "width": 4000, "count": 3, "dtype": "uint8", "driver": "GTiff"}
    with rasterio.open(
        tmp_path / "wide.tif", "w", transform=Affine(0.5, 0, 5e5, 0, -0.5, 4.65e6), crs="EPSG:32633", **size
    ) as file:
        file.write(image)
    return tmp_path / "wide.tif"


def opened(client, resolution):
    view = {"bounds": [0, 0, 4000, 1600], "resolution": resolution}
    return client.post("/api/sessions", json={"image": "wide", "view": view}).json()["id"]


def clicked(client, name, x, y, resolution, positive=True):
    body = {"x": x, "y": y, "positive": positive, "resolution": resolution}
    answer = client.post(f"/api/sessions/{name}/clicks", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_large_object_is_not_cut_at_a_frame_nobody_sees(serve, wide):
    client = serve(wide)
    found = clicked(client, opened(client, 1), 400, 600, 1)
    row, col, rows, cols = LARGE
    assert shape(found["outline"]["geometry"]).bounds == pytest.approx((col, row, col + cols, row + rows), abs=4)
    left, _, right, _ = found["view"]["bounds"]
    assert right - left > cols and max(found["view"]["shape"]) <= 4096


def test_a_small_object_is_seen_at_the_frame_it_was(serve, wide):
    client = serve(wide)
    found = clicked(client, opened(client, 1), 1020, 1315, 1)
    left, _, right, _ = found["view"]["bounds"]
    assert right - left <= 1024 and shape(found["outline"]["geometry"]).bounds == pytest.approx(
        (1003, 1300, 1041, 1330)
    )


def test_a_further_click_from_nearer_is_answered_from_nearer(serve, wide):
    client = serve(wide)
    name = opened(client, 16)
    first = clicked(client, name, 1020, 1315, 16)
    assert first["view"]["gsd"] == pytest.approx(0.5 * 8, rel=1e-2)
    second = clicked(client, name, 1022, 1316, 1)
    assert second["view"]["gsd"] == pytest.approx(0.5, rel=1e-2)
    assert shape(second["outline"]["geometry"]).bounds == pytest.approx((1003, 1300, 1041, 1330))
    farther = clicked(client, name, 1024, 1316, 16)
    assert farther["view"]["gsd"] == pytest.approx(0.5, rel=1e-2)
    undone = client.post(f"/api/sessions/{name}/undo").json()
    undone = client.post(f"/api/sessions/{name}/undo").json() if len(undone["clicks"]) > 1 else undone
    assert undone["view"]["gsd"] == first["view"]["gsd"]
