"""Images that join a running server."""

import base64
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from shapely.geometry import shape
from tests_app_help import HOUSES, draw


def png(image):
    return base64.b64encode(cv2.imencode(".png", image[..., ::-1])[1].tobytes()).decode()


def town_pixels():
    image = np.full((600, 800, 3), 20, np.uint8)
    for row, col, rows, cols in HOUSES.values():
        image[row : row + rows, col : col + cols] = 200
    return image


WINDOW = {"transform": [0.5, 0, 500_000, 0, -0.5, 4_650_000], "crs": "EPSG:32633", "name": "tiles"}


def test_a_window_of_pixels_is_an_image_and_answers_clicks_like_the_file(client):
    added = client.post("/api/images/pixels", json={"image_png": png(town_pixels()), **WINDOW})
    assert added.status_code == 201, added.text
    assert (added.json()["width"], added.json()["height"], added.json()["crs"]) == (800, 600, "EPSG:32633")
    again = client.post("/api/images/pixels", json={"image_png": png(town_pixels()), **WINDOW})
    assert again.json()["id"] == added.json()["id"]
    found = {}
    for image in ("town", added.json()["id"]):
        name = client.post("/api/sessions", json={"image": image}).json()["id"]
        found[image] = client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120}).json()["outline"]["map"]
    assert found["town"] == found[added.json()["id"]]


def test_a_window_without_a_coordinate_system_answers_clicks_in_a_session_of_maps(client):
    added = client.post("/api/images/pixels", json={"image_png": png(town_pixels()), **WINDOW, "crs": None}).json()
    name = client.post("/api/sessions", json={"image": added["id"]}).json()["id"]
    answer = client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120}).json()
    assert shape(answer["outline"]["geometry"]).area == pytest.approx(40 * 60, rel=0.05)
    kept = client.post(f"/api/sessions/{name}/accept", json={})
    assert kept.status_code == 422 and kept.json()["error"] == "NotGeoreferenced"


@pytest.mark.parametrize(
    "change",
    [
        {"image_png": "no picture"},
        {"image_png": ""},
        {"transform": [0, 0, 0, 0, 0, 0]},
        {"crs": "+proj=pipeline +step"},
        {"crs": "EPSG:999999"},
    ],
)
def test_a_window_that_cannot_be_used_is_refused_in_one_sentence(client, change):
    body = {"image_png": png(town_pixels()), **WINDOW} | change
    answer = client.post("/api/images/pixels", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["message"].endswith(".")


def test_files_join_only_from_the_folders_that_were_allowed(client, tmp_path):
    (tmp_path / "more").mkdir()
    other = draw(tmp_path / "more" / "other.tif")
    refused = client.post("/api/images", json={"path": str(other)})
    assert refused.status_code == 422 and "--root" in refused.json()["message"]
    client.app.app.state.adding.roots = ((tmp_path / "more").resolve(),)
    added = client.post("/api/images", json={"path": str(other)})
    assert added.status_code == 201 and added.json()["name"] == "other.tif"
    assert client.post("/api/images", json={"path": str(other)}).json()["id"] == added.json()["id"]
    outside = client.post("/api/images", json={"path": str(tmp_path / "more" / ".." / "town.tif")})
    assert outside.status_code == 422
    assert [item["id"] for item in client.get("/api/images").json()["images"]] == ["town", added.json()["id"]]


def test_the_list_of_folders_is_heeded_as_it_stands(client, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / f"{name}.tif")
    told = client.app.app.state.adding.roots_file = tmp_path / "roots.txt"

    def asks(name):
        return client.post("/api/images", json={"path": str(tmp_path / name / f"{name}.tif")}).status_code

    assert asks("first") == 422  # the list is not there yet
    told.write_text(f"{tmp_path / 'first'}\n")
    assert (asks("first"), asks("second")) == (201, 422)
    told.write_text(f"\n{tmp_path / 'nothing'}\nsecond\n./second\n\0\n{tmp_path / 'first'}\n{tmp_path / 'second'}\n")
    assert (asks("first"), asks("second")) == (201, 201)
    told.write_bytes(b"\xff\xfe")
    assert asks("second") == 422


def sent(client, shade):
    """Send a window of pixels of its own; its file and its image."""
    picture = np.random.default_rng(shade).integers(0, 255, (64, 64, 3), np.uint8)
    added = client.post("/api/images/pixels", json={"image_png": png(picture), **WINDOW}).json()
    return client.space.scenes[added["id"]].path, added["id"]


def test_sent_windows_are_kept_within_size_and_age_and_those_in_use_stay(client):
    adding = client.app.app.state.adding
    clock = [time.time()]
    adding.windows = replace(adding.windows, most_seconds=100, now=lambda: clock[0])
    first, second, third = (sent(client, shade) for shade in range(3))
    session = client.post("/api/sessions", json={"image": second[1]}).json()["id"]
    clock[0] += 50
    assert sent(client, 0) == first  # used again
    clock[0] += 60
    latest, _ = sent(client, 9)
    assert first[0].is_file() and second[0].is_file() and latest.is_file()
    assert not third[0].is_file() and client.get(f"/api/images/{third[1]}").status_code == 404
    client.delete(f"/api/sessions/{session}")
    adding.windows = replace(adding.windows, most_bytes=2 * latest.stat().st_size)
    clock[0] += 1
    newest, _ = sent(client, 10)
    assert sorted(path.name for path in latest.parent.glob("window-*.tif")) == sorted([latest.name, newest.name])
    assert sent(client, 1)[0] == second[0] and second[0].is_file()  # sent again, it is an image again


def test_a_window_that_an_object_lies_on_stays(client, tmp_path):
    adding = client.app.app.state.adding
    added = client.post("/api/images/pixels", json={"image_png": png(town_pixels()), **WINDOW}).json()
    name = client.post("/api/sessions", json={"image": added["id"]}).json()["id"]
    client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120})
    assert client.post(f"/api/sessions/{name}/accept", json={}).status_code in (200, 201)
    path = client.space.scenes[added["id"]].path
    adding.windows = replace(adding.windows, most_bytes=1)
    sent(client, 1)
    assert path.is_file()


