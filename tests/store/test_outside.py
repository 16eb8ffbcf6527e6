"""What other programs leave in a session: bad rows are set aside and named, new ones adopted, areas right."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import shapely
from pyproj import CRS

from terraclick.errors import BadOutput
from terraclick.geo.measure import area_m2
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store
from terraclick.store.presence import FileGone
from terraclick.store.shapes import encode_geometry
from terraclick.store.sqlite_file import connect
from terraclick.store.values import MapClass, StoredClick, StoredImage, StoredView

UTM = CRS.from_epsg(32633)
SQUARE = shapely.box(500_000, 4_649_900, 500_010, 4_649_910)


def square(x=0.0, y=0.0, side=10.0):
    return shapely.box(500_000 + x, 4_649_900 + y, 500_000 + x + side, 4_649_900 + y + side)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "work.gpkg", UTM) as store:
        store.add_image(StoredImage("town.tif", "h", UTM, (499_000, 4_649_000, 501_000, 4_651_000)))
        yield store


def elsewhere(store, statement, *values):
    """Another program's change of the file."""
    other = connect(store.path)
    other.execute(statement, values)
    other.close()


def poison(store, **columns):
    """A row as another program may write it; gives its uuid."""
    row = {"uuid": "bad", "geom": encode_geometry(SQUARE, 32633), "rev": 1, "image": "town.tif"} | columns
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    elsewhere(store, f"INSERT INTO objects ({names}) VALUES ({marks})", *row.values())
    return row["uuid"]


def blob_of(geometry):
    return b"GP" + bytes([0, 1]) + (32633).to_bytes(4, "little") + shapely.to_wkb(geometry, byte_order=1)


DEEP = "[" * 5000 + "]" * 5000
BAD_ROWS = {
    "collapsed polygon": {
        "geom": blob_of(shapely.Polygon([(500_000, 4_649_900), (500_001, 4_649_900), (500_000, 4_649_900)]))
    },
    "empty polygon": {"geom": blob_of(shapely.MultiPolygon())},
    "line of no length": {"geom": blob_of(shapely.LineString([(500_000, 4_649_900), (500_000, 4_649_900)]))},
    "collection": {"geom": blob_of(shapely.GeometryCollection([shapely.Point(500_000, 4_649_900)]))},
    "far away": {"geom": blob_of(shapely.box(1e9, 1e9, 1e9 + 10, 1e9 + 10))},
    "farther": {"geom": blob_of(shapely.box(-1e300, 0, 1e300, 10))},
    "not finite": {"geom": blob_of(shapely.box(500_000, 4_649_900, np.inf, 4_649_910))},
    "no geometry": {"geom": None},
    "geometry of bytes": {"geom": b"GP nothing at all"},
    "short geometry": {"geom": b"G"},
    "geometry of text": {"geom": "POLYGON EMPTY"},
    "geometry of a number": {"geom": 5},
    "geometry of a fraction": {"geom": 2.5},
    "geometry of another kind": {"geom": b"GP" + bytes([0, 1]) + bytes(4) + bytes.fromhex("011000000000000000")},
    "more rings than bytes": {"geom": b"GP" + bytes([0, 1]) + bytes(4) + bytes.fromhex("0106000000ffffff7f")},
    "blob in class": {"class": b"\xff\xfe"},
    "blob in label": {"label": b"house"},
    "blob in status": {"status": b"\0\1"},
    "blob in image": {"image": b"town.tif"},
    "blob in author": {"author": b"\xff"},
    "blob in uuid": {"uuid": b"\xff\xfe"},
    "slash in uuid": {"uuid": "../../etc/passwd"},
    "long uuid": {"uuid": "u" * 1000},
    "NaN in attributes": {"attributes": '{"a": NaN}'},
    "infinity in attributes": {"attributes": '{"a": 1e999}'},
    "deep attributes": {"attributes": '{"a": ' + DEEP + "}"},
    "long attributes": {"attributes": json.dumps({"a": "x" * (1 << 20)})},
    "attributes no object": {"attributes": "[1, 2]"},
    "attributes no JSON": {"attributes": "flat roof"},
    "half a letter in attributes": {"attributes": '{"a": "\\ud800"}'},
    "huge number in attributes": {"attributes": '{"a": ' + "9" * 5000 + "}"},
    "revision of text": {"rev": "first"},
    "negative revision": {"rev": -5},
    "clicks of text": {"n_clicks": "many"},
}


