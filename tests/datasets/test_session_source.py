"""Accepted objects of a session become a training set: images of several systems, holes, lines, pixels, training."""

import json
import warnings

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from terraclick.cli import main
from terraclick.data.datasets import open_dataset
from terraclick.formats.common.collection import collected
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import image_hash
from terraclick.store.values import MapClass, StoredImage

UTM = CRS.from_epsg(32633)
PLACES = {  # image: its system and its transform, half a metre to the pixel or about that
    "a.tif": ("EPSG:32633", Affine(0.5, 0, 500000, 0, -0.5, 4650000)),
    "b.tif": ("EPSG:3857", Affine(0.5, 0, 1669800, 0, -0.5, 5162200)),
    "c.tif": ("EPSG:4326", Affine(6e-6, 0, 15.0, 0, -4.5e-6, 42.0)),
}
BOX = shapely.box(20, 30, 80, 90)  # pixels of any image: left, top, right, bottom


def in_utm(shape, image):
    """A shape in the pixels of an image, in the session's system."""
    crs, transform = PLACES[image]
    turn = Transformer.from_crs(crs, UTM, always_xy=True)

    def through(points):
        x, y = transform @ (points[:, 0], points[:, 1])
        return np.column_stack(turn.transform(x, y))

    return shapely.transform(shape, through)


def write_image(path, crs=None, transform=None):
    values = np.random.default_rng(0).integers(0, 255, (3, 120, 160), dtype=np.uint8)
    options = {"driver": "GTiff", "count": 3, "height": 120, "width": 160, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **options, crs=crs, transform=transform) as file:
            file.write(values)


@pytest.fixture
def session(tmp_path):
    """A roof on each image, a shed with a court on the first, a line, two points, and a roof not accepted."""
    path = tmp_path / "session.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        for image, (crs, transform) in PLACES.items():
            write_image(tmp_path / image, crs, transform)
            corners = transform @ (0, 120), transform @ (160, 0)
            bounds = (*corners[0], *corners[1])
            store.add_image(StoredImage(image, image_hash(tmp_path / image), CRS.from_user_input(crs), bounds))
            shape = shapely.MultiPolygon([in_utm(BOX, image)])
            store.add(MapObject(geometry=shape, image=image, class_name="roof", status="accepted"), crs=UTM)
        court = shapely.Polygon(shapely.box(90, 20, 150, 80).exterior, [shapely.box(110, 40, 130, 60).exterior])
        shapes = {
            "shed": shapely.MultiPolygon([in_utm(court, "a.tif")]),
            "road": shapely.MultiLineString([in_utm(shapely.LineString([(0, 0), (160, 100)]), "a.tif")]),
            "tree": shapely.MultiPoint([in_utm(shapely.Point(5, 5), "a.tif")]),
        }
        for name, shape in (*shapes.items(), ("tree", shapes["tree"])):
            store.add(MapObject(geometry=shape, image="a.tif", class_name=name, status="accepted"), crs=UTM)
        store.add(MapObject(geometry=shapes["shed"], image="b.tif", class_name="roof", status="proposed"), crs=UTM)
    return path


