"""What both stores promise, asked of both; the PostGIS one on a server of its own (Debian's postgresql and postgis)."""

import threading
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from pyproj import CRS
from shapely.geometry import GeometryCollection, box

from terraclick.errors import BadConfig, BadData, BadOutput, Conflict, NotGeoreferenced, UnknownName
from terraclick.geo.reading import Reading
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store
from terraclick.store.values import MapClass, StoredClick, StoredDraft, StoredImage, StoredReference, StoredView
from terraclick.values import Reference

UTM = CRS.from_epsg(32633)
SQUARE = box(500000, 4649700, 500030, 4649720)
VIEW = StoredView("a.tif", (0.0, 0.0, 9.0, 9.0), 0.3, (3, 2, 1), ((0.0, 99.0),) * 3, (2, 3), (30, 40))
CLICKS = (StoredClick(1.5, 2.0, 500001.5, 4649719.0), StoredClick(3, 4, 5, 6, False, "2026-01-01T00:00:00Z"))


@pytest.fixture(params=["gpkg", pytest.param("postgis", marks=pytest.mark.slow)])
def begin(request, tmp_path):
    """Opens the store of this test, again at every call."""
    if request.param == "gpkg":
        opener = lambda crs=UTM: open_store(tmp_path / "s.gpkg", crs)  # noqa: E731
    else:
        from terraclick.store.postgis import open_postgis

        address = f"{request.getfixturevalue('postgis')}#t{next(NUMBERS)}"
        opener = lambda crs=UTM: open_postgis(address, crs)  # noqa: E731
    opened = []

    def open_and_note(*args):
        opened.append(opener(*args))
        return opened[-1]

    yield open_and_note
    for store in opened:
        store.close()


NUMBERS = count()


def test_what_is_kept_comes_back(begin):
    store = begin()
    image = StoredImage("a.tif", "h", UTM, (0.0, 0.0, 9.0, 9.0), Reading("0", 2, False, "EPSG:32633"))
    store.add_image(image)
    item = MapObject(geometry=SQUARE, image="a.tif", class_name="house", label="ä", score=0.5, attributes={"n": 1})
    kept = store.add(item, CLICKS, VIEW)
    store.close()
    store = begin(None)
    found = store.get(kept.uuid)
    assert found == kept and found.rev == 1 and found.geometry.equals(SQUARE)
    assert found.area_m2 == pytest.approx(600, rel=1e-3)
    assert store.clicks_of(kept.uuid)[0] == replace(CLICKS[0], time=kept.created)
    assert store.clicks_of(kept.uuid)[1] == CLICKS[1] and store.view_of(kept.uuid) == VIEW
    assert store.crs == UTM and store.images()[0] == image
    store.delete(kept.uuid)
    assert store.objects() == [] and store.clicks_of(kept.uuid) == () and store.view_of(kept.uuid) is None


def test_revisions(begin):
    store = begin()
    kept = store.add(MapObject(geometry=SQUARE))
    second = store.update(replace(kept, label="b"))
    assert (second.rev, store.get(kept.uuid).label) == (2, "b")
    with pytest.raises(Conflict) as told:
        store.update(replace(kept, label="c"))
    assert told.value.theirs == second and told.value.mine.label == "c"
    with pytest.raises(Conflict):
        store.add(kept)
    store.delete(kept.uuid)
    with pytest.raises(Conflict) as told:
        store.update(second)
    assert told.value.theirs is None
    assert store.add(second).rev == 3


def test_questions(begin):
    store = begin()
    for i, name in enumerate(("a", "b", "a")):
        store.add(MapObject(geometry=box(500000 + 100 * i, 0, 500010 + 100 * i, 10), class_name=name, status="x" * i))
    assert [item.status for item in store.objects(class_name="a")] == ["", "xx"]
    assert sorted(store.tally()) == [("", "a", "", 1), ("", "a", "xx", 1), ("", "b", "x", 1)]
    assert len(store.objects(status="x")) == 1 and store.objects(image="none") == []
    assert len(store.objects(bbox=(500050, -5, 500105, 5))) == 1
    for act in (lambda: store.get("no"), lambda: store.delete("no"), lambda: store.delete_reference("no")):
        with pytest.raises(UnknownName):
            act()
    with pytest.raises(UnknownName):
        store.add(MapObject(geometry=SQUARE, image="never added.tif"))
    with pytest.raises(BadData):
        store.add(MapObject(geometry=GeometryCollection([SQUARE])))


def test_classes_examples_drafts(begin):
    store = begin()
    store.set_class(MapClass("house", "#010203", "1", "coverage", {"roof": {"type": "string"}}))
    kept = store.add(MapObject(geometry=SQUARE, class_name="house"))
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    example = store.add_reference(StoredReference("house", Reference(image, image[..., 0] > 99, False)))
    store.rename_class("house", "barn")
    (found,) = store.references("barn")
    assert found.uuid == example.uuid and not found.reference.positive
    assert np.array_equal(found.reference.image, image) and np.array_equal(found.reference.mask, image[..., 0] > 99)
    assert (store.get(kept.uuid).class_name, store.get(kept.uuid).rev) == ("barn", 2)
    assert store.classes() == (MapClass("barn", "#010203", "1", "coverage", {"roof": {"type": "string"}}),)
    store.save_draft(StoredDraft("d", "anna", "a.tif", {"acts": []}))
    store.save_draft(StoredDraft("d", "anna", "a.tif", {"acts": [1]}))
    assert [draft.content for draft in store.drafts()] == [{"acts": [1]}]
    store.delete_draft("d")
    store.delete_reference(example.uuid)
    store.delete_class("barn")
    assert (store.drafts(), store.references(), store.classes()) == ((), (), ())


