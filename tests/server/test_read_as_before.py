"""A server that goes on with a session reads its images as they were read before, and says what was told otherwise."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from terraclick.errors import BadImage, NotGeoreferenced, UnknownName
from terraclick.geo.reading import PLAIN, Reading
from terraclick.server.main import prepare


@pytest.fixture
def plain(tmp_path):
    """An image with a place but no coordinate system."""
    image = np.full((3, 100, 140), 60, np.uint8)
    size = {"width": 140, "height": 100, "count": 3, "dtype": "uint8"}
    place = Affine(0.5, 0, 500_000, 0, -0.5, 4_650_000)
    with rasterio.open(tmp_path / "plain.tif", "w", driver="GTiff", transform=place, **size) as file:
        file.write(image)
    return tmp_path / "plain.tif"


def started(image, tmp_path, reading=PLAIN, **more):
    """(how the server reads its one image, what it said) of one start that is stopped at once."""
    said = []
    server = prepare([str(image)], out=tmp_path, model="grabcut", port=0, reading=reading, warn=said.append, **more)
    try:
        (scene,) = server.workspace.scenes.values()
        (kept,) = server.workspace.store.images()
        assert kept.reading == scene.reading and kept.crs == scene.grid.crs
        assert [f"Note on {scene.name}: {note}." for note in scene.notes] == said
        return scene, said
    finally:
        server.sock.close()
        server.workspace.close()


def check_starts(image, tmp_path, **more):
    first, _ = started(image, tmp_path, Reading(crs="EPSG:32633", nodata="7"), **more)
    again, said = started(image, tmp_path, **more)
    assert again.reading == Reading(crs="EPSG:32633", nodata="7") and again.grid == first.grid
    assert "it is read with --nodata 7 --image-crs EPSG:32633, as the session keeps it" in said[0]
    other, said = started(image, tmp_path, Reading(nodata="9"), **more)
    assert other.reading == Reading(crs="EPSG:32633", nodata="9")
    assert "the session has it read with --nodata 7; it is read with --nodata 9 --image-crs" in said[0]
    last, _ = started(image, tmp_path, **more)
    assert last.reading.nodata == "9"


def test_a_restart_needs_no_word_again(plain, tmp_path):
    check_starts(plain, tmp_path)


@pytest.mark.slow
def test_nor_does_one_on_a_database(plain, tmp_path, postgis):
    check_starts(plain, tmp_path, store_address=f"{postgis}#readings")


@pytest.mark.slow
def test_a_schema_of_an_earlier_release_gains_the_column_and_reading_makes_none(plain, tmp_path, postgis):
    import psycopg

    from terraclick.store.postgis import open_postgis

    address = f"{postgis}#earlier"
    started(plain, tmp_path, Reading(crs="EPSG:32633"), store_address=address)
    with psycopg.connect(postgis, autocommit=True) as db:
        db.execute("ALTER TABLE earlier.images DROP COLUMN reading")
    with open_postgis(address, make=False) as store:
        assert [image.reading for image in store.images()] == [PLAIN]
    with pytest.raises(UnknownName, match="holds no session in the schema nothing"):
        open_postgis(f"{postgis}#nothing", make=False)
    with psycopg.connect(postgis) as db:
        assert db.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'nothing'").fetchone() == (0,)


def test_a_refused_start_leaves_the_session_as_it_was(plain, tmp_path):
    started(plain, tmp_path, Reading(crs="EPSG:32633"))
    with pytest.raises((BadImage, NotGeoreferenced)):
        started(tmp_path / "none.tif", tmp_path)
    scene, _ = started(plain, tmp_path)
    assert scene.reading.crs == "EPSG:32633" and not list(tmp_path.glob("*-wal"))
