"""How an image was read stays with the session: whoever goes on with it need not say it again."""

import json
import sqlite3
from contextlib import closing

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from terraclick.cli import cli
from terraclick.evaluate.replay import replay
from terraclick.exchange.export_session import export_session
from terraclick.exchange.import_session import import_session
from terraclick.geo.reading import PLAIN, Reading
from terraclick.server.images import open_scenes
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.readings import Readings, readings_of
from terraclick.values import Prediction

PLACE = Affine(1, 0, 500000, 0, -1, 5e6)


def scene(path, crs=None, fill=0, count=3):
    """A picture whose left quarter holds `fill`, with a bright block in its middle."""
    image = np.full((count, 120, 160), 60, np.uint8)
    image[:, :, :40] = fill
    image[:, 40:80, 60:100] = 220
    size = {"width": 160, "height": 120, "count": count, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=PLACE, **size) as file:
        file.write(image)
    return path


def two_pages(path):
    """A TIFF of two pictures of other sizes; only the second holds the block."""
    image = np.full((120, 160, 3), 60, np.uint8)
    image[40:80, 60:100] = 220
    cv2.imwritemulti(str(path), [np.full((30, 50, 3), 60, np.uint8), image])
    return path


def said(*words):
    told = CliRunner().invoke(cli, [str(word) for word in words])
    assert told.exit_code == 0, told.output
    return told


def session(tmp_path, image, *words, at="500080,4999940"):
    made = tmp_path / "s.gpkg"
    said("segment", image, "--click", at, "--model", "grabcut", "--out", made, *words)
    return made


class Everything:
    def encode(self, view):
        return view.image

    def predict(self, encoded, prompt, previous):
        return Prediction(np.ones(encoded.shape[:2], np.float32))


WORDS = [
    (("--nodata", "60"), Reading(nodata="60")),
    (("--nodata", "none"), Reading(nodata="none")),
    (("--no-alpha",), Reading(alpha=False)),
    ((), PLAIN),
]


@pytest.mark.parametrize(("words", "reading"), WORDS)
def test_a_run_leaves_how_it_read(tmp_path, words, reading):
    made = session(tmp_path, scene(tmp_path / "a.tif", "EPSG:32633"), *words)
    with GeoPackageStore.open(made) as store:
        assert store.images()[0].reading == reading


def test_the_coordinate_system_that_was_said_serves_the_next_start(tmp_path):
    image = scene(tmp_path / "a.tif")
    made = session(tmp_path, image, "--image-crs", "EPSG:32633")
    with GeoPackageStore.open(made) as store:
        heard = []
        (found,) = open_scenes([str(image)], heard.append, readings_of(store)).values()
        assert found.grid.crs.to_epsg() == 32633 and found.reading == Reading(crs="EPSG:32633")
        assert any("--image-crs EPSG:32633, as the session keeps it" in line for line in heard)
        assert replay(store, Everything(), "all").skipped == ()
    told = said("replay", made, "--model", "grabcut", "--json")
    assert json.loads(told.stdout)["skipped"] == [] and "as the session keeps it" in told.stderr


def test_a_page_that_was_chosen_is_the_page_of_every_export(tmp_path):
    image = two_pages(tmp_path / "pages.tif")
    made = session(tmp_path, image, "--page", "2", "--pixels", at="80,60")
    said("export-session", made, tmp_path / "out", "--format", "coco", "--format", "mask")
    (told,) = json.loads((tmp_path / "out" / "coco" / "objects.coco.json").read_text())["images"]
    assert (told["width"], told["height"]) == (160, 120)
    again = said("export-session", made, tmp_path / "one", "--format", "coco", "--page", "1")
    (told,) = json.loads((tmp_path / "one" / "coco" / "objects.coco.json").read_text())["images"]
    assert (told["width"], told["height"]) == (50, 30)
    assert "the session has it read with --page 2; it is read with what the file says now" in again.stderr


