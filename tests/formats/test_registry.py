"""Every file of formats/ declares a format, and every list of formats follows from them."""

from pathlib import Path

import pytest

from terraclick import formats
from terraclick.errors import UnknownName
from terraclick.exchange.registry import FORMATS, format_of, installed, readable_endings
from terraclick.server import files


def test_every_file_declares_a_format_of_its_own():
    names = {path.stem for path in Path(formats.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(FORMATS) == names
    endings = [ending for known in FORMATS.values() for ending in known.endings]
    assert len(endings) == len(set(endings)) and all(ending.startswith(".") for ending in endings)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_it_is(name):
    known = FORMATS[name]
    assert known.label and known.note and known.name == name
    assert known.read is None or known.read_json is None
    assert (known.of_json is None) == (known.read_json is None)


@pytest.mark.parametrize(("name", "ending"), [(name, end) for name, known in FORMATS.items() for end in known.endings])
def test_an_ending_means_its_format(name, ending):
    assert format_of(f"fields{ending}") == name
    assert format_of(f"FIELDS{ending.upper()}") == name


def test_the_longest_ending_wins():
    assert format_of("a.instances.tif") == "instances" and format_of("a.tif") == "mask"
    assert format_of("a.coco.json") == "coco" and format_of("a.json") == "labelme"


def test_an_unknown_format_is_told_the_known_ones():
    with pytest.raises(UnknownName, match=", ".join(FORMATS)):
        format_of("fields.dwg")


def test_the_server_offers_what_is_installed():
    offered = files.formats()
    assert [one["name"] for one in offered] == [name for name in FORMATS if installed(name)]
    assert all(one["label"] and one["note"] for one in offered)


def test_what_is_written_on_maps_can_be_read():
    assert {".gpkg", ".geojson", ".csv", ".shp", ".parquet", ".json", ".txt"} <= set(readable_endings())
    assert ".tif" not in readable_endings()
