"""The session on disk: what is acknowledged is there, and any GIS reads it."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import CRS
from shapely.geometry import GeometryCollection, MultiPolygon, Point, Polygon, box

from terraclick.errors import BadConfig, BadData, BadOutput, Conflict, NotGeoreferenced, UnknownName
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store
from terraclick.store.identity import image_hash
from terraclick.store.values import MapClass, StoredClick, StoredDraft, StoredImage, StoredReference, StoredView
from terraclick.values import Reference

UTM = CRS.from_epsg(32633)
SQUARE = box(500000, 4649700, 500030, 4649720)
HOLED = Polygon(SQUARE.exterior, [box(500010, 4649705, 500020, 4649715).exterior])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "town.gpkg"


@pytest.fixture
def store(path):
    with GeoPackageStore.create(path, UTM) as opened:
        yield opened


def integrity(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        db.close()


def test_an_object_comes_back_whole_after_reopening(path):
    clicks = (
        StoredClick(10.25, 20.5, 500001.5, 4649701.25),
        StoredClick(3, 4, 1, 2, False, "2026-01-01T00:00:00.000Z"),
    )
    view = StoredView("a.tif", (1.1, 2.2, 3.3, 4.4), 0.3, (1, 2, 3), ((0.0, 255.0), (1.5, 9.0)), (2, 3), (448, 640))
    with GeoPackageStore.create(path, UTM) as store:
        store.add_image(StoredImage("a.tif", "ff", UTM, (0.0, 1.0, 2.0, 3.0)))
        item = MapObject(geometry=HOLED, image="a.tif", class_name="building", score=0.75, model="terra", author="me")
        kept = store.add(item, clicks, view)
    with GeoPackageStore.open(path) as store:
        assert store.get(kept.uuid) == kept == replace(store.objects()[0])
        assert kept.geometry == MultiPolygon([HOLED]) and kept.n_clicks == 2 and kept.rev == 1
        assert store.clicks_of(kept.uuid) == (replace(clicks[0], time=kept.created), clicks[1])
        assert store.view_of(kept.uuid) == view
        assert store.images() == (StoredImage("a.tif", "ff", UTM, (0.0, 1.0, 2.0, 3.0)),)
        assert store.crs == UTM


def test_clock_and_uuid_can_be_given(path):
    numbers = count(1)
    clock = lambda: datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)  # noqa: E731
    with GeoPackageStore.create(path, UTM, clock, lambda: f"id-{next(numbers)}") as store:
        kept = store.add(MapObject(geometry=SQUARE))
    assert (kept.uuid, kept.created, kept.updated) == ("id-1", "2026-05-04T03:02:01.000Z", "2026-05-04T03:02:01.000Z")


def test_area_is_geodesic(store):
    kept = store.add(MapObject(geometry=HOLED))
    assert kept.area_m2 == pytest.approx(500 / 0.9996**2, rel=1e-5)
    assert kept.perimeter_m == pytest.approx(140 / 0.9996, rel=1e-5)


def test_other_programs_read_it(path):
    pyogrio = pytest.importorskip("pyogrio")
    label = "Ö'Brien \"'); DROP TABLE objects;-- 家 🏠"
    with GeoPackageStore.create(path, UTM) as store:
        store.add(MapObject(geometry=HOLED, label=label, class_name="house"))
        store.add(MapObject(geometry=SQUARE))
    info = pyogrio.read_info(path, layer="objects")
    names = "uuid image class label target score area_m2 perimeter_m n_clicks model model_hash status author rev"
    assert list(info["fields"]) == [*names.split(), "created", "updated", "attributes"]
    assert info["features"] == 2 and CRS.from_user_input(info["crs"]) == UTM and info["geometry_type"] == "MultiPolygon"
    assert info["fid_column"] == "fid" and tuple(info["total_bounds"]) == SQUARE.bounds
    _, _, geometry, fields = pyogrio.raw.read(path, layer="objects")
    assert shapely.from_wkb(geometry[0]) == MultiPolygon([HOLED]) and fields[3][0] == label
    assert {name for name, _ in pyogrio.list_layers(path)} >= {"objects", "clicks", "views", "classes", "references"}
    assert integrity(path) == "ok" and list(path.parent.iterdir()) == [path]


def test_a_custom_crs_survives(tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    local = CRS.from_proj4("+proj=tmerc +lat_0=47.1 +lon_0=15.3 +k=1 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m")
    with GeoPackageStore.create(tmp_path / "local.gpkg", local) as store:
        store.add(MapObject(geometry=box(0, 0, 1, 1)))
    with GeoPackageStore.open(tmp_path / "local.gpkg") as store:
        assert store.crs.equals(local)
    assert "47.1" in pyogrio.read_info(tmp_path / "local.gpkg", layer="objects")["crs"]


def test_the_spatial_index_is_used_and_kept(store, path):
    kept = [store.add(MapObject(geometry=shapely.affinity.translate(SQUARE, 100 * i))) for i in range(20)]
    near = (500205.0, 4649700.0, 500301.0, 4649701.0)
    assert [item.uuid for item in store.objects(bbox=near)] == [kept[2].uuid, kept[3].uuid]
    store.update(replace(kept[2], geometry=shapely.affinity.translate(SQUARE, 5000)))
    store.delete(kept[3].uuid)
    assert store.objects(bbox=near) == []
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM rtree_objects_geom").fetchone() == (19,)
    assert db.execute("SELECT max_x FROM gpkg_contents WHERE table_name = 'objects'").fetchone()[0] == 505030
    db.close()


def test_filters(store):
    store.add_image(StoredImage("a.tif", "", UTM))
    one = store.add(MapObject(geometry=SQUARE, image="a.tif", class_name="road"))
    two = store.add(MapObject(geometry=SQUARE, class_name="road", status="proposed"))
    assert store.objects(image="a.tif") == [one]
    assert store.objects(class_name="road") == [one, two]
    assert store.objects(class_name="road", status="proposed") == [two]


def test_a_stale_save_is_a_conflict_with_both_versions(store):
    first = store.add(MapObject(geometry=SQUARE))
    second = store.update(replace(first, label="theirs"))
    assert (second.rev, second.label, second.created) == (2, "theirs", first.created)
    with pytest.raises(Conflict) as caught:
        store.update(replace(first, label="mine"))
    assert caught.value.mine.label == "mine" and caught.value.theirs == second
    store.delete(first.uuid)
    with pytest.raises(Conflict) as caught:
        store.update(second)
    assert caught.value.theirs is None and store.clicks_of(first.uuid) == ()


def test_update_replaces_clicks_and_view_only_when_given(store):
    kept = store.add(MapObject(geometry=SQUARE), [StoredClick(1, 2, 3, 4)], StoredView("a.tif"))
    kept = store.update(replace(kept, label="x"))
    assert len(store.clicks_of(kept.uuid)) == 1 and store.view_of(kept.uuid) == StoredView("a.tif")
    store.update(kept, [StoredClick(1, 2, 3, 4), StoredClick(5, 6, 7, 8, False)], StoredView("b.tif"))
    assert len(store.clicks_of(kept.uuid)) == 2 and store.view_of(kept.uuid).image == "b.tif"


def test_a_change_from_outside_is_noticed(store, path):
    pyogrio = pytest.importorskip("pyogrio")
    kept = store.add(MapObject(geometry=SQUARE))
    store.close()
    wkb = np.array([shapely.to_wkb(MultiPolygon([SQUARE]))], dtype=object)
    pyogrio.raw.write(
        path,
        wkb,
        [np.array(["drawn"], dtype=object)],
        ["label"],
        crs="EPSG:32633",
        layer="objects",
        append=True,
        geometry_type="MultiPolygon",
    )
    with open_store(path) as again:
        drawn = again.objects()[1]
        assert drawn.label == "drawn" and drawn.uuid and drawn.rev == 1 and drawn.area_m2 == pytest.approx(kept.area_m2)
        again._db.execute("UPDATE objects SET geom = (SELECT geom FROM objects WHERE fid = 2) WHERE fid = 1")
        with pytest.raises(Conflict):
            again.update(kept)
        assert again.get(kept.uuid).rev == 2 and again.get(kept.uuid).area_m2 == pytest.approx(
            600 / 0.9996**2, rel=1e-5
        )


def test_images_in_another_crs_are_reprojected(store):
    store.add_image(StoredImage("web.tif", "", CRS.from_epsg(3857)))
    web = shapely.transform(SQUARE, lambda xy: np.array(transform(UTM, 3857, xy)))
    kept = store.add(MapObject(geometry=web, image="web.tif"))
    assert np.abs(shapely.get_coordinates(kept.geometry) - shapely.get_coordinates(SQUARE)).max() < 1e-6
    degrees = shapely.transform(SQUARE, lambda xy: np.array(transform(UTM, 4326, xy)))
    moved = store.update(kept, crs=None)
    assert moved.geometry == kept.geometry
    assert store.add(MapObject(geometry=degrees), crs=CRS.from_epsg(4326)).geometry.equals_exact(kept.geometry, 1e-6)


def transform(source, target, xy):
    from pyproj import Transformer

    x, y = Transformer.from_crs(source, target, always_xy=True).transform(xy[:, 0], xy[:, 1])
    return np.column_stack([x, y])


def test_pixels_and_map_coordinates_do_not_mix(store, tmp_path):
    with pytest.raises(NotGeoreferenced, match="has no coordinate system"):
        store.add_image(StoredImage("plain.png"))
    with GeoPackageStore.create(tmp_path / "pixels.gpkg", None) as pixels:
        pixels.add_image(StoredImage("plain.png"))
        pixels.add_image(StoredImage("other.png"))
        kept = pixels.add(MapObject(geometry=box(0, 0, 4, 5), image="other.png"))
        assert kept.area_m2 is None and pixels.crs is None
        with pytest.raises(NotGeoreferenced, match="pixel coordinates"):
            pixels.add_image(StoredImage("a.tif", "", UTM))


def test_classes_and_references(store):
    roof = MapClass("roof", "#ff0000", "1", "discrete", {"floors": "integer"})
    store.set_class(roof)
    store.set_class(MapClass("grass", kind="coverage"))
    store.set_class(replace(roof, colour="#00ff00"))
    assert store.classes() == (replace(roof, colour="#00ff00"), MapClass("grass", kind="coverage"))
    rng = np.random.default_rng(0)
    crop, mask = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), rng.random((9, 7)) > 0.5
    store.add_reference(StoredReference("roof", Reference(crop, mask, False)))
    (found,) = store.references("roof")
    assert (found.reference.image == crop).all() and (found.reference.mask == mask).all()
    assert not found.reference.positive and store.references("grass") == () and len(store.references()) == 1


def test_many_at_once_are_all_or_none(store):
    good = (MapObject(geometry=SQUARE), (), None)
    assert len(store.add_many([good] * 50)) == 50
    with pytest.raises(BadData):
        store.add_many([good, (MapObject(geometry=Point()), (), None)])
    assert len(store.objects()) == 50


def test_backup(store, tmp_path):
    kept = store.add(MapObject(geometry=SQUARE))
    store.backup(tmp_path / "copy.gpkg")
    with GeoPackageStore.open(tmp_path / "copy.gpkg") as copy:
        assert copy.objects() == [kept]
    with pytest.raises(BadOutput, match="already exists"):
        store.backup(tmp_path / "copy.gpkg")


@pytest.mark.parametrize(
    "geometry",
    [GeometryCollection([Point(0, 0)]), Polygon(), Polygon([(0, 0), (1, float("inf")), (2, 0)])],
    ids=["collection", "empty", "not a number"],
)
def test_only_shapes_are_kept(store, geometry):
    with pytest.raises(BadData):
        store.add(MapObject(geometry=geometry))


def test_wrong_names(store):
    with pytest.raises(UnknownName, match="no image"):
        store.add(MapObject(geometry=SQUARE, image="nowhere.tif"))
    for call in (store.get, store.delete):
        with pytest.raises(UnknownName, match="no object"):
            call("nobody")
    with pytest.raises(Conflict):
        store.add(store.add(MapObject(geometry=SQUARE)))
    with pytest.raises(BadConfig):
        MapClass("x", kind="other")


def test_files_that_are_no_session(tmp_path, path):
    with pytest.raises(BadData, match="does not exist"):
        GeoPackageStore.open(path)
    path.write_bytes(b"not a database at all")
    with pytest.raises(BadData, match="not a GeoPackage"):
        GeoPackageStore.open(path)
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    with pytest.raises(BadData):
        GeoPackageStore.open(path)
    foreign = sqlite3.connect(tmp_path / "foreign.gpkg")
    foreign.execute("CREATE TABLE meta (x)")
    foreign.close()
    with pytest.raises(BadData, match="not a session made by TerraClick"):
        GeoPackageStore.open(tmp_path / "foreign.gpkg")
    with pytest.raises(BadOutput, match="folder"):
        GeoPackageStore.create(tmp_path / "no" / "where.gpkg", UTM)


def test_a_truncated_or_scribbled_session(path):
    with GeoPackageStore.create(path, UTM) as store:
        store.add_many([(MapObject(geometry=SQUARE, label="x" * 200), (), None)] * 200)
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 3], whole[:20000] + os.urandom(40000) + whole[60000:]):
        path.write_bytes(damage)
        with pytest.raises(BadData), GeoPackageStore.open(path) as store:
            store.objects(bbox=SQUARE.bounds)
            store.objects()


def test_a_newer_session_is_refused(store, path):
    store._db.execute("UPDATE meta SET value = '99'")
    store.close()
    with pytest.raises(BadData, match="newer"):
        GeoPackageStore.open(path)
    with pytest.raises(BadConfig, match="closed"):
        store.objects()
    with pytest.raises(BadOutput, match="already exists"):
        GeoPackageStore.create(path, UTM)


def test_threads_and_connections_write_at_once(store, path):
    def work():
        with GeoPackageStore.open(path) as other:
            for _ in range(15):
                other.add(MapObject(geometry=SQUARE))
                store.add(MapObject(geometry=SQUARE))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.objects()) == 90
    store.close()
    assert integrity(path) == "ok"


def test_image_hash_sees_both_ends(tmp_path):
    file = tmp_path / "image.bin"
    hashes = set()
    for start, end in ((b"a", b"b"), (b"x", b"b"), (b"a", b"y")):
        file.write_bytes(start + bytes(3 << 20) + end)
        hashes.add(image_hash(file))
    assert len(hashes) == 3
    with pytest.raises(BadData):
        image_hash(tmp_path / "nowhere")


WRITER = """
import sys
from shapely.geometry import box
from pyproj import CRS
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store
from terraclick.store.values import StoredClick, StoredView