def test_all_or_nothing(begin):
    store = begin()
    kept = store.add(MapObject(geometry=SQUARE))
    with pytest.raises(UnknownName), store.transaction():
        store.add(MapObject(geometry=SQUARE))
        store.delete(kept.uuid)
        store.get("nobody")
    assert [item.uuid for item in store.objects()] == [kept.uuid]


def test_two_at_once_lose_nothing(begin):
    stores = [begin(), begin()]
    kept = stores[0].add(MapObject(geometry=SQUARE, n_clicks=0))

    def count_up(store):
        for _ in range(20):
            while True:
                item = store.get(kept.uuid)
                try:
                    store.update(replace(item, n_clicks=item.n_clicks + 1))
                    break
                except Conflict:
                    continue

    threads = [threading.Thread(target=count_up, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stores[0].get(kept.uuid).n_clicks, stores[0].get(kept.uuid).rev) == (40, 41)


def test_pixels_and_odd_systems(begin):
    store = begin(None)
    assert store.crs is None
    assert store.add(MapObject(geometry=box(0, 0, 9, 9))).area_m2 is None
    with pytest.raises(NotGeoreferenced):
        store.add_image(StoredImage("a.tif", "", UTM))


@pytest.mark.slow
def test_postgis_takes_any_system_and_notices_other_programs(postgis):
    import psycopg

    from terraclick.store.postgis import open_postgis

    own = CRS.from_proj4("+proj=laea +lat_0=12.5 +lon_0=7.25 +datum=WGS84 +units=m")
    store = open_postgis(f"{postgis}#own", own)
    kept = store.add(MapObject(geometry=box(0, 0, 10, 10)))
    with psycopg.connect(postgis, autocommit=True) as db:
        assert db.execute("SELECT ST_SRID(geom) FROM own.objects").fetchone()[0] >= 910000
        db.execute("UPDATE own.objects SET geom = ST_Multi(ST_MakeEnvelope(0, 0, 20, 10, ST_SRID(geom)))")
        db.execute("INSERT INTO own.objects (geom) SELECT geom FROM own.objects LIMIT 1")
    assert (store.get(kept.uuid).rev, round(store.get(kept.uuid).area_m2)) == (2, 200)
    assert len(store.objects()) == 2 and store.crs == own
    with psycopg.connect(postgis, autocommit=True) as db:  # the connection is lost: the next call makes a new one
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query <> ''"
        )
    with pytest.raises(BadOutput):
        store.objects()
    assert len(store.objects()) == 2
    store.close()


def test_addresses_that_cannot_be():
    pytest.importorskip("psycopg")
    from terraclick.store.postgis import open_postgis

    for address in ("mysql://x", "postgresql://x#Robert'); DROP", "work.gpkg"):
        with pytest.raises(BadConfig):
            open_postgis(address)
    with pytest.raises(BadOutput, match="cannot be used"):
        open_postgis("postgresql:///none?host=/nowhere")


@pytest.mark.slow
def test_postgis_adopts_measures_and_sets_aside_what_others_wrote(postgis):
    import psycopg

    from terraclick.store.postgis import open_postgis

    with open_postgis(f"{postgis}#others", UTM) as store:
        store.add_image(StoredImage("town.tif", "h", UTM, (499_000, 4_649_000, 501_000, 4_651_000)))
        mine = store.add(MapObject(geometry=box(500_000, 4_649_900, 500_010, 4_649_910), image="town.tif"))
        assert store.look() is not None
        polygon = "ST_Multi(ST_MakeEnvelope(500020, 4649900, 500030, 4649920, 32633))"
        with psycopg.connect(postgis, autocommit=True) as other:
            other.execute("SET search_path = others, public")
            other.execute(f"INSERT INTO objects (geom, class, area_m2) VALUES ({polygon}, 'road', 5)")
            other.execute(f"INSERT INTO objects (geom, attributes) VALUES ({polygon}, '{{\"a\": NaN}}')")
            other.execute("INSERT INTO classes (name) VALUES ('road')")
            other.execute("UPDATE objects SET label = 'seen', area_m2 = 7 WHERE uuid = %s", (mine.uuid,))
        happened = store.look()
        found = {item.class_name: item for item in store.objects(image="town.tif")}
        assert set(found) == {"", "road"} and found["road"].area_m2 == pytest.approx(200, rel=2e-3)
        assert found["road"].uuid in happened.changed and mine.uuid in happened.changed
        assert found[""].label == "seen" and found[""].area_m2 == pytest.approx(mine.area_m2)
        (row,) = store.set_aside()
        assert row.table == "objects" and "attributes" in row.reason
        assert [item.name for item in store.classes()] == ["road"]
