"""Images under a running server: replaced, shrunk, deleted, moved by a world file; mixed folders; only real pixels."""

import os

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer

from terraclick.errors import NotGeoreferenced
from terraclick.server.images import open_scenes
from terraclick.server.main import prepare
from terraclick.store.geopackage import GeoPackageStore

PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5e6)


def orthophoto(path, place=PLACE, side=128, alpha=False, crs="EPSG:32633"):
    values = np.random.default_rng(0).integers(1, 255, (4 if alpha else 3, side, side)).astype("uint8")
    profile = {"count": len(values), "height": side, "width": side, "dtype": "uint8", "crs": crs, "transform": place}
    if alpha:
        values[3] = 255
        values[3, :40, :40] = 0
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(values)
        if alpha:
            file.colorinterp = [*file.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
    return path


def photo(path):
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype("uint8"))
    return path


@pytest.fixture
def started(tmp_path, serve):
    """A client of a server on one orthophoto, the image's path and a click session with an answer."""
    path = orthophoto(tmp_path / "ortho.tif")
    client = serve(path)
    opened = client.post("/api/sessions", json={"image": "ortho"}).json()["id"]
    assert client.post(f"/api/sessions/{opened}/clicks", json={"x": 60, "y": 60}).status_code == 200
    return client, path, opened


def replaced(path):
    other = orthophoto(path.with_name("other.tif"), Affine(0.5, 0, 500032, 0, -0.5, 5e6))
    os.replace(other, path)


def shrunk(path):
    orthophoto(path, side=100)


def edited_in_place(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def moved_by_a_world_file(path):
    path.with_suffix(".tfw").write_text("0.5\n0\n0\n-0.5\n600000\n5000000\n")


CHANGES = [replaced, shrunk, edited_in_place, moved_by_a_world_file, lambda path: path.unlink()]


@pytest.mark.parametrize("change", CHANGES, ids=["replaced", "shrunk", "edited", "moved", "deleted"])
def test_a_changed_image_is_noticed_before_an_answer(started, change):
    client, path, opened = started
    before = path.stat()
    change(path)
    if path.exists():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    asked = [
        client.post(f"/api/sessions/{opened}/clicks", json={"x": 62, "y": 60}),
        client.get(f"/api/sessions/{opened}"),
        client.post(f"/api/sessions/{opened}/accept", json={}),
        client.post("/api/sessions", json={"image": "ortho"}),
        client.get("/api/images/ortho/tiles/pixels/0/0/0"),
        client.get("/api/images/ortho/statistics"),
    ]
    for answer in asked:
        assert (answer.status_code, answer.json()["error"]) == (409, "ImageChanged"), answer.text
    assert "ortho.tif" in asked[0].json()["message"]
    assert client.get("/api/collections/objects/items").json()["numberMatched"] == 0
    assert client.get("/api/images").status_code == 200


def in_place_with_its_old_time(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


AUXILIARY = "<PAMDataset><GeoTransform>600000, 0.5, 0, 5000000, 0, -0.5</GeoTransform></PAMDataset>"


def its_place_with_its_old_time(path):
    path.with_name("ortho.tif.aux.xml").write_text(AUXILIARY.replace("6", "7"))


@pytest.mark.parametrize("change", [in_place_with_its_old_time, its_place_with_its_old_time])
def test_a_change_that_sets_the_old_time_back_is_noticed_too(tmp_path, serve, change):
    path = orthophoto(tmp_path / "ortho.tif")
    beside = path.with_name("ortho.tif.aux.xml")
    beside.write_text(AUXILIARY)
    client = serve(path)
    assert client.get("/api/images/ortho/statistics").status_code == 200
    before = {file: file.stat() for file in (path, beside)}
    change(path)
    for file, was in before.items():
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert client.get("/api/images/ortho/statistics").status_code == 409


def test_other_rights_and_a_second_name_are_no_change(started):
    client, path, _ = started
    path.chmod(0o600)
    os.link(path, path.with_name("second.tif"))
    assert client.get("/api/images/ortho/statistics").status_code == 200


def test_an_export_replaces_neither_image_nor_session(tmp_path, serve):
    (tmp_path / "out").mkdir()
    path = orthophoto(tmp_path / "out" / "ortho.tif")
    (tmp_path / "out" / "ortho.tfw").write_text("0.5\n0\n0\n-0.5\n600000\n5000000\n")
    client = serve(path, session="out/work.gpkg")
    ring = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]
    drawn = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"image": "ortho"},
    }
    assert client.post("/api/collections/objects/items?crs=pixels", json=drawn).status_code == 201
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir() if "work" not in file.name}
    for name, kind in (("ortho.tif", "mask"), ("ortho", "mask"), ("work.gpkg", "gpkg"), ("work", "gpkg")):
        answer = client.post("/api/exports", json={"name": name, "format": kind, "image": "ortho", "overwrite": True})
        assert answer.status_code == 409 and "would be replaced" in answer.json()["message"], answer.text
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir() if "work" not in file.name} == before
    assert client.get("/api/collections/objects/items").json()["numberMatched"] == 1


def test_an_image_put_back_can_be_used_again(started):
    client, path, opened = started
    aside = path.with_name("aside.tif")
    os.replace(path, aside)
    assert client.post(f"/api/sessions/{opened}/clicks", json={"x": 62, "y": 60}).status_code == 409
    os.replace(aside, path)
    assert client.post(f"/api/sessions/{opened}/clicks", json={"x": 62, "y": 60}).status_code == 200


