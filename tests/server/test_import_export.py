"""Polygons in, objects out, and the files of strangers."""

import io
import json
import zipfile

import pytest
from shapely.geometry import shape
from tests_app_help import area, outline_house, ring

from terraclick.server.importing import Limits

ITEMS = "/api/collections/objects/items"


def send(client, name, data, **query):
    headers = {"Content-Type": "application/octet-stream"}
    return client.post("/api/import", params={"name": name, "image": "town", **query}, content=data, headers=headers)


def collection(*geometries, **more):
    features = [
        {"type": "Feature", "geometry": g, "properties": {"class": "field", "label": "a\nb"}} for g in geometries
    ]
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


def test_geojson_in_pixels_becomes_objects(client):
    change = send(client, "a.geojson", collection(ring(10, 10, 20, 20), ring(50, 50, 5, 5)), crs="pixels").json()
    assert [area(f["geometry"]) for f in change["objects"]] == [pytest.approx(400), pytest.approx(25)]
    properties = change["objects"][0]["properties"]
    assert (properties["status"], properties["class"], properties["label"]) == ("imported", "field", "a b")
    assert properties["score"] is None  # no model was asked: the map says nothing of how sure it is
    assert len(client.post("/api/undo").json()["deleted"]) == 2


@pytest.mark.parametrize("kind", ["geojson", "gpkg", "shapefile"])
def test_what_was_exported_can_be_imported(client, kind):
    pytest.importorskip("pyogrio")
    first = outline_house(client, **{"class": "house"})
    made = client.post("/api/exports", json={"format": kind, "name": "houses"}).json()
    assert made["objects"] == 1 and made["bytes"] > 100
    answer = client.get(made["url"])
    assert "attachment" in answer.headers["content-disposition"]
    name = "houses.zip" if kind == "shapefile" else made["name"]
    change = send(client, name, answer.content).json()
    (copy,) = change["objects"]
    assert copy["properties"]["class"] == "house"
    assert shape(copy["geometry"]).symmetric_difference(shape(first["geometry"])).area < 0.1


@pytest.mark.parametrize("kind", ["csv", "geoparquet", "coco", "labelme", "yolo", "mask", "instances"])
def test_every_format_is_written_to_the_output_folder(client, kind, tmp_path):
    outline_house(client)
    made = client.post("/api/exports", json={"format": kind, "name": "all", "image": "town"})
    assert made.status_code == 201, made.text
    assert (tmp_path / "out" / made.json()["name"]).is_file()
    assert str(tmp_path).encode() not in client.get(made.json()["url"]).content  # no path of this machine
    assert [f["name"] for f in client.get("/api/exports").json()["exports"]] == [made.json()["name"]]


def test_class_numbers_of_exports_are_the_sessions(client, tmp_path):
    for name in ("zebra", "ant", "bee"):
        client.put(f"/api/classes/{name}", json={})
    item = outline_house(client)
    client.patch(f"/api/objects/{item['id']}", json={"properties": {"class": "bee"}}, headers={"If-Match": '"1"'})
    made = client.post("/api/exports", json={"format": "coco", "name": "all"}).json()
    top = client.get(made["url"]).json()
    numbers = {kind["name"]: kind["id"] for kind in top["categories"]}
    assert [numbers[name] for name in ("zebra", "ant", "bee")] == sorted(numbers[name] for name in numbers)[:3]
    assert top["annotations"][0]["category_id"] in numbers.values() and top["images"][0]["width"] > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"format": "exe", "name": "a"}, 404),
        ({"format": "csv", "name": "../a"}, 422),
        ({"format": "csv", "name": "/tmp/a"}, 422),
        ({"format": "csv", "name": ".hidden"}, 422),
        ({"format": "csv", "name": "a\x00b"}, 422),
        ({"format": "csv", "name": "a", "crs": "/etc/passwd"}, 422),
        ({"format": "csv", "name": "a", "status": "rejected"}, 422),
    ],
)
def test_exports_that_cannot_be(client, body, status, tmp_path):
    outline_house(client)
    answer = client.post("/api/exports", json=body)
    assert answer.status_code == status and set(answer.json()) >= {"error", "message"}
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_overwritten_unasked(client):
    outline_house(client)
    body = {"format": "csv", "name": "a"}
    codes = [client.post("/api/exports", json=b).status_code for b in (body, body, body | {"overwrite": True})]
    assert codes == [201, 409, 201]


def test_formulas_do_not_run_in_spreadsheets(client):
    feature = outline_house(client)
    client.patch(f"{ITEMS}/{feature['id']}", json={"label": "=cmd|'/c calc'!A0"})
    client.post("/api/exports", json={"format": "csv", "name": "a"})
    assert ",'=cmd" in client.get("/api/exports/a.csv").text


def archive(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return packed.getvalue()


def spoiled(method):
    """An archive with a Shapefile whose packed bytes were changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out:
        out.writestr("a.shp", bytes(range(256)) * 400)
        at = out.infolist()[0].header_offset + 30 + len("a.shp")
    data = bytearray(packed.getvalue())
    data[at + 4 : at + 40] = b"\xff" * 36
    return bytes(data)


VRT = b"""<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>
</OGRVRTDataSource>"""


@pytest.mark.filterwarnings("ignore")  # of GDAL, about these files
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.gpkg", VRT),
        ("a.gpkg", b"SQLite format 3\0" + b"\0" * 5000),
        ("a.zip", b"PK\3\4 not really"),
        ("a.zip", archive(**{"a.shp": VRT})),
        ("a.zip", archive(**{"../../a.shp": b"\0\0\x27\x0a" + b"\0" * 200})),
        ("a.zip", spoiled(zipfile.ZIP_DEFLATED)),
        ("a.zip", spoiled(zipfile.ZIP_BZIP2)),
        ("a.zip", spoiled(zipfile.ZIP_LZMA)),
        ("a.zip", archive(**{"a.txt": b"x"})),
        ("a.zip", archive(**{"a.shp": b"x", "b.shp": b"x"})),
        ("a.geojson", b"<html>"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": []}'),
        ("a.geojson", b"{" * 50_000),
        ("a.geojson", b'{"type": "Polygon", "coordinates": [[[1e999, 0], [1, 1], [0, 1], [1e999, 0]]]}'),
        ("a.geojson", collection(ring(0, 0, 9, 9), crs={"properties": {"name": "/etc/passwd"}}).encode()),
        ("../../etc/passwd", b"x"),
        ("a.vrt", VRT),
        ("", b""),
    ],
)
def test_files_that_are_not_what_they_say(same_client, name, data):
    pytest.importorskip("pyogrio")
    answer = send(same_client, name, data)
    assert answer.status_code in (404, 422), answer.text
    assert set(answer.json()) == {"error", "message"} and "/tmp" not in answer.text
    assert "could not be read" not in answer.text  # as it is said of a reader that died
    assert same_client.get("/api/state").json()["objects"] == 0


def test_a_bomb_is_not_unpacked(same_client, monkeypatch):
    monkeypatch.setattr("terraclick.server.importing.LIMITS", Limits(unpacked_bytes=2**22))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out, out.open("a.shp", "w", force_zip64=True) as file:
        for _ in range(5):
            file.write(b"\0" * 2**20)
    answer = send(same_client, "a.zip", bomb.getvalue())
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")