def test_a_server_may_start_with_folders_alone(tmp_path):
    from terraclick.errors import BadConfig
    from terraclick.server.main import prepare

    with pytest.raises(BadConfig, match="--root"):
        prepare([], out=tmp_path, port=0)
    server = prepare([], out=tmp_path, port=0, roots=[tmp_path], model="grabcut")
    try:
        assert server.workspace.scenes == {} and server.workspace.store.crs.to_epsg() == 4326
    finally:
        server.sock.close()
        server.workspace.close()


def bomb(side=30_000):
    """A PNG of 3 MB that unpacks to 2.7 GB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


WEIGHED = """
import base64, resource, sys
import cv2
from terraclick.server.adding import decoded_png
from terraclick.server.examples import _picture as shown
from terraclick.store.sql_work import _picture as stored

data = open(sys.argv[1], "rb").read()
text = base64.b64encode(data).decode()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
for take in (lambda: decoded_png(text, "it"), lambda: shown(text, cv2.IMREAD_COLOR)):
    try:
        take()
    except Exception as error:
        print(error)
print(stored(data, cv2.IMREAD_COLOR), peak() - before)
"""


def test_a_small_file_that_unpacks_to_gigabytes_is_never_unpacked(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb())
    words = [sys.executable, "-c", WEIGHED, str(tmp_path / "bomb.png")]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "30000 x 30000" in told[0] and "4096 px" in told[1]
    assert told[2].startswith("None ") and int(told[2].split()[1]) < 200, told


def test_other_kinds_of_pictures_and_broken_ones_are_refused(client):
    kinds = {"tiff": ".tiff", "webp": ".webp", "bmp": ".bmp"}
    for ending in kinds.values():
        coded = cv2.imencode(ending, town_pixels())[1].tobytes()
        body = {"image_png": base64.b64encode(coded).decode(), **WINDOW}
        assert client.post("/api/images/pixels", json=body).status_code == 422
    whole = base64.b64decode(png(town_pixels()))
    for cut in (8, 20, 30):
        body = {"image_png": base64.b64encode(whole[:cut]).decode(), **WINDOW}
        assert client.post("/api/images/pixels", json=body).status_code == 422