def test_clicks_where_there_is_no_picture_are_refused(tmp_path, serve):
    client = serve(orthophoto(tmp_path / "a.tif", alpha=True))
    opened = client.post("/api/sessions", json={"image": "a", "target": "class"}).json()["id"]
    answer = client.post(f"/api/sessions/{opened}/clicks", json={"x": 10, "y": 10})
    assert answer.status_code == 422 and "holds no data" in answer.json()["message"]
    answer = client.post(f"/api/sessions/{opened}/clicks", json={"x": 41, "y": 10}).json()
    assert answer["clicks"] == [{"x": 41, "y": 10, "positive": True}]


@pytest.mark.parametrize("first", ["ortho", "photo"])
def test_a_folder_of_an_orthophoto_and_a_plain_photo_is_served(tmp_path, first):
    folder = tmp_path / "in"
    folder.mkdir()
    orthophoto(folder / ("a.tif" if first == "ortho" else "z.tif"))
    photo(folder / "m.jpg")
    said = []
    for _ in range(2):  # the second time on the session that the first one made
        server = prepare([str(folder)], out=tmp_path, model="grabcut", port=0, warn=said.append)
        assert [scene.name for scene in server.workspace.scenes.values()] == ["a.tif" if first == "ortho" else "z.tif"]
        server.workspace.close()
        server.sock.close()
    assert [line for line in said if "m.jpg" in line] and "--session" in said[0]
    with GeoPackageStore.open(tmp_path / "terraclick.gpkg") as store:
        assert store.crs.to_epsg() == 32633 and len(store.images()) == 1


def test_named_one_by_one_they_are_refused_and_nothing_is_made(tmp_path):
    names = [str(photo(tmp_path / "m.jpg")), str(orthophoto(tmp_path / "z.tif"))]
    with pytest.raises(NotGeoreferenced, match=r"m\.jpg has no coordinate system"):
        prepare(names, out=tmp_path, model="grabcut", port=0)
    assert not (tmp_path / "terraclick.gpkg").exists()


def test_a_folder_of_photos_keeps_pixels(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    photo(folder / "a.jpg")
    server = prepare([str(folder)], out=tmp_path, model="grabcut", port=0)
    assert server.workspace.store.crs is None
    server.workspace.close()
    server.sock.close()


def test_what_is_known_of_an_image_is_said(tmp_path, serve):
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "a.jgw").write_text("0.5\n0\n0\n-0.5\n500000\n5000000\n")
    (tmp_path / "a.prj").write_text(rasterio.crs.CRS.from_epsg(32660).to_wkt())
    said = []
    open_scenes([str(path)], said.append)
    client = serve(path)
    (image,) = client.get("/api/images").json()["images"]
    assert image["crs"] == "EPSG:32660" and any("a.jgw" in note for note in image["notes"])
    assert any("a.prj" in line for line in said)


def test_boxes_and_features_over_the_antimeridian(tmp_path, serve):
    mid = Transformer.from_crs(4326, 32660, always_xy=True).transform(180.0, 17.0)
    place = Affine(0.5, 0, mid[0] - 32, 0, -0.5, mid[1] + 32)
    client = serve(orthophoto(tmp_path / "a.tif", place, crs="EPSG:32660"))
    square = [[mid[0] + dx, mid[1] + dy] for dx, dy in ((-9, -9), (9, -9), (9, 9), (-9, 9), (-9, -9))]
    body = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}, "properties": {}}
    assert client.post("/api/collections/objects/items?crs=native", json=body).status_code == 201
    items = client.get("/api/collections/objects/items?bbox=179.99,16.99,-179.99,17.01").json()
    assert items["numberMatched"] == 1
    geometry = items["features"][0]["geometry"]
    assert geometry["type"] == "MultiPolygon" and len(geometry["coordinates"]) == 2
    assert client.get("/api/collections/objects/items?bbox=178,16.99,179,17.01").json()["numberMatched"] == 0
    west, _, east, _ = client.get("/api/collections/objects").json()["extent"]["spatial"]["bbox"][0]
    assert west > 179.99 and east < -179.99
    own = items["features"][0]
    again = client.put(
        f"/api/collections/objects/items/{own['id']}",
        json={"type": "Feature", "geometry": geometry, "properties": {"rev": own["properties"]["rev"]}},
    )
    assert again.status_code == 200 and again.json()["properties"]["area_m2"] == pytest.approx(324, rel=0.02)
    native = client.get(f"/api/collections/objects/items/{own['id']}?crs=native").json()["geometry"]
    assert len(shapely.get_parts(shapely.geometry.shape(native))) == 1  # joined again


@pytest.mark.parametrize(
    "ring",
    [
        [[500, 0], [501, 0], [501, 1], [500, 0]],
        [[179, -17], [-179, -16], [179, -16], [-179, -17], [179, -17]],
        [[True, 0], [1, 0], [1, 1], [True, 0]],
        [["15", "42"], ["16", "42"], ["16", "43"], ["15", "42"]],
    ],
)
def test_coordinates_that_are_none_are_refused(tmp_path, serve, ring):
    client = serve(orthophoto(tmp_path / "a.tif"))
    body = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    assert client.post("/api/collections/objects/items?crs=CRS84", json=body).status_code == 422
    turned = [point[::-1] for point in ring]
    body["geometry"]["coordinates"] = [turned]
    uri = {"Content-Crs": "<http://www.opengis.net/def/crs/EPSG/0/4326>"}
    assert client.post("/api/collections/objects/items", json=body, headers=uri).status_code == 422
