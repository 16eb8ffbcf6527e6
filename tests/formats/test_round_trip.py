"""A session of two images and three classes, written in every format and read back: the same objects."""

import csv
import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon, box

from terraclick.cli import cli
from terraclick.errors import BadConfig, BadData, BadOutput
from terraclick.exchange.export_session import export_session, parse_split
from terraclick.exchange.import_session import import_session
from terraclick.exchange.imports import import_polygons
from terraclick.exchange.registry import FORMATS, format_of
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import image_hash
from terraclick.store.values import MapClass, StoredClick, StoredImage, StoredView

UTM = CRS.from_epsg(32633)
GSD = 0.5
ORIGINS = {"north.tif": (500000.0, 4650000.0), "south.tif": (500100.0, 4649900.0)}
HOLED = Polygon(box(5, 10, 25, 30).exterior, [box(8, 15, 15, 20).exterior, box(17, 22, 22, 28).exterior])
PARTS = MultiPolygon([box(30, 20, 35, 25), Polygon(box(40, 20, 45, 30).exterior, [box(42, 22, 43, 24).exterior])])
SLANTED = Polygon([(3.3, 2.1), (9.7, 4.45), (8.25, 8.8), (2.6, 6.05)])
SHAPES = [  # image, class, outline in metres right and down of the image's corner
    ("north.tif", "roof", HOLED, {"floors": 3, "note": '=1+1 Ä, "x" ' + "long " * 80}),
    ("north.tif", "pond", PARTS, {}),
    ("south.tif", "road", SLANTED, {"surface": "gravel"}),
    ("south.tif", "roof", box(20, 5, 30, 15), {}),
]
COMES_BACK = [name for name in FORMATS if name not in ("mask", "instances")]


def placed(image, shape):
    x, y = ORIGINS[image]
    return shapely.transform(shape, lambda xy: np.column_stack([x + xy[:, 0], y - xy[:, 1]]))


@pytest.fixture
def session(tmp_path):
    """(session file, folder of its images)."""
    folder = tmp_path / "work"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, (x, y) in ORIGINS.items():
        options = {"driver": "GTiff", "width": 100, "height": 80, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
        with rasterio.open(folder / name, "w", transform=Affine(GSD, 0, x, 0, -GSD, y), **options) as file:
            file.write(rng.integers(0, 255, (3, 80, 100), dtype=np.uint8))
    path = folder / "town.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        for name in ORIGINS:
            store.add_image(StoredImage(name, image_hash(folder / name), UTM))
        store.set_class(MapClass("roof", "#112233", "1", "discrete", {"floors": "number"}))
        store.set_class(MapClass("road", "#445566", "2"))
        store.set_class(MapClass("pond", "#778899", "3", "coverage"))
        for image, name, shape, attributes in SHAPES:
            item = MapObject(
                geometry=placed(image, shape), image=image, class_name=name, attributes=attributes, score=0.75,
                label="=A1", author="ann", model="terra", n_clicks=1,
            )  # fmt: skip
            store.add(item, [StoredClick(1, 2, ORIGINS[image][0] + 10, ORIGINS[image][1] - 12)], StoredView(image))
    return path


def objects(path):
    with GeoPackageStore.open(path) as store:
        return {item.uuid: item for item in store.objects()}, {kind.name: kind.number for kind in store.classes()}


def installed(name):
    if name == "shapefile":
        pytest.importorskip("pyogrio")
    if name == "geoparquet":
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("name", COMES_BACK)
def test_round_trip(session, tmp_path, name):
    installed(name)
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "out", [name])
    shutil.move(session.parent, tmp_path / "elsewhere")
    back_at = tmp_path / "back.gpkg"
    import_session([tmp_path / "out" / name], back_at, images=[tmp_path / "elsewhere"], crs=UTM)
    before, numbers = objects(tmp_path / "elsewhere" / "town.gpkg")
    after, numbers_after = objects(back_at)
    assert set(after) == set(before)
    for uuid, item in before.items():
        again = after[uuid]
        for field in ("class_name", "label", "score", "author", "model", "status", "created", "attributes", "n_clicks"):
            assert getattr(again, field) == getattr(item, field), field
        assert again.image.endswith(item.image)
        assert again.geometry.hausdorff_distance(item.geometry) < GSD / 2
        assert again.geometry.symmetric_difference(item.geometry).area < 0.01 * item.geometry.area
        holes = [sum(len(p.interiors) for p in shapely.get_parts(i.geometry)) for i in (item, again)]
        assert holes[0] == holes[1]
    if FORMATS[name].pixels:
        assert numbers_after == numbers == {"roof": 1, "road": 2, "pond": 3}