def test_what_is_said_anew_is_told_and_kept(tmp_path):
    image = scene(tmp_path / "a.tif", "EPSG:32633")
    made = session(tmp_path, image, "--nodata", "0")
    again = ("segment", image, "--click", "500080,4999940", "--model", "grabcut", "--out", made, "--append")
    told = said(*again, "--nodata", "7")
    assert "the session has it read with --nodata 0; it is read with --nodata 7 now" in told.stderr
    with GeoPackageStore.open(made) as store:
        assert [image.reading.nodata for image in store.images()] == ["7"]
    told = said(*again)
    assert "it is read with --nodata 7, as the session keeps it" in told.stderr
    told = said(
        "segment",
        image,
        "--click",
        "500080,4999940",
        "--model",
        "grabcut",
        "--out",
        made,
        "--append",
        "--nodata",
        "file",
    )
    assert "it is read with what the file says now" in told.stderr
    with GeoPackageStore.open(made) as store:
        assert store.images()[0].reading == PLAIN


def test_defaults_that_were_typed_stand_against_what_is_kept():
    kept = Reading(nodata="0", page=2, alpha=False, crs="EPSG:32633")
    assert Reading().over(kept) == kept and Reading().differs(kept) == ""
    typed = Reading(said=frozenset({"page", "alpha"}))
    assert typed.over(kept) == Reading(nodata="0", crs="EPSG:32633")
    assert typed.differs(kept) == "--page 2 --no-alpha"
    assert Reading(page=3).over(kept) == Reading("0", 3, False, "EPSG:32633")
    assert Reading(page=2).differs(kept) == ""


def test_only_the_same_image_is_read_so(tmp_path):
    made = session(tmp_path, scene(tmp_path / "a.tif", "EPSG:32633"), "--nodata", "0")
    other = tmp_path / "elsewhere" / "b.tif"
    other.parent.mkdir()
    scene(other, "EPSG:32633", fill=9)
    moved = tmp_path / "elsewhere" / "renamed.tif"
    moved.write_bytes((tmp_path / "a.tif").read_bytes())
    with GeoPackageStore.open(made) as store:
        found = readings_of(store)
        assert found.of_file(other) == PLAIN and found.of_file(moved) == Reading(nodata="0")
        assert Readings(PLAIN, (), tmp_path).of_file(other) == PLAIN


def test_a_file_of_an_earlier_release_gains_the_column(tmp_path):
    made = session(tmp_path, scene(tmp_path / "a.tif", "EPSG:32633"))
    with closing(sqlite3.connect(made)) as db, db:
        db.execute("ALTER TABLE images DROP COLUMN reading")
    with GeoPackageStore.open(made) as store:
        assert [image.reading for image in store.images()] == [PLAIN] and len(store.objects()) == 1


BAD = ['{"page": 0}', '{"page": "2"}', '{"crs": "+proj=pipeline"}', '{"path": "/etc"}', "[1]", "{", '{"nodata": "x"}']


@pytest.mark.parametrize("text", [*BAD, b"\xff"])
def test_what_others_leave_in_it_is_set_aside(tmp_path, text):
    made = session(tmp_path, scene(tmp_path / "a.tif", "EPSG:32633"))
    with closing(sqlite3.connect(made)) as db, db:
        db.execute("UPDATE images SET reading = ?", (text,))
    with GeoPackageStore.open(made) as store:
        assert store.images()[0].reading == PLAIN and len(store.objects()) == 1
        assert [row.table for row in store.set_aside()] == ["images"]


def test_exports_and_imports_carry_it_on(tmp_path):
    image = two_pages(tmp_path / "pages.tif")
    made = session(tmp_path, image, "--page", "2", "--pixels", at="80,60")
    with GeoPackageStore.open(made) as store:
        export_session(store, made, tmp_path / "copy.gpkg")
        export_session(store, made, tmp_path / "set.coco.json")
    with GeoPackageStore.open(tmp_path / "copy.gpkg") as store:
        assert store.images()[0].reading == Reading(page=2)
    with GeoPackageStore.open(made) as store:
        store.delete(store.objects()[0].uuid)
    import_session([tmp_path / "set.coco.json"], made, images=[image], append=True)
    with GeoPackageStore.open(made) as store:
        assert len(store.objects()) == 1 and [image.reading for image in store.images()] == [Reading(page=2)]