store = open_store(sys.argv[1], CRS.from_epsg(32633))
for i in range(100000):
    view = StoredView("a.tif", (0.0, 1.0, 2.0, 3.0), 0.3)
    item = MapObject(geometry=box(500000 + i, 4649700, 500010 + i, 4649710), label=f"n{i}")
    print(store.add(item, [StoredClick(1, 2, 3, 4)], view).uuid, flush=True)
"""


def kill_and_look(path: Path, acknowledged: set[str], number: int) -> None:
    """Let a writer run, kill it the hard way, and check that everything it acknowledged is there."""
    pyogrio = pytest.importorskip("pyogrio")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    for _ in range(number):
        acknowledged.add(writer.stdout.readline().strip())
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged |= {
        line.strip() for line in writer.communicate()[0].splitlines() if line.endswith("\n") or len(line) == 36
    }
    assert pyogrio.read_info(path, layer="objects", force_feature_count=True)["features"] >= len(acknowledged)
    with GeoPackageStore.open(path) as store:
        found = {item.uuid for item in store.objects()}
        assert acknowledged <= found and len(found) <= len(acknowledged) + 20
        assert all(len(store.clicks_of(uuid)) == 1 and store.view_of(uuid) is not None for uuid in found)
    assert integrity(path) == "ok"


def test_kill_twice(path):
    acknowledged: set[str] = set()
    for number in (7, 23):
        kill_and_look(path, acknowledged, number)


@pytest.mark.slow
def test_kill_twenty_times(path):
    acknowledged: set[str] = set()
    for number in range(1, 60, 3):
        kill_and_look(path, acknowledged, number)
    assert len(acknowledged) >= sum(range(1, 60, 3))


def test_attributes_drafts_and_classes_survive(tmp_path):
    with GeoPackageStore.create(tmp_path / "s.gpkg", UTM) as store:
        store.set_class(MapClass("house"))
        kept = store.add(MapObject(geometry=SQUARE, class_name="house", attributes={"roof": "flat"}))
        store.save_draft(StoredDraft("d", "anna", "a.tif", {"acts": [1]}))
        store.save_draft(StoredDraft("d", "anna", "a.tif", {"acts": [1, 2]}))
        store.rename_class("house", "barn")
        with pytest.raises(UnknownName):
            store.delete_class("house")
    with GeoPackageStore.open(tmp_path / "s.gpkg") as store:
        found = store.get(kept.uuid)
        assert (found.attributes, found.class_name, found.rev) == ({"roof": "flat"}, "barn", 2)
        assert [draft.content for draft in store.drafts()] == [{"acts": [1, 2]}]
        store.delete_draft("d")
        store.delete_class("barn")
        assert store.drafts() == () == store.classes()


def test_a_transaction_keeps_all_or_nothing(tmp_path):
    with GeoPackageStore.create(tmp_path / "s.gpkg", UTM) as store:
        kept = store.add(MapObject(geometry=SQUARE))
        with pytest.raises(UnknownName), store.transaction():
            store.add(MapObject(geometry=SQUARE))
            store.delete(kept.uuid)
            store.delete("nobody")
        assert [item.uuid for item in store.objects()] == [kept.uuid]
        store.delete(kept.uuid)
        assert store.add(kept).rev == 2  # back again, but newer than any copy of it


def test_a_file_of_an_earlier_release_gets_what_it_lacks(tmp_path):
    GeoPackageStore.create(tmp_path / "s.gpkg", UTM).close()
    with sqlite3.connect(tmp_path / "s.gpkg") as db:
        db.execute("DROP TABLE drafts")
        db.execute("DELETE FROM gpkg_contents WHERE table_name = 'drafts'")
        db.execute("ALTER TABLE objects DROP COLUMN attributes")
    db.close()
    with GeoPackageStore.open(tmp_path / "s.gpkg") as store:
        assert store.add(MapObject(geometry=SQUARE, attributes={"a": 1})).attributes == {"a": 1}
        assert store.drafts() == ()