def test_numbers_are_the_sessions_whatever_is_chosen(session, tmp_path):
    installed("geoparquet")
    with GeoPackageStore.open(session) as store:
        store.rename_class("roof", "a roof")
        store.set_class(MapClass("aaa"))
        store.delete_class("road")
        for name in ("a roof", "pond"):
            export_session(store, session, tmp_path / name, ["coco", "yolo", "mask"], class_name=name)
    seen = {}
    for name in ("a roof", "pond"):
        coco = json.loads((tmp_path / name / "coco" / "objects.coco.json").read_text())
        seen[name] = {a["category_id"] for a in coco["annotations"]}
        lines = (tmp_path / name / "yolo" / "labels" / "north.txt").read_text().splitlines()
        assert {int(line.split()[0]) + 1 for line in lines} == seen[name]
        with rasterio.open(tmp_path / name / "mask" / "north.tif") as file:
            assert set(np.unique(file.read(1))) == {0, *seen[name]}
            assert file.tags()[f"CLASS_{seen[name].pop()}"] == name
        # the object whose class was deleted keeps a number of its own, after all that were ever given
        assert {kind["id"]: kind["name"] for kind in coco["categories"]} == {
            1: "a roof",
            3: "pond",
            4: "aaa",
            5: "road",
        }
    assert "unused_2" in (tmp_path / "pond" / "yolo" / "data.yaml").read_text()


def test_objects_without_a_class_keep_their_number_when_classes_come(tmp_path):
    path = tmp_path / "s.gpkg"
    numbers = []
    with GeoPackageStore.create(path, UTM) as store:
        store.set_class(MapClass("roof"))
        store.add(MapObject(geometry=placed("north.tif", SLANTED)))
        for name in ("first", "second"):
            export_session(store, path, tmp_path / f"{name}.gpkg")
            numbers.append(GeoPackageStore.open(tmp_path / f"{name}.gpkg").unnamed_number())
            store.set_class(MapClass(name))
    assert numbers == [2, 2]


def test_the_geopackage_export_is_the_session_again(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "copy.gpkg")
        wanted = store.classes(), {i.uuid: (store.clicks_of(i.uuid), store.view_of(i.uuid)) for i in store.objects()}
        hashes = [image.hash for image in store.images()]
    with GeoPackageStore.open(tmp_path / "copy.gpkg") as copy:
        assert copy.classes() == wanted[0] and [k.number for k in copy.classes()] == [1, 2, 3]
        assert {i.uuid: (copy.clicks_of(i.uuid), copy.view_of(i.uuid)) for i in copy.objects()} == wanted[1]
        assert [image.hash for image in copy.images()] == hashes
        assert [image.path for image in copy.images()] == ["north.tif", "south.tif"]


def test_yolo_is_a_data_set(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "set", ["yolo", "coco"], split=parse_split("50,50"))
    root = tmp_path / "set" / "yolo"
    told = (root / "data.yaml").read_text()
    assert 'names:\n  0: "roof"\n  1: "road"\n  2: "pond"' in told and "train: train.txt" in told
    places = [(root / f"{part}.txt").read_text().split() for part in ("train", "val")]
    assert sorted(len(place) for place in places) == [1, 1]
    for (place,), part in zip(places, ("train", "val"), strict=True):
        assert (root / place.replace("images", "labels").replace(".tif", ".txt")).is_file() and f"/{part}/" in place
    coco = [json.loads((tmp_path / "set" / "coco" / f"{part}.coco.json").read_text()) for part in ("train", "val")]
    assert sum(len(one["annotations"]) for one in coco) == len(SHAPES)
    assert coco[0]["categories"] == coco[1]["categories"]


def test_a_split_of_more_parts_than_images_is_refused(session, tmp_path):
    with GeoPackageStore.open(session) as store, pytest.raises(BadConfig, match="3 parts, but the session has 2"):
        export_session(store, session, tmp_path / "set", ["yolo", "coco"], split=parse_split("70,20,10"))
    assert not (tmp_path / "set").exists()


