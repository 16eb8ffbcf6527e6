"""One session, many images: where objects lie, what imports tell, which names and columns exports have."""

import csv
import io
import json
import urllib.request
import zipfile

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from map_driver import serving
from pyproj import CRS, Geod, Transformer
from tests_app_help import HOUSES, draw, outline_house, ring

from terraclick.server.main import prepare
from terraclick.store.geopackage import open_store

NEAR = Affine(0.5, 0, 400_000, 0, -0.5, 1_000_000)  # in the Philippines, zone 51 north


def served(folder, *images, **more):
    """What `terraclick serve` would serve, and what it said; nothing is listening any more."""
    said = []
    words = {"out": folder, "port": 0, "model": "grabcut", "warn": said.append, **more}
    server = prepare([str(image) for image in images], **words)
    server.sock.close()
    return server.workspace, said


def test_another_scene_in_the_same_folder_gets_a_session_of_its_own(tmp_path):
    here, there = draw(tmp_path / "here.tif"), draw(tmp_path / "there.tif", NEAR, "EPSG:32651", bands=1)
    space, said = served(tmp_path, here)
    space.close()
    assert not said
    for _ in range(2):  # also the next time
        space, said = served(tmp_path, there)
        assert space.store.crs == CRS(32651) and "holds other images" in " ".join(said)
        assert space.store.path.name == "terraclick-there.gpkg"
        space.close()
    space, said = served(tmp_path, here, there, session=tmp_path / "both.gpkg")
    assert space.store.crs.is_geographic  # right for both
    space.close()
    assert open_store(tmp_path / "terraclick.gpkg").crs == CRS(32633)


def test_an_image_whose_areas_would_be_wrong_is_refused_by_a_session_that_is_there(tmp_path):
    here, there = draw(tmp_path / "here.tif"), draw(tmp_path / "there.tif", NEAR, "EPSG:32651", bands=1)
    served(tmp_path, here, session=tmp_path / "one.gpkg")[0].close()
    with pytest.raises(Exception, match=r"times those on the ground: start another --session"):
        served(tmp_path, there, session=tmp_path / "one.gpkg")


def test_objects_on_images_in_two_systems_have_the_right_place_and_size(serve, tmp_path):
    one = draw(tmp_path / "town.tif")
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(500_000, 4_650_000)
    other = draw(tmp_path / "next.tif", Affine(0.5, 0, x, 0, -0.5, y), "EPSG:32634", bands=1)
    client = serve(one, other)
    made = outline_house(client), outline_house(client, image="next")
    geod = Geod(ellps="WGS84")
    for feature in made:
        lonlat = client.get(f"/api/collections/objects/items/{feature['id']}?crs=CRS84").json()["geometry"]
        area, _ = geod.geometry_area_perimeter(shapely.orient_polygons(shapely.geometry.shape(lonlat)))
        assert area == pytest.approx(feature["properties"]["area_m2"], rel=1e-4)
        native = client.get(f"/api/collections/objects/items/{feature['id']}?crs=native").json()["geometry"]
        assert shapely.geometry.shape(native).area == pytest.approx(area, rel=5e-3)
    for crs in ("EPSG:32634", "EPSG:4326", "EPSG:3857"):
        body = {"format": "gpkg", "name": f"in {crs[5:]}", "crs": crs}
        written = client.post("/api/exports", json=body)
        assert written.status_code == 201, written.text
        assert open_store(tmp_path / "out" / written.json()["name"]).crs == CRS(crs)


def send(client, features, name="some.geojson", **query):
    data = json.dumps({"type": "FeatureCollection", "features": features})
    return client.post(f"/api/import?{'&'.join(f'{k}={v}' for k, v in {'name': name, **query}.items())}", content=data)


