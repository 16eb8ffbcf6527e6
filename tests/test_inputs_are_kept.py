"""No verb writes over what it reads, under whatever name, whatever --overwrite allows; nor one file twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from terraclick.cli import cli
from terraclick.geo.raster import resolve_image

CLICK = ("--click", "500060,4649950", "--model", "grabcut")


def answered(*words):
    told = CliRunner().invoke(cli, [str(word) for word in words])
    return told if told.exception is None or isinstance(told.exception, SystemExit) else told.exception


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An image with a world file and a .prj, the same as .jpg, links to it, a session, a points file."""
    import rasterio
    import rasterio.shutil

    folder = tmp_path_factory.mktemp("inputs")
    shutil.copy(resolve_image("sample"), folder / "town.tif")
    with rasterio.open(folder / "town.tif") as file:
        crs = file.crs.to_wkt()
        rasterio.shutil.copy(file, folder / "photo.jpg", driver="JPEG", WORLDFILE="YES")
    (folder / "photo.jpg.aux.xml").unlink(missing_ok=True)
    (folder / "photo.prj").write_text(crs)
    (folder / "points.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (folder / "link.tif").symlink_to("town.tif")
    os.link(folder / "town.tif", folder / "second.tif")
    assert answered("segment", folder / "town.tif", *CLICK, "--out", folder / "s.gpkg").exit_code == 0
    return folder


LOSING = {
    "the image": "segment town.tif CLICK --out town.tif",
    "the image as a preview": "segment town.tif CLICK --out x.gpkg --preview town.tif",
    "the image through a link": "segment town.tif CLICK --out link.tif",
    "the image read through a link": "segment link.tif CLICK --out town.tif",
    "the image by its second name": "segment town.tif CLICK --out second.tif",
    "the image in another spelling": "segment town.tif CLICK --out ../FOLDER/town.tif",
    "the coordinate system beside the image": "segment photo.jpg CLICK --out photo.shp",
    "the points": "segment town.tif --points points.geojson --out points.geojson",
    "the examples": "segment town.tif CLICK --references s.gpkg --out s.gpkg",
    "an example": "segment town.tif CLICK --reference photo.jpg town.tif --out town.tif",
    "the scene": "map town.tif --model landcover --out town.tif",
    "the scene as heatmaps": "map town.tif --model landcover --out m.tif --heatmaps town.tif",
    "one file twice": "map town.tif --model landcover --out m.tif --confidence m.tif",
    "a picture twice": "segment town.tif CLICK --out m.tif --preview ./m.tif",
    "the session that is exported": "export-session s.gpkg s.gpkg",
    "the session that is imported": "import-session s.gpkg s.gpkg",
}


@pytest.mark.parametrize("kind", LOSING)
def test_what_is_read_stays(made, kind, monkeypatch):
    monkeypatch.chdir(made)
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    words = [str(Path(word.replace("FOLDER", made.name))) if "/" in word else word for word in LOSING[kind].split()]
    at = words.index("CLICK") if "CLICK" in words else None
    words = words if at is None else [*words[:at], *CLICK, *words[at + 1 :]]
    error = answered(*words, "--overwrite")
    assert "would be replaced" in str(error) or "two outputs" in str(error), error
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before


def test_a_session_that_is_added_to_may_bring_its_own_examples(made, tmp_path):
    shutil.copy(made / "s.gpkg", tmp_path / "s.gpkg")
    error = answered(
        "segment",
        made / "town.tif",
        *CLICK,
        "--out",
        tmp_path / "s.gpkg",
        "--append",
        "--references",
        tmp_path / "s.gpkg",
    )
    assert "holds no references" in str(error)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", ["segment sample CLICK", "models --json", "doctor", "--help", "segment --help", "--version"]
)
def test_an_answer_that_finds_no_room_is_an_error(words):
    words = " ".join(CLICK).join(words.split("CLICK")).split()
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "terraclick", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert told.returncode == 2 and told.stderr.startswith("Error: the answer cannot be written"), told.stderr
    assert len(told.stderr.splitlines()) == 1
