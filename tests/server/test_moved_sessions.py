"""A session is found again where its files are: images are known by their hash, not by the path they once had."""

import shutil

import pytest

from terraclick.segment.job import SegmentJob, run
from terraclick.server.images import open_scenes, settled
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import find_image, image_hash, known_as, portable_name, session_key
from terraclick.store.values import StoredImage


def square(path, shift=0):
    from terraclick.data.synthetic import make_square_scene

    return make_square_scene(path, (500010 + shift, 4650010, 500030 + shift, 4650030))


@pytest.fixture
def town(tmp_path):
    """A folder with an image and a session that segment made of it."""
    folder = tmp_path / "home" / "ann"
    folder.mkdir(parents=True)
    square(folder / "town.tif")
    run(SegmentJob(str(folder / "town.tif"), [(500020, 4650020)], out=str(folder / "s.gpkg"), class_name="roof"))
    return folder


def test_a_moved_folder_shows_its_objects(town, tmp_path):
    shutil.move(town, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "town.tif").rename(tmp_path / "elsewhere" / "renamed.tif")
    with GeoPackageStore.open(tmp_path / "elsewhere" / "s.gpkg") as store:
        (scene,) = settled(open_scenes([str(tmp_path / "elsewhere" / "renamed.tif")]), store).values()
        assert len(store.objects(scene.key)) == 1
        assert str(tmp_path).encode() not in (tmp_path / "elsewhere" / "s.gpkg").read_bytes()


def test_a_session_of_absolute_paths_is_found_too(town, tmp_path):
    old = "/media/somebody/town.tif"
    with GeoPackageStore.create(tmp_path / "old.gpkg", None) as store:
        store.add_image(StoredImage(old, image_hash(town / "town.tif")))
        scenes = open_scenes([str(town / "town.tif")])
        assert [scene.key for scene in settled(scenes, store).values()] == [old]


def test_append_after_a_move_adds_to_the_same_image(town, tmp_path):
    shutil.move(town, tmp_path / "there")
    image = tmp_path / "there" / "town.tif"
    image = image.rename(tmp_path / "there" / "other.tif")
    run(SegmentJob(str(image), [(500020, 4650020)], out=str(tmp_path / "there" / "s.gpkg"), append=True))
    with GeoPackageStore.open(tmp_path / "there" / "s.gpkg") as store:
        assert {item.image for item in store.objects()} == {"town.tif"} and len(store.images()) == 1


def test_another_image_of_the_same_name_is_another_image(town, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    other = square(tmp_path / "far" / "away" / "town.tif", shift=200)
    with GeoPackageStore.open(town / "s.gpkg") as store:
        (scene,) = settled(open_scenes([str(other)]), store).values()
        assert scene.key != "town.tif" and scene.key.startswith("town.tif#") and store.objects(scene.key) == []


def test_names_and_hashes(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    cases = {"a/b/x.tif": "x.tif", "a/x.tif": "../x.tif", "x.tif": "x.tif", "a/b/c/x.tif": "c/x.tif"}
    assert {name: portable_name(tmp_path / name, tmp_path / "a" / "b") for name in cases} == cases
    images = [StoredImage("/old/x.tif", "0123456789abcdef0123"), StoredImage("y.tif", "")]
    assert known_as(images, "new.tif", "0123456789abcdef") == "/old/x.tif"
    assert known_as(images, "z/y.tif", "f" * 64) == "y.tif" and known_as(images, "z.tif", "f" * 64) is None
    assert known_as(images, "new.tif", "01234567") is None  # too short to say anything
    assert session_key(images, tmp_path / "a" / "b" / "n.tif", "e" * 64, None, tmp_path / "a" / "b") == "n.tif"


def test_an_exported_geopackage_is_a_session_for_its_image(town, tmp_path):
    from terraclick.exchange.export_session import export_session

    with GeoPackageStore.open(town / "s.gpkg") as store:
        export_session(store, town / "s.gpkg", tmp_path / "copy.gpkg")
    with GeoPackageStore.open(tmp_path / "copy.gpkg") as store:
        (scene,) = settled(open_scenes([str(town / "town.tif")]), store).values()
        (item,) = store.objects(scene.key)
        assert isinstance(item, MapObject) and store.clicks_of(item.uuid) and store.view_of(item.uuid) is not None
        assert find_image(store.images()[0], [town]).name == "town.tif"


def test_an_interrupted_run_over_a_session_leaves_both(town):
    from terraclick.errors import BadClick

    before = (town / "s.gpkg").read_bytes()
    (town / "points.csv").write_text("x,y\n500020,4650020\n900000,1\n")
    words = {"points": town / "points.csv", "out": str(town / "s.gpkg"), "overwrite": True}
    with pytest.raises(BadClick):
        run(SegmentJob(str(town / "town.tif"), **words))
    assert (town / "s.gpkg").read_bytes() == before
    for path in town.glob("*.unfinished*.gpkg"):  # what was answered before it, if anything was
        with GeoPackageStore.open(path) as store:
            assert len(store.objects()) == 1
    (town / "points.csv").write_text("x,y\n500020,4650020\n500021,4650021\n")
    run(SegmentJob(str(town / "town.tif"), **words))
    with GeoPackageStore.open(town / "s.gpkg") as store:
        assert len(store.objects()) == 2
    assert not list(town.glob(".terraclick-*"))
