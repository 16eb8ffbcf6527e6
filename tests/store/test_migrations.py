"""Sessions of earlier releases, and with what other programs left, are opened, brought up to date and kept."""

import sqlite3

import pytest
from pyproj import CRS
from shapely.geometry import box

from terraclick.exchange.export_session import export_session
from terraclick.store.fields import COLUMNS, FIELDS, MapObject, declared, object_of, record, values_of
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.migrations import GEOPACKAGE, POSTGIS
from terraclick.store.values import LARGEST_NUMBER, MapClass, StoredImage

UTM = CRS.from_epsg(32633)


def kept(path):
    with GeoPackageStore.create(path, UTM) as store:
        store.add_image(StoredImage("a.tif", crs=UTM, bounds=(0, 0, 100, 100)))
        store.set_class(MapClass("roof"))
        return store.add(
            MapObject(geometry=box(1, 1, 9, 9), image="a.tif", class_name="roof", label="first", author="anna")
        )


def test_a_geopackage_of_an_earlier_release_is_opened_and_kept(tmp_path):
    path = tmp_path / "old.gpkg"
    first = kept(path)
    db = sqlite3.connect(path)
    for name in ("objects_touched", "objects_drawn", "objects_gone"):
        db.execute(f"DROP TRIGGER {name}")
    db.execute("DROP TABLE drafts")
    db.execute("DROP TABLE layer_styles")
    db.execute("DELETE FROM gpkg_contents WHERE table_name IN ('drafts', 'layer_styles')")
    db.execute("ALTER TABLE images DROP COLUMN reading")
    db.execute("ALTER TABLE objects DROP COLUMN attributes")
    db.commit()
    db.close()
    with GeoPackageStore.open(path) as store:
        (found,) = store.objects()
        assert record(found) == record(first) and found.geometry.equals(first.geometry)
        assert store.drafts() == () and store.images()[0].reading.is_plain
        changed = store.update(MapObject(**{**vars(found), "attributes": {"floors": 2}}))
    with GeoPackageStore.open(path) as store:
        assert store.get(changed.uuid).attributes == {"floors": 2}


@pytest.mark.parametrize("number", [2**63 - 1, 2**31, 70_000, 0, -5])
def test_a_class_with_a_number_of_another_program_gets_a_free_one(tmp_path, number):
    path = tmp_path / "a.gpkg"
    kept(path)
    db = sqlite3.connect(path)
    db.execute("INSERT INTO classes (id, name) VALUES (?, 'strange')", (number,))
    db.commit()
    db.close()
    with GeoPackageStore.open(path) as store:
        assert [(item.name, item.number) for item in store.classes()] == [("roof", 1), ("strange", 2)]
        store.set_class(MapClass("new"))
        assert store.classes()[-1].number == 3


def test_a_number_beyond_all_does_not_block_new_classes_while_a_session_is_open(tmp_path):
    path = tmp_path / "a.gpkg"
    kept(path)
    with GeoPackageStore.open(path) as store:
        db = sqlite3.connect(path)
        db.execute("INSERT INTO classes (id, name) VALUES (?, 'strange')", (2**63 - 1,))
        db.commit()
        db.close()
        store.set_class(MapClass("new", number=2**63 - 1))
        assert all(0 < item.number <= LARGEST_NUMBER for item in store.classes())
        assert export_session(store, path, tmp_path / "out", formats=["csv"]).objects == 1


def test_every_column_is_declared_for_both_databases():
    assert len(FIELDS) == len(set(FIELDS))
    for column in COLUMNS:
        assert declared(column, "geopackage").startswith(f"{column.name} ")
        assert declared(column, "postgis").startswith(f"{column.name} ")
        assert len(column.short) <= 10
    assert len(set(GEOPACKAGE)) == len(GEOPACKAGE) and len(set(POSTGIS)) == len(POSTGIS)


def test_a_row_is_the_object_again():
    item = MapObject(geometry=box(0, 0, 1, 1), uuid="u", class_name="roof", score=0.5, n_clicks=3, attributes={"a": 1})
    assert object_of(values_of(item), item.geometry) == item


@pytest.mark.slow
def test_a_postgis_schema_of_an_earlier_release_is_opened_and_kept(postgis):
    import psycopg

    from terraclick.store.postgis import open_postgis

    with open_postgis(f"{postgis}#old", UTM) as store:
        store.add_image(StoredImage("a.tif", crs=UTM, bounds=(0, 0, 100, 100)))
        first = store.add(MapObject(geometry=box(1, 1, 9, 9), image="a.tif", class_name="roof", author="anna"))
    with psycopg.connect(postgis) as db:
        db.execute("SET search_path = old, public")
        db.execute("ALTER TABLE objects DROP COLUMN attributes")
        db.execute("ALTER TABLE images DROP COLUMN reading")
        db.execute("DROP TRIGGER objects_touched ON objects")
        db.execute("DELETE FROM meta WHERE key = 'noticing'")
        db.execute("INSERT INTO classes (id, name) OVERRIDING SYSTEM VALUE VALUES (9223372036854775807, 'strange')")
    with open_postgis(f"{postgis}#old", make=False) as store:
        (found,) = store.objects()
        assert record(found) == record(first) and found.geometry.equals(first.geometry)
        assert store.images()[0].reading.is_plain
        changed = store.update(MapObject(**{**vars(found), "attributes": {"floors": 2}}))
        assert all(0 < item.number <= LARGEST_NUMBER for item in store.classes())
        store.set_class(MapClass("new"))
    with psycopg.connect(postgis) as db:  # a change from outside is noticed again
        db.execute("UPDATE old.objects SET label = 'x'")
    with open_postgis(f"{postgis}#old", make=False) as store:
        assert store.get(changed.uuid).rev == changed.rev + 1 and store.get(changed.uuid).attributes == {"floors": 2}