def feature(geometry, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def test_every_feature_that_is_left_out_is_counted_with_its_reason(client):
    good, away = ring(10, 10, 20, 20), ring(9_000_000, 10, 20, 20)
    broken = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}
    flat = {"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [0, 0], [0, 0]]]}
    features = [feature(g) for g in (good, away, broken, flat, {"type": "GeometryCollection", "geometries": []}, None)]
    change = send(client, features, crs="pixels", image="town").json()
    assert change["imported"] == 1 and change["by_image"] == {"town": 1}
    told = {one["reason"]: one["count"] for one in change["left_out"]}
    assert sum(told.values()) == 5 and all(told.values())
    for word in ("no image", "closed line", "encloses nothing", "GeometryCollection", "no geometry"):
        assert any(word in reason for reason in told), (word, told)


def test_attributes_classes_and_the_chosen_class(client):
    features = [feature(ring(10, 10, 9, 9), **{"class": "barn", "floors": 2, "roof": "tin", "flat": True})]
    (kept,) = send(client, features, crs="pixels", image="town").json()["objects"]
    assert kept["properties"]["attributes"] == {"floors": 2, "roof": "tin", "flat": True}
    assert "barn" in {item["name"] for item in client.get("/api/classes").json()["classes"]}
    (again,) = send(client, features, crs="pixels", image="town", **{"class": "house"}).json()["objects"]
    assert again["properties"]["class"] == "house"


def test_the_system_of_a_file_can_be_said_and_wrong_places_are_refused(client):
    utm = feature(
        {
            "type": "Polygon",
            "coordinates": [[[500_010, 4_649_990], [500_030, 4_649_990], [500_030, 4_649_970], [500_010, 4_649_990]]],
        }
    )
    refused = send(client, [utm], image="town")
    assert refused.status_code == 422 and "longitude" in refused.json()["message"]
    for crs in ("EPSG:32633", "session", "image"):
        (kept,) = send(client, [utm], image="town", crs=crs).json()["objects"]
        assert kept["properties"]["area_m2"] == pytest.approx(200, rel=2e-3)
    assert send(client, [utm], image="town", crs="nonsense").status_code == 422


def test_longitudes_are_not_taken_for_pixels(serve, picture):
    client = serve(picture)
    lonlat = feature({"type": "Polygon", "coordinates": [[[15, 42], [15.001, 42], [15.001, 42.001], [15, 42]]]})
    answer = send(client, [lonlat], image="photo")
    assert answer.status_code == 422 and "pixels" in answer.json()["message"]
    assert not client.get("/api/collections/objects/items").json()["features"]


@pytest.mark.parametrize("kind", ["geojson", "csv", "gpkg", "shapefile", "geoparquet"])
def test_attributes_leave_as_columns_and_come_back_as_they_were(client, kind, tmp_path):
    values = [{"floors": 2, "roof": "tin", "height_in_metres": 3.5}, {"floors": 1, "flat": True}, {}]
    for place, attributes in enumerate(values):
        body = {
            "type": "Feature",
            "geometry": ring(10 + 40 * place, 10, 20, 20),
            "properties": {"attributes": attributes},
        }
        client.post("/api/collections/objects/items?crs=pixels&image=town", json=body)
    written = client.post("/api/exports", json={"format": kind, "name": "mine"}).json()
    path = tmp_path / "out" / written["name"]
    if kind == "geojson":
        assert [f["properties"]["floors"] for f in json.loads(path.read_text())["features"]] == [2, 1, None]
    elif kind == "csv":
        assert [row["roof"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))] == ["tin", "", ""]
    else:
        if kind == "geoparquet":
            import pyarrow.parquet

            columns = set(pyarrow.parquet.read_table(path).column_names)
        else:
            pyogrio = pytest.importorskip("pyogrio")
            columns = set(pyogrio.read_info(path, layer=None if kind == "shapefile" else "objects")["fields"])
        assert {"floors", "roof", "flat"} <= columns
    from terraclick.exchange.imports import read_labels

    back = sorted(read_labels(path).items, key=lambda item: item.geometry.bounds[0])
    assert [item.attributes for item in back] == values