def test_a_tangle_is_set_aside_at_once(store):
    good = store.add(MapObject(geometry=square(50), image="town.tif", class_name="house"))
    points = np.random.default_rng(0).random((2000, 2)) * 50 + (500_000, 4_649_900)
    poison(store, geom=blob_of(shapely.Polygon(points)))
    begun = time.perf_counter()
    with GeoPackageStore.open(store.path) as seen:
        assert [item.uuid for item in seen.objects()] == [good.uuid]
        (row,) = seen.set_aside()
        assert "crosses itself" in row.reason
    assert time.perf_counter() - begun < 20


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_set_aside_named_and_counted_and_the_rest_served(store, kind):
    good = store.add(MapObject(geometry=square(50), image="town.tif", class_name="house"))
    poison(store, **BAD_ROWS[kind])
    for running in (store, None):
        with running or GeoPackageStore.open(store.path) as seen:  # also after a restart
            assert [item.uuid for item in seen.objects()] == [good.uuid], kind
            assert seen.tally() == [("town.tif", "house", "accepted", 1)]
            (row,) = seen.set_aside()
            assert row.table == "objects" and 5 < len(row.reason) < 200 and row.reason.isprintable()
            assert seen.get(good.uuid).uuid == good.uuid
            seen.update(MapObject(**(vars(seen.get(good.uuid)) | {"label": "still works"})))


def test_text_that_is_no_utf8(store):
    good = store.add(MapObject(geometry=square(50), class_name="house"))
    poison(store)
    elsewhere(store, "UPDATE objects SET class = CAST(x'fffe41' AS TEXT) WHERE uuid = 'bad'")
    assert [item.uuid for item in store.objects()] == [good.uuid]
    assert [name for _, name, _, _ in store.tally()] == ["house"] and len(store.set_aside()) == 1


def test_a_row_that_was_repaired_elsewhere_comes_back(store):
    poison(store, attributes="flat roof")
    assert store.objects() == [] and len(store.set_aside()) == 1
    elsewhere(store, "UPDATE objects SET attributes = '{}' WHERE uuid = 'bad'")
    assert [item.uuid for item in store.objects()] == ["bad"] and store.set_aside() == ()


def test_a_polygon_that_crosses_itself_is_repaired_when_read(store):
    bow = shapely.Polygon([(500_000, 4_649_900), (500_040, 4_649_940), (500_040, 4_649_900), (500_000, 4_649_940)])
    poison(store, geom=blob_of(bow))
    (item,) = store.objects()
    assert item.geometry.is_valid and item.geometry.area == pytest.approx(800)
    assert item.area_m2 == pytest.approx(800, rel=2e-3)
    assert store.get("bad").geometry.is_valid