def run(*words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code or 0


def test_images_of_other_systems_holes_and_what_is_left_out(session, tmp_path, capsys):
    assert run("prepare", "session", session, tmp_path / "data") == 0
    said = capsys.readouterr()
    assert "3 pictures with 4 objects" in said.out
    assert "Note: 1 line and 2 points are left out: a training set holds areas alone." in said.err
    dataset = open_dataset(tmp_path / "data" / "train" / "session")
    numbers = {name: number for number, name in dataset.classes.items()}
    roof = np.zeros((120, 160), bool)
    roof[30:90, 20:80] = True
    shed = np.zeros_like(roof)
    shed[20:80, 90:150] = True
    shed[40:60, 110:130] = False
    for picture in dataset.pictures:
        classes = picture.classes()
        assert np.array_equal(classes == numbers["roof"], roof), picture.id
        assert np.array_equal(classes == numbers["shed"], shed & (picture.id[0] == "a")), picture.id
    assert sorted(thing.area for thing in dataset.pictures[0].objects) == [3200, 3600]


def test_classes_without_an_area_are_left_out(session, tmp_path):
    """Lines, points, a proposed area, one beyond every image and a name alone make no class; numbers stay."""
    with GeoPackageStore.open(session) as store:
        store.set_class(MapClass("barn", "#aa0000"))
        away = shapely.MultiPolygon([in_utm(shapely.box(900, 900, 950, 950), "a.tif")])
        store.add(MapObject(geometry=away, image="a.tif", class_name="mill", status="accepted"), crs=UTM)
        hall = shapely.MultiPolygon([in_utm(BOX, "b.tif")])
        store.add(MapObject(geometry=hall, image="b.tif", class_name="hall", status="proposed"), crs=UTM)
        whole = collected(store)
    assert {kind.name for kind in whole.classes} == {"barn", "hall", "mill", "road", "roof", "shed", "tree"}
    assert run("prepare", "session", session, tmp_path / "data") == 0
    meta = json.loads((tmp_path / "data" / "train" / "session" / "meta.json").read_text())
    own = {str(whole.number(name)): name for name in ("roof", "shed")}
    assert meta["classes"] == {"0": "background"} | own


def test_training_takes_it(session, tmp_path, capsys):
    pytest.importorskip("torch")
    assert run("prepare", "session", session, tmp_path / "data", "--deal", "seed") == 0
    words = [
        "train",
        "simpleclick-small",
        "--data",
        tmp_path / "data" / "train",
        "--out",
        tmp_path / "run",
        "--steps",
        "1",
    ]
    assert run(*words, "--set", "batch=2") == 0
    assert (tmp_path / "run" / "network.safetensors").is_file()
    words = ["benchmark", "--predictor", "grabcut", "--target", "object", "--data", tmp_path / "data" / "train"]
    assert run(*words, "--limit", "1", "--max-clicks", "1", "--miou-at", "1") == 0


def test_a_session_in_pixels(tmp_path):
    """What `segment --pixels` writes: no coordinate system, though the images have one."""
    path = tmp_path / "pixels.gpkg"
    with GeoPackageStore.create(path, None) as store:
        for image in ("a.tif", "c.tif"):
            write_image(tmp_path / image, *PLACES[image])
            store.add_image(StoredImage(image, image_hash(tmp_path / image), None, (0, 0, 160, 120)))
            shape = shapely.MultiPolygon([BOX])
            store.add(MapObject(geometry=shape, image=image, class_name="roof", status="accepted"))
    assert run("prepare", "session", path, tmp_path / "data") == 0
    for picture in open_dataset(tmp_path / "data" / "train" / "session").pictures:
        shown = picture.classes() == 1
        assert shown[30:90, 20:80].all() and np.count_nonzero(shown) == 3600


def test_what_reaches_beyond_the_image_is_told(session, tmp_path, capsys):
    with GeoPackageStore.open(session) as store:
        shape = shapely.MultiPolygon([in_utm(shapely.box(140, 100, 200, 180), "a.tif")])
        store.add(MapObject(geometry=shape, image="a.tif", class_name="roof", status="accepted"), crs=UTM)
    assert run("prepare", "session", session, tmp_path / "data") == 0
    assert "1 object beyond the edge of the image: cut off there." in capsys.readouterr().err
    (picture,) = [p for p in open_dataset(tmp_path / "data" / "train" / "session").pictures if p.id[0] == "a"]
    assert 400 in {thing.area for thing in picture.objects}


def test_a_session_of_lines_alone(tmp_path, capsys):
    path = tmp_path / "lines.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        line = shapely.MultiLineString([[(0, 0), (9, 9)]])
        store.add(MapObject(geometry=line, image="", class_name="road", status="accepted"), crs=UTM)
    assert run("prepare", "session", path, tmp_path / "data") != 0
    assert "holds no accepted area (1 line is left out)" in capsys.readouterr().err