@pytest.mark.parametrize("name", ["my buildings", "Gebäude", "建物"])
def test_exports_have_names_of_any_language(client, name):
    outline_house(client)
    written = client.post("/api/exports", json={"format": "geojson", "name": name})
    assert written.status_code == 201, written.text
    assert written.json()["name"] == f"{name}.geojson"
    assert json.loads(client.get(written.json()["url"]).content)["features"]


@pytest.mark.parametrize("name", ["../up", "a/b", "con", ".hidden", "a\nb", "x" * 110, "tail.", " "])
def test_names_that_no_file_can_have_are_refused_in_one_sentence(client, name):
    outline_house(client)
    answer = client.post("/api/exports", json={"format": "geojson", "name": name})
    assert answer.status_code == 422 or name == "x" * 110
    assert "pattern" not in answer.text


@pytest.mark.parametrize("kind", ["yolo", "labelme", "mask", "coco"])
def test_all_images_in_one_export_with_the_numbers_of_the_session(serve, tmp_path, kind):
    one, other = draw(tmp_path / "one.tif"), draw(tmp_path / "two.tif", bands=1)
    client = serve(one, other)
    outline_house(client, image="one", **{"class": "building"})
    outline_house(client, image="two", **{"class": "road"})
    written = client.post("/api/exports", json={"format": kind, "name": "all"}).json()
    content = client.get(written["url"]).content
    if kind == "coco":
        top = json.loads(content)
        numbers = {item["name"]: item["id"] for item in top["categories"]}
        assert sorted(a["category_id"] for a in top["annotations"]) == sorted(numbers.values()) and len(numbers) == 2
        return
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert any("one" in name for name in names) and any("two" in name for name in names)
    if kind == "yolo":
        read = zipfile.ZipFile(io.BytesIO(content))
        lines = {name: read.read(name).decode().split()[0] for name in names if name.endswith(("one.txt", "two.txt"))}
        assert sorted(lines.values()) == ["0", "1"]
        listed = {read.read(name) for name in names if name.endswith("classes.txt")}
        assert len(listed) == 1


def test_the_state_of_images(serve, tmp_path):
    client = serve(draw(tmp_path / "one.tif"), draw(tmp_path / "two.tif", bands=1))
    window = {"TerraClick-Window": "w"}

    def states():
        return {image["id"]: image["state"] for image in client.get("/api/images").json()["images"]}

    assert states() == {"one": "untouched", "two": "untouched"}
    outline_house(client, image="one")
    client.put("/api/images/two/mark", json={"state": "done"}, headers=window)
    assert states() == {"one": "work", "two": "done"}
    client.post("/api/undo", headers=window)
    assert states() == {"one": "work", "two": "untouched"}


def test_houses_are_where_the_made_up_town_has_them(client):
    """The ground that the tests above stand on."""
    row, col, rows, cols = HOUSES["a"]
    made = shapely.geometry.shape(outline_house(client)["geometry"])
    assert made.bounds == pytest.approx((col, row, col + cols, row + rows), abs=1)


def test_a_folder_with_a_picture_without_a_system_is_served_without_that_picture(tmp_path):
    """It ended the whole server: “terminate called without an active exception”, or refused the folder."""
    images = tmp_path / "images"
    images.mkdir()
    draw(images / "scene.tif")
    cv2.imwrite(str(images / "photo.png"), np.full((60, 80, 3), 90, np.uint8))
    with serving(tmp_path, images) as address:
        token = address.rpartition("token=")[2]
        asked = urllib.request.Request(
            address.split("?")[0] + "api/images", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found = json.load(answer)["images"]
        assert [image["name"] for image in found] == ["scene.tif"]
    said = (tmp_path / "server.log").read_text()
    assert "left out: photo.png has no coordinate system" in said and "terminate" not in said