CLASSES = {
    "only a name": ({"name": "road"}, "road"),
    "unknown kind": ({"name": "road", "kind": "line"}, "road"),
    "blob kind": ({"name": "road", "kind": b"\0"}, "road"),
    "schema no JSON": ({"name": "road", "schema": "{"}, "road"),
    "schema a list": ({"name": "road", "schema": "[1]"}, "road"),
    "schema deep": ({"name": "road", "schema": '{"a": ' + DEEP + "}"}, "road"),
    "schema NaN": ({"name": "road", "schema": '{"a": NaN}'}, "road"),
    "colour of words": ({"name": "road", "colour": "red"}, "road"),
    "colour a blob": ({"name": "road", "colour": b"\xff"}, "road"),
    "key of two": ({"name": "road", "key": "ab"}, "road"),
    "name a blob": ({"name": b"road"}, None),
    "name empty": ({"name": ""}, None),
    "name with a line": ({"name": "a\nb"}, None),
    "name long": ({"name": "n" * 500}, None),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_of_other_programs(store, kind):
    row, expected = CLASSES[kind]
    store.set_class(MapClass("house", "#ff0000"))
    names = ", ".join(f'"{name}"' for name in row)
    elsewhere(store, f"INSERT INTO classes ({names}) VALUES ({', '.join('?' * len(row))})", *row.values())
    found = store.classes()
    assert [item.name for item in found] == ["house", *([expected] if expected else [])]
    assert all(item.kind in ("discrete", "coverage") and len(item.colour) == 7 for item in found)
    assert store.classes() == found
    assert len(store.set_aside()) == (0 if kind in ("only a name", "key of two") else 1)


def test_other_tables_hold_too(store):
    item = store.add(MapObject(geometry=square()), [StoredClick(1, 2, 3, 4)], StoredView("town.tif", (0, 0, 1, 1)))
    elsewhere(store, "UPDATE clicks SET x = 'here'")
    elsewhere(store, "UPDATE views SET stretch = 'NaN{'")
    elsewhere(store, "UPDATE images SET crs = '+proj=pipeline +step +proj=noop', hash = x'ff'")
    elsewhere(store, "INSERT INTO drafts (uuid, author, image, content) VALUES (x'00', 'a', 'b', '{}')")
    elsewhere(
        store,
        'INSERT INTO "references" (uuid, class, positive, crop, mask) VALUES (?, ?, 1, ?, ?)',
        "r",
        "house",
        b"x",
        "y",
    )
    assert store.clicks_of(item.uuid) == () and store.view_of(item.uuid) is None and store.images() == ()
    assert store.drafts() == () and store.references() == ()
    assert {row.table for row in store.set_aside()} == {"views", "images", "drafts", "references"}


# --- adopted while it is open ----------------------------------------------------------------------------------------


def test_an_object_drawn_elsewhere_is_adopted_at_once(store):
    elsewhere(store, "INSERT INTO objects (geom, class) VALUES (?, 'road')", encode_geometry(square(), 32633))
    (item,) = store.objects(image="town.tif")
    assert item.uuid and item.rev >= 1 and item.class_name == "road" and item.status == "accepted" and item.created
    assert item.area_m2 == pytest.approx(100, rel=2e-3)
    happened = store.look()
    assert happened.changed == (item.uuid,) and happened.deleted == ()
    assert store.look() is None
    with sqlite3.connect(store.path) as db:  # and everybody else sees what it was given
        assert db.execute("SELECT uuid, image, area_m2 FROM objects").fetchone() == (
            item.uuid,
            "town.tif",
            item.area_m2,
        )


def test_it_is_given_the_image_that_holds_most_of_it(store):
    store.add_image(StoredImage("east.tif", "h", UTM, (501_000, 4_649_000, 502_000, 4_651_000)))
    degrees = CRS.from_epsg(4326)
    store.add_image(StoredImage("far.tif", "h", degrees, (20.0, 41.9, 20.1, 42.1)))
    places = {"town.tif": 994, "east.tif": 997, None: 30_000}
    for x in places.values():
        elsewhere(store, "INSERT INTO objects (geom, label) VALUES (?, ?)", encode_geometry(square(x), 32633), str(x))
    found = {item.label: item.image for item in store.objects()}
    assert found == {"994": "town.tif", "997": "east.tif", "30000": ""}
    store.add_image(StoredImage("later.tif", "h", UTM, (529_000, 4_649_000, 531_000, 4_651_000)))
    assert [item.label for item in store.objects(image="later.tif")] == ["30000"]


def test_in_pixels_the_only_image_is_taken(tmp_path):
    with open_store(tmp_path / "pixels.gpkg", None) as store:
        store.add_image(StoredImage("photo.png", "h"))
        elsewhere(store, "INSERT INTO objects (geom) VALUES (?)", encode_geometry(shapely.box(1, 1, 9, 9), -1))
        (item,) = store.objects(image="photo.png")
        assert item.uuid and item.area_m2 is None
        rev = item.rev
        assert store.look() is not None and store.look() is None and store.get(item.uuid).rev == rev


def split_as_qgis_does(store, uuid, left, right):
    """The old row gets one part, a new row the other, with all attributes but the unique ones copied."""
    other = connect(store.path)
    other.execute("BEGIN")
    names = "image, class, label, target, score, area_m2, perimeter_m, n_clicks, model, status, author, rev, created"
    other.execute(
        f"INSERT INTO objects (geom, {names}) SELECT ?, {names} FROM objects WHERE uuid = ?",
        (encode_geometry(right, 32633), uuid),
    )
    other.execute("UPDATE objects SET geom = ? WHERE uuid = ?", (encode_geometry(left, 32633), uuid))
    other.execute("COMMIT")
    other.close()


@pytest.mark.parametrize("running", [True, False])
def test_areas_after_a_split_elsewhere(store, running):
    item = store.add(MapObject(geometry=square(), image="town.tif"))
    if not running:
        store.close()
    left, right = (
        shapely.box(500_000, 4_649_900, 500_004, 4_649_910),
        shapely.box(500_004, 4_649_900, 500_010, 4_649_910),
    )
    split_as_qgis_does(store, item.uuid, left, right)
    if not running:  # what QGIS shows until TerraClick looks again is nothing, rather than something wrong
        with sqlite3.connect(store.path) as db:
            assert db.execute("SELECT area_m2, perimeter_m FROM objects").fetchall() == [(None, None)] * 2
    with store if running else GeoPackageStore.open(store.path) as seen:
        assert [round(one.area_m2) for one in seen.objects()] == [40, 60]
        assert [one.image for one in seen.objects()] == ["town.tif"] * 2
        with sqlite3.connect(seen.path) as db:
            stored = [round(area) for (area,) in db.execute("SELECT area_m2 FROM objects ORDER BY fid")]
        assert stored == [40, 60]


def test_an_edit_of_attributes_alone_keeps_the_area(store):
    item = store.add(MapObject(geometry=square(), image="town.tif"))
    ours = sqlite3.connect(store.path).execute("SELECT geom FROM objects").fetchone()[0]
    elsewhere(store, "UPDATE objects SET geom = ?, label = 'seen', area_m2 = ?", ours, item.area_m2)
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT area_m2 FROM objects").fetchone()[0] == item.area_m2
    found = store.get(item.uuid)
    assert (found.label, found.area_m2, found.rev) == ("seen", item.area_m2, 2)


@pytest.mark.parametrize("other_bytes", [True, False])
def test_an_area_written_by_hand_is_measured_again(store, other_bytes):
    item = store.add(MapObject(geometry=square(), image="town.tif"))
    if other_bytes:
        elsewhere(store, "UPDATE objects SET geom = ?", blob_of(shapely.MultiPolygon([square()])))
    else:
        elsewhere(store, "UPDATE objects SET area_m2 = 5, perimeter_m = 7")
    assert store.get(item.uuid).area_m2 == pytest.approx(area_m2(square(), UTM))
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT area_m2 FROM objects").fetchone()[0] == pytest.approx(area_m2(square(), UTM))


def test_a_move_elsewhere_changes_revision_and_area(store):
    item = store.add(MapObject(geometry=square(), image="town.tif"))
    elsewhere(store, "UPDATE objects SET geom = ?", encode_geometry(square(side=20), 32633))
    found = store.get(item.uuid)
    assert found.rev > item.rev and found.area_m2 == pytest.approx(400, rel=2e-3)


def test_a_deletion_elsewhere_leaves_no_orphans(store):
    item = store.add(MapObject(geometry=square()), [StoredClick(1, 2, 3, 4)], StoredView("town.tif"))
    elsewhere(store, "DELETE FROM objects")
    assert store.look().deleted == (item.uuid,)
    with sqlite3.connect(store.path) as db:
        assert [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("clicks", "views")] == [0, 0]


def test_a_file_of_an_earlier_release_notices_too(store, tmp_path):
    item = store.add(MapObject(geometry=square()))
    store.close()
    with sqlite3.connect(store.path) as db:
        for name in ("objects_touched", "objects_drawn", "objects_gone"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute(
            "CREATE TRIGGER objects_reshaped AFTER UPDATE OF geom ON objects WHEN NEW.rev IS OLD.rev BEGIN "
            "UPDATE objects SET area_m2 = NULL WHERE fid = NEW.fid; END"
        )
    with GeoPackageStore.open(store.path) as again:
        elsewhere(again, "UPDATE objects SET label = 'x', geom = geom")
        found = again.get(item.uuid)
        assert (found.rev, found.area_m2) == (2, item.area_m2)
        with sqlite3.connect(store.path) as db:
            names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        assert "objects_reshaped" not in names and {"objects_touched", "objects_drawn", "objects_gone"} <= names


def test_a_program_that_holds_the_file_delays_adoption_not_reading(store):
    good = store.add(MapObject(geometry=square(50), image="town.tif"))
    elsewhere(store, "INSERT INTO objects (geom) VALUES (?)", encode_geometry(square(), 32633))
    other = connect(store.path)
    other.execute("BEGIN IMMEDIATE")
    begun = time.perf_counter()
    assert [item.uuid for item in store.objects()] == [good.uuid]
    assert time.perf_counter() - begun < 5
    other.execute("COMMIT")
    other.close()
    store.look()
    assert len(store.objects(image="town.tif")) == 2


def test_looking_costs_little(store):
    store.add_many([(MapObject(geometry=square(i), image="town.tif"), (), None) for i in range(300)])
    begun = time.perf_counter()
    for _ in range(200):
        store.look()
    assert time.perf_counter() - begun < 0.5


# --- the file under a running program --------------------------------------------------------------------------------


def lose(path, how, tmp_path):
    if how == "deleted":
        path.unlink()
    elif how == "moved":
        (tmp_path / "elsewhere").mkdir()
        path.rename(tmp_path / "elsewhere" / "moved.gpkg")
    elif how == "folder moved":
        path.parent.rename(tmp_path / "gone")
    elif how == "replaced":
        shutil.copy(path, path.with_name("copy.gpkg"))
        os.replace(path.with_name("copy.gpkg"), path)


@pytest.mark.parametrize("how", ["deleted", "moved", "folder moved", "replaced"])
def test_a_lost_file_is_noticed_before_a_write_is_acknowledged(tmp_path, how):
    folder = tmp_path / "session"
    folder.mkdir()
    store = open_store(folder / "work.gpkg", UTM)
    kept = store.add(MapObject(geometry=square()))
    lose(store.path, how, tmp_path)
    for _ in range(2):
        with pytest.raises(FileGone) as told:
            store.add(MapObject(geometry=square(50)))
        assert "work.gpkg" in str(told.value) and str(tmp_path) not in str(told.value)
    assert [item.uuid for item in store.objects()] == [kept.uuid]  # it can still be read, and exported
    store.close()
    if how == "moved":
        with GeoPackageStore.open(tmp_path / "elsewhere" / "moved.gpkg") as moved:
            assert [item.uuid for item in moved.objects()] == [kept.uuid]
    if how != "folder moved":
        with GeoPackageStore.open(folder / "work.rescued.gpkg") as rescued:
            assert [item.uuid for item in rescued.objects()] == [kept.uuid]
    assert issubclass(FileGone, BadOutput)


OVERWRITTEN = {
    "emptied": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "scribbled over": lambda data: bytes(range(256)) * 900,
    "half a page": lambda data: data[:100],
}


@pytest.mark.parametrize("how", OVERWRITTEN)
def test_a_file_that_is_overwritten_in_place_is_noticed_and_left_as_it_is(tmp_path, how):
    store = open_store(tmp_path / "work.gpkg", UTM)
    kept = store.add(MapObject(geometry=square()))
    store.settle()
    with open(store.path, "r+b") as file:  # the same file, as cp and cloud folders write it
        data = OVERWRITTEN[how](file.read())
        file.seek(0)
        file.write(data)
        file.truncate()
    for _ in range(2):
        with pytest.raises(FileGone, match="overwritten by another program"):
            store.add(MapObject(geometry=square(50)))
    assert [item.uuid for item in store.objects()] == [kept.uuid]
    store.close()
    assert (tmp_path / "work.gpkg").read_bytes() == data
    for rescued in tmp_path.glob("*rescued*"):
        with GeoPackageStore.open(rescued) as found:
            assert [item.uuid for item in found.objects()] == [kept.uuid]


def test_other_programs_that_write_by_way_of_sqlite_are_no_fault(tmp_path):
    store = open_store(tmp_path / "work.gpkg", UTM)
    kept = store.add(MapObject(geometry=square()))
    for label in ("a", "b"):
        with closing(sqlite3.connect(store.path)) as db, db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with GeoPackageStore.open(store.path) as other:
            other.update(replace(other.get(kept.uuid), label=label))
            other.settle()
        store.add(MapObject(geometry=square(50)))
    assert store.get(kept.uuid).label == "b" and len(store.objects()) == 3
    store.close()


def test_it_is_noticed_at_the_end_of_a_change_too(tmp_path):
    store = open_store(tmp_path / "work.gpkg", UTM)
    with pytest.raises(FileGone), store.transaction():
        store.add(MapObject(geometry=square()))
        store.path.unlink()
    store.close()
    with GeoPackageStore.open(tmp_path / "work.rescued.gpkg") as rescued:
        assert len(rescued.objects()) == 1  # and what was in it is kept


def test_a_log_that_was_taken_away_costs_nothing(tmp_path):
    store = open_store(tmp_path / "work.gpkg", UTM)
    first = store.add(MapObject(geometry=square()))
    (tmp_path / "work.gpkg-wal").unlink()
    second = store.add(MapObject(geometry=square(50)))
    shutil.copytree(tmp_path, tmp_path / "crash", ignore=shutil.ignore_patterns("crash"))  # as a crash leaves it
    with GeoPackageStore.open(tmp_path / "crash" / "work.gpkg") as again:
        assert [item.uuid for item in again.objects()] == [first.uuid, second.uuid]
    store.close()


def test_a_settled_file_is_whole_by_itself(tmp_path):
    store = open_store(tmp_path / "work.gpkg", UTM)
    kept = store.add(MapObject(geometry=square()))
    store.settle()
    shutil.copy(store.path, tmp_path / "copy.gpkg")
    with GeoPackageStore.open(tmp_path / "copy.gpkg") as copy:
        assert [item.uuid for item in copy.objects()] == [kept.uuid]
    store.close()