def test_no_path_of_the_author_leaves(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        found = export_session(store, session, tmp_path / "out")
    assert found.objects == 4 and found.images == 2
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            assert str(tmp_path).encode() not in file.read_bytes(), file


def test_labelme_names_the_picture_from_where_it_lies(session):
    out = session.parent / "out"
    with GeoPackageStore.open(session) as store:
        export_session(store, session, out, ["labelme"])
    top = json.loads((out / "labelme" / "north.json").read_text())
    assert (out / "labelme" / top["imagePath"]).resolve() == (session.parent / "north.tif").resolve()


def test_a_second_export_replaces_its_own_files_and_no_others(session, tmp_path):
    out = tmp_path / "out"
    with GeoPackageStore.open(session) as store:
        export_session(store, session, out, ["coco", "csv"])
        (out / "mine.txt").write_text("kept")
        with pytest.raises(BadOutput, match="not empty"):
            export_session(store, session, out, ["coco"])
        export_session(store, session, out, ["coco"], overwrite=True)
    assert (out / "mine.txt").read_text() == "kept"
    assert (out / "coco" / "objects.coco.json").is_file() and not (out / "csv" / "objects.csv").exists()
    assert not list(tmp_path.glob(".terraclick-*"))


def test_a_missing_image_is_named_before_anything_is_written(session, tmp_path):
    (session.parent / "south.tif").unlink()
    with GeoPackageStore.open(session) as store:
        with pytest.raises(BadData, match=r"south\.tif was not found"):
            export_session(store, session, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        (tmp_path / "other").mkdir()
        shutil.copy(session.parent / "north.tif", tmp_path / "other" / "south.tif")
        with pytest.raises(BadData, match="content is another one"):
            export_session(store, session, tmp_path / "out", images=[tmp_path / "other", session.parent / "north.tif"])
        export_session(store, session, tmp_path / "out", ["geojson"])


def test_a_renamed_image_is_found_by_its_hash(session, tmp_path):
    (tmp_path / "moved").mkdir()
    shutil.move(session.parent / "south.tif", tmp_path / "moved" / "renamed.tif")
    shutil.copy(session.parent / "north.tif", tmp_path / "moved" / "north.tif")
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "out", ["coco"], images=[tmp_path / "moved"])
    coco = json.loads((tmp_path / "out" / "coco" / "objects.coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["north.tif", "renamed.tif"]


def test_the_command_line(session, tmp_path):
    run = CliRunner().invoke(cli, ["export-session", str(session), str(tmp_path / "set.coco.json")])
    assert run.exit_code == 0 and "4 objects of 2 images" in run.output, run.output
    words = ["import-session", str(tmp_path / "set.coco.json"), str(tmp_path / "back.gpkg")]
    words += ["--image", str(session.parent)]
    run = CliRunner().invoke(cli, words)
    assert run.exit_code == 0 and "4 objects of 2 images" in run.output, (run.output, run.exception)
    run = CliRunner().invoke(cli, [*words, "--append", "--json"])
    assert json.loads(run.output)["known"] == 4
    assert len(objects(tmp_path / "back.gpkg")[0]) == 4


def test_the_longest_ending_decides():
    assert [format_of(f"x{end}") for end in (".instances.tif", ".tif", ".tiff", ".coco.json", ".json")] == [
        "instances", "mask", "mask", "coco", "labelme",
    ]  # fmt: skip


def test_yolo_lines_that_were_edited_or_taken_away_do_not_shift_identity(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "out", ["yolo"])
    file = tmp_path / "out" / "yolo" / "labels" / "south.txt"
    lines = file.read_text().splitlines()
    file.write_text(lines[1] + "\n" + "0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    import_session([file], tmp_path / "back.gpkg", images=[session.parent])
    after, before = objects(tmp_path / "back.gpkg")[0], objects(session)[0]
    (same,) = set(after) & set(before)
    assert before[same].class_name == "roof" and after[same].geometry.equals_exact(before[same].geometry, 0.01)
    assert sorted(item.class_name for item in after.values()) == ["roof", "roof"]


def test_a_picture_format_that_others_wrote(session, tmp_path):
    labelme = {
        "version": "5.0", "imagePath": "north.tif", "imageHeight": 80, "imageWidth": 100,
        "shapes": [
            {"label": "roof", "points": [[10, 10], [20, 20]], "shape_type": "rectangle", "group_id": None},
            {"label": "tree", "points": [[50, 50], [53, 54]], "shape_type": "circle", "group_id": None},
            {"label": "dot", "points": [[5, 5]], "shape_type": "point", "group_id": None},
        ],
    }  # fmt: skip
    (tmp_path / "north.json").write_text(json.dumps(labelme))
    import_session([tmp_path / "north.json"], tmp_path / "back.gpkg", images=[session.parent / "north.tif"])
    roof, tree, dot = objects(tmp_path / "back.gpkg")[0].values()
    assert dot.geometry.geom_type == "MultiPoint" and dot.class_name == "dot"
    assert roof.geometry.bounds == (500005.0, 4649990.0, 500010.0, 4649995.0) and roof.status == "imported"
    assert tree.geometry.area == pytest.approx(np.pi * 25 * GSD**2, rel=0.02)
    uncompressed = {"size": [80, 100], "counts": [0, 2, 78, 2, 80 * 98 - 2]}
    coco = {
        "images": [{"id": 7, "file_name": "north.tif", "height": 80, "width": 100}],
        "categories": [{"id": 9, "name": "roof"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 9, "segmentation": uncompressed}],
    }
    (tmp_path / "x.json").write_text(json.dumps(coco))
    import_session([tmp_path / "x.json"], tmp_path / "coco.gpkg", images=[session.parent / "north.tif"])
    (found,) = objects(tmp_path / "coco.gpkg")[0].values()
    assert found.geometry.area == pytest.approx(4 * GSD**2)


@pytest.mark.parametrize(
    "content",
    [
        '{"shapes": 3}', '{"shapes": [{"label": "x", "points": [[1, 2], [NaN, 3], [4, 5]]}]}',
        '{"images": [], "annotations": [{"image_id": 1}]}',
        '{"images": [{"id": 1, "height": 9, "width": 9, "file_name": "a"}], "categories": [], "annotations": '
        '[{"image_id": 1, "category_id": 1, "segmentation": {"size": [9, 9], "counts": "~~~"}}]}',
        '{"images": [{"id": 1, "height": 9, "width": 9, "file_name": "a"}], "categories": [], "annotations": '
        '[{"image_id": 1, "category_id": 1, "segmentation": {"size": [999999999, 999999999], "counts": [1]}}]}',
    ],
)  # fmt: skip
def test_damaged_labels_are_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(BadData):
        import_session([tmp_path / "bad.json"], tmp_path / "s.gpkg")
    assert not (tmp_path / "s.gpkg").exists()


def test_a_geopackage_of_several_layers_is_read_whole(tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    points = np.array([shapely.to_wkb(shapely.Point(0, 0))], dtype=object)
    boxes = np.array([shapely.to_wkb(box(0, 0, 5, 5))], dtype=object)
    for name, shapes, kind in (("dots", points, "Point"), ("a", boxes, "Polygon"), ("b", boxes, "MultiPolygon")):
        options = {"layer": name, "geometry_type": kind, "crs": "EPSG:32633", "driver": "GPKG"}
        columns = [np.array([name], dtype=object)]
        pyogrio.raw.write(tmp_path / "x.gpkg", shapes, columns, ["class"], append=name != "dots", **options)
    import_session([tmp_path / "x.gpkg"], tmp_path / "s.gpkg")
    assert [item.class_name for item in objects(tmp_path / "s.gpkg")[0].values()] == ["dots", "a", "b"]


def test_masks_have_names_colours_overviews_and_uuids(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "out", ["mask", "instances"])
    with rasterio.open(tmp_path / "out" / "mask" / "north.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.colormap(1)[1] == (0x11, 0x22, 0x33, 255) and file.tags()["CLASS_1"] == "roof"
    beside = (tmp_path / "out" / "mask" / "north.tif.aux.xml").read_text()
    assert "<Category>nothing</Category>\n<Category>roof</Category>\n<Category>road</Category>" in beside
    rasterio.shutil.copy(tmp_path / "out" / "mask" / "north.tif", tmp_path / "x.vrt", driver="VRT")
    assert "<Category>pond</Category>" in (tmp_path / "x.vrt").read_text()  # GDAL reads the names
    uuids = [uuid for uuid, item in objects(session)[0].items() if item.image == "north.tif"]
    with rasterio.open(tmp_path / "out" / "instances" / "north.instances.tif") as file:
        assert [file.tags()[f"OBJECT_{n}"] for n in (1, 2)] == uuids and file.colormap(1)[1][3] == 255
    assert uuids[0] in (tmp_path / "out" / "instances" / "north.instances.tif.aux.xml").read_text()


def test_clicks_are_points_and_go_with_their_object(session):
    with GeoPackageStore.open(session):
        pass
    db = sqlite3.connect(session)
    (blob,) = db.execute("SELECT geom FROM clicks LIMIT 1").fetchone()
    assert shapely.from_wkb(blob[8:]).equals(shapely.Point(500010, 4649988))
    db.close()
    pyogrio = pytest.importorskip("pyogrio")
    assert pyogrio.read_info(session, layer="clicks")["geometry_type"] == "Point"
    with GeoPackageStore.open(session) as store:
        store._db.execute("DELETE FROM objects WHERE class = 'roof'")  # as another program does
        assert store._db.execute("SELECT count(*) FROM clicks").fetchone() == (2,)
        assert store._db.execute("SELECT count(*) FROM views").fetchone() == (2,)


def test_objects_beyond_the_picture_are_cut_and_counted(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        item = MapObject(geometry=placed("north.tif", box(-5, -5, 5, 5)), image="north.tif", class_name="roof")
        store.add(item)
        found = export_session(store, session, tmp_path / "out", ["coco", "labelme"])
    assert found.cut == 1
    last = json.loads((tmp_path / "out" / "coco" / "objects.coco.json").read_text())["annotations"][2]
    assert last["bbox"] == [0, 0, 10, 10]


def test_csv_names_its_coordinate_system(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "o.csv")
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        assert {row["crs"] for row in csv.DictReader(file)} == {"EPSG:32633"}


def test_polygons_of_several_pictures_are_not_mixed_up(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        export_session(store, session, tmp_path / "all.coco.json")
        export_session(store, session, tmp_path / "one", ["labelme"])
    with pytest.raises(BadData, match="several images"):
        import_polygons(tmp_path / "all.coco.json")
    assert len(import_polygons(tmp_path / "one" / "labelme" / "north.json")) == 2


@pytest.mark.slow
def test_a_database_keeps_and_writes_what_a_file_does(session, tmp_path, postgis):
    from terraclick.geo.reading import Reading
    from terraclick.store.postgis import open_postgis

    address = f"{postgis}#round"
    with GeoPackageStore.open(session) as store, open_postgis(address, UTM) as shared:
        for image in store.images():
            shared.add_image(replace(image, reading=Reading(nodata="7")))
        for kind in store.classes():
            shared.set_class(kind)
        for item in store.objects():
            shared.add(replace(item, rev=0), store.clicks_of(item.uuid), store.view_of(item.uuid))
        shared.add(MapObject(geometry=placed("south.tif", box(35, 30, 40, 35)), image="south.tif"))  # without a class
        shared.set_class(MapClass("gone"))
        shared.delete_class("gone")
        shared.rename_class("pond", "lake")
        shared.set_class(MapClass("late"))
    with open_postgis(address, make=False) as shared:
        numbers = {kind.name: kind.number for kind in shared.classes()}
        assert (numbers["roof"], numbers["road"], numbers["lake"]) == (1, 2, 3)
        assert len({*numbers.values(), shared.unnamed_number()}) == 5
        assert min(numbers["late"], shared.unnamed_number()) > 3
        truth = {item.uuid: item for item in shared.objects()}
        clicks = {uuid: shared.clicks_of(uuid) for uuid in truth}
    out = tmp_path / "out"
    told = CliRunner().invoke(cli, ["export-session", address, str(out), "--images", str(session.parent)])
    assert told.exit_code == 0, told.output
    assert told.stderr.count("it is read with --nodata 7, as the session keeps it") == 2
    listed = {kind["name"]: kind["number"] for kind in json.loads((out / "export.json").read_text())["classes"]}
    assert {name: listed[name] for name in numbers} == numbers
    coco = json.loads((out / "coco" / "objects.coco.json").read_text())
    assert {kind["name"]: kind["id"] for kind in coco["categories"] if kind["name"] in numbers} == numbers
    for name in [name for name in COMES_BACK if (out / name).is_dir()]:
        back = tmp_path / f"{name}.gpkg"
        import_session([out / name], back, images=[session.parent], crs=UTM)
        after, _ = objects(back)
        assert set(after) == set(truth), name
        for uuid, item in truth.items():
            assert after[uuid].class_name in (item.class_name, item.class_name or "object"), name
            assert after[uuid].geometry.hausdorff_distance(item.geometry) < GSD / 2, name
    with GeoPackageStore.open(out / "gpkg" / "objects.gpkg") as copy:
        assert {kind.name: kind.number for kind in copy.classes() if kind.name in numbers} == numbers
        assert {uuid: copy.clicks_of(uuid) for uuid in truth} == clicks
        assert {image.reading.nodata for image in copy.images()} == {"7"}


@pytest.mark.slow
def test_two_servers_on_a_database_give_no_number_twice(postgis):
    from concurrent.futures import ThreadPoolExecutor

    from terraclick.store.postgis import open_postgis

    stores = [open_postgis(f"{postgis}#numbers", UTM) for _ in range(4)]

    def work(which):
        for count in range(12):
            stores[which].add(
                MapObject(geometry=box(0, 0, 9, 9), class_name=f"{'shared' if count % 2 else which}{count}")
            )

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        seen = [{kind.name: kind.number for kind in store.classes()} for store in stores]
        assert seen[0] == seen[1] == seen[2] == seen[3] and len(set(seen[0].values())) == len(seen[0]) == 30
        assert all(len(store.objects()) == 48 for store in stores)
    finally:
        for store in stores:
            store.close()
