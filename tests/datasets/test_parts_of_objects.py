"""Objects taken apart in a session: kept with their whole, and prepared as the Target Disassembly sets are."""

import json

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS

from terraclick.cli import main
from terraclick.data.datasets import open_dataset
from terraclick.errors import BadData
from terraclick.exchange.export_parts import export_parts
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.values import MapClass, StoredImage

GRID = Affine(0.5, 0, 500_000, 0, -0.5, 4_650_000)
CRS_33N = CRS.from_epsg(32633)


def placed(left, top, right, bottom):
    """A rectangle in pixels, on the map."""
    (x0, y0), (x1, y1) = GRID @ (left, top), GRID @ (right, bottom)
    return shapely.box(x0, y1, x1, y0)


@pytest.fixture
def session(tmp_path):
    """Two planes of a wing and a tail each, a house, and a wing whose plane is gone."""
    image = np.full((3, 200, 300), 60, np.uint8)
    image[:, 40:100, 40:120] = 200
    with rasterio.open(
        tmp_path / "field.tif", "w", driver="GTiff", width=300, height=200, count=3, dtype="uint8", crs=CRS_33N,
        transform=GRID,
    ) as file:  # fmt: skip
        file.write(image)
    path = tmp_path / "work.gpkg"
    with GeoPackageStore.create(path, CRS_33N) as store:
        key = str(tmp_path / "field.tif")
        store.add_image(StoredImage(key, "", CRS_33N, (500_000, 4_649_900, 500_150, 4_650_000)))
        for name in ("plane", "house", "wing", "tail"):
            store.set_class(MapClass(name))
        planes = [
            store.add(MapObject(geometry=placed(*box), class_name="plane", image=key))
            for box in ((40, 40, 120, 100), (180, 40, 260, 100))
        ]
        for plane, left in zip(planes, (40, 180), strict=True):
            for name, box in (("tail", (left, 40, left + 20, 100)), ("wing", (left + 30, 50, left + 60, 90))):
                own = {"part_of": plane.uuid}
                store.add(MapObject(geometry=placed(*box), class_name=name, image=key, attributes=own))
        store.add(MapObject(geometry=placed(10, 150, 40, 180), class_name="house", image=key))
        gone = {"part_of": "not-there"}
        store.add(MapObject(geometry=placed(60, 150, 70, 160), class_name="wing", image=key, attributes=gone))
    return path


def test_parts_are_written_in_the_layout_of_target_disassembly(session, tmp_path):
    with GeoPackageStore.open(session) as store:
        found = export_parts(store, session, tmp_path / "out")
    assert (found.objects, found.parts, found.left_out) == (2, 4, 1)
    assert found.tags == {"plane": ("wing", "tail")}  # in the order of the session's classes, the same for both
    folder = tmp_path / "out" / "TDA-PD" / "plane"
    assert sorted(file.name for file in folder.iterdir()) == ["1.jpg", "1.png", "2.jpg", "2.png", "tags.txt"]
    assert (folder / "tags.txt").read_text() == "wing\ntail\n"
    for number in (1, 2):
        tags = cv2.imread(str(folder / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        picture = cv2.imread(str(folder / f"{number}.jpg"))
        assert tags.shape == picture.shape[:2] == (100, 120)  # the plane, and a quarter of its length around it
        assert ((tags == 2).sum(), (tags == 1).sum()) == (20 * 60, 30 * 40)
        assert (tags[20:80, 20:40] == 2).all() and (tags[30:70, 50:80] == 1).all()
    assert abs(int(cv2.imread(str(folder / "1.jpg"))[50, 60, 0]) - 200) < 10


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.mark.parametrize("way", ["tda", "session"])
def test_what_was_taken_apart_is_prepared_with_its_parts(session, tmp_path, capsys, way):
    source = session
    if way == "tda":
        assert run("export-parts", session, tmp_path / "apart") == 0
        assert "2 objects with 4 parts" in capsys.readouterr().out
        source = tmp_path / "apart"
    assert run("prepare", way, source, tmp_path / "set") == 0
    (folder,) = {path.parent for path in (tmp_path / "set").rglob("meta.json")}
    things = [(picture.id, thing) for picture in open_dataset(folder).pictures for thing in picture.objects]
    parts = [(name, thing) for name, thing in things if thing.of]
    assert sorted(thing.area for _, thing in parts) == [1200, 1200, 1200, 1200]
    assert len({(name, part.of) for name, part in parts}) == 2  # two of each of the two planes
    for name, part in parts:
        (whole,) = [thing for picture, thing in things if picture == name and thing.id == part.of]
        assert not whole.of and whole.area >= 2400 and part.plane > whole.plane


@pytest.fixture
def quay(session):
    """The same with a ship that touches its quay, a ship beside them that does not, and two cars side by side."""
    with GeoPackageStore.open(session) as store:
        key = next(iter(store.images())).path
        for name in ("ship", "quay", "car"):
            store.set_class(MapClass(name))
        boxes = [("quay", (200, 120, 290, 130)), ("ship", (210, 130, 260, 150)), ("ship", (210, 160, 260, 180))]
        boxes += [("car", (100, 150, 110, 156)), ("car", (110, 150, 120, 156))]
        for name, box in boxes:
            store.add(MapObject(geometry=placed(*box), class_name=name, image=key))
    return session


def test_objects_that_touch_are_written_as_combinations(quay, tmp_path, capsys):
    """One class alone is no combination, nor are objects with a gap of ten pixels."""
    assert run("export-parts", quay, tmp_path / "out", "--groups", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["objects"], said["groups"]) == (2, 1) and said["tags"]["ship and quay"] == ["ship", "quay"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["TDA-OD", "TDA-PD"]
    (folder,) = (tmp_path / "out" / "TDA-OD").iterdir()
    assert folder.name == "ship and quay" and (folder / "tags.txt").read_text() == "ship\nquay\n"
    tags = cv2.imread(str(folder / "1.png"), cv2.IMREAD_UNCHANGED)
    assert ((tags == 1).sum(), (tags == 2).sum()) == (50 * 20, 90 * 10)
    assert run("prepare", "tda", tmp_path / "out", tmp_path / "set", "--part", "OD") == 0
    (picture,) = open_dataset(tmp_path / "set" / "test" / "tda").pictures
    areas = {thing.area: bool(thing.of) for thing in picture.objects}
    assert areas == {50 * 20: True, 90 * 10: True, 50 * 20 + 90 * 10: False}  # each, and both as one


def test_without_groups_combinations_are_not_written(quay, tmp_path):
    assert run("export-parts", quay, tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["TDA-PD"]


def test_a_session_without_parts_is_told_how_to_make_them(tmp_path):
    with GeoPackageStore.create(tmp_path / "empty.gpkg", None) as store:
        with pytest.raises(BadData, match="Shift T"):
            export_parts(store, tmp_path / "empty.gpkg", tmp_path / "out")
    assert not (tmp_path / "out").exists()
