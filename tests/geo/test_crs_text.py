"""A coordinate system named by a stranger: the three kinds that are read, and nothing else reaches PROJ."""

import os
import time

import pytest
from pyproj import CRS

from terraclick.errors import BadConfig, BadData
from terraclick.geo.crs_text import MAX_DEPTH, MAX_WKT, crs_of_text, crs_of_wkt, parse_crs


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("EPSG:32633", 32633),
        ("epsg:3857", 3857),
        ("[EPSG:4326]", 4326),
        ("urn:ogc:def:crs:EPSG::25832", 25832),
        ("urn:ogc:def:crs:EPSG:9.8.1:25832", 25832),
        ("http://www.opengis.net/def/crs/EPSG/0/2154", 2154),
        ("https://www.opengis.net/def/crs/EPSG/0/2154", 2154),
    ],
)
def test_numbers_urns_and_addresses(text, code):
    assert crs_of_text(text).to_epsg() == code


@pytest.mark.parametrize(
    "text", ["OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
)
def test_lonlat(text):
    assert crs_of_text(text).is_geographic


@pytest.mark.parametrize("code", [3857, 32633, 2154, 27700, 3413, 4326, 3301, 5514])
@pytest.mark.parametrize("version", ["WKT2_2019", "WKT1_GDAL", "WKT1_ESRI"])
def test_the_wkt_of_every_program(code, version):
    crs = CRS.from_epsg(code)
    assert crs_of_text(crs.to_wkt(version)).name


def test_a_bound_system_with_a_grid_by_name():
    bound = CRS.from_proj4("+proj=longlat +ellps=clrk66 +nadgrids=conus +type=crs")
    assert crs_of_wkt(bound.to_wkt()).is_bound


DATUM = 'GEOGCS["x",DATUM["D",SPHEROID["B",6377397.155,299.15]%s],PRIMEM["G",0],UNIT["degree",0.01745]%s]'
BOUND = 'BOUNDCRS[SOURCECRS[],ABRIDGEDTRANSFORMATION["a",%s]]'

HOSTILE = {
    "a path": "/etc/passwd",
    "an address": "http://127.0.0.1:9/x.wkt",
    "a grid": "+proj=longlat +nadgrids=/etc/passwd",
    "an init file": "+init=/etc/passwd:x",
    "init without plus": "init=epsg:4326",
    "a pipeline": "+proj=pipeline " + "+step +proj=noop " * 5000,
    "a number of an unknown authority": "MINE:1",
    "a name": "WGS 84",
    "json": '{"type": "GeographicCRS"}',
    "another crs address": "http://www.opengis.net.evil.example/def/crs/EPSG/0/4326",
    "nothing": "",
    "an unknown number": "EPSG:999999",
    "NUL": "EPSG:4326\0",
    "a surrogate": "EPSG:\ud800",
    "wkt that ends early": "PROJCS[",
    "wkt too long": 'GEOGCS["' + "x" * 5_000_000 + '"]',
    "wkt too deep": "PROJCS[" * 5000 + "]" * 5000,
    "a pipeline in wkt": 'GEOGCS["a",EXTENSION["PROJ4","+proj=pipeline +step +proj=noop"]]',
    "a grid in wkt": 'PROJCS["a",EXTENSION["PROJ4","+proj=merc +nadgrids=/tmp/x +no_defs"]]',
    "two grids in wkt": 'PROJCS["a",EXTENSION["PROJ4","+proj=merc +nadgrids=@null +nadgrids=/tmp/x"]]',
    "init in wkt": 'PROJCS["a",EXTENSION["PROJ4","+init=/tmp/x:1"]]',
    "a grid list in wkt": DATUM % (',EXTENSION["PROJ4_GRIDS","/tmp/fifo"]', ""),
    "a grid list with spaces": DATUM % (',EXTENSION [ "PROJ4_GRIDS" ,\n"/tmp/fifo" ]', ""),
    "a grid after doubled quotes": DATUM % ("", ',EXTENSION["PROJ4","+proj=longlat "" +nadgrids=/tmp/fifo"]'),
    "a model in wkt": DATUM % ("", ',EXTENSION["PROJ4","+proj=defmodel +model=/tmp/fifo"]'),
    "a shift in wkt": DATUM % ("", ',EXTENSION["PROJ4","+proj=hgridshift +xy_grids=/tmp/fifo"]'),
    "a path as a value": DATUM % ("", ',EXTENSION["PROJ4","+proj=longlat +ellps=/tmp/fifo"]'),
    "a programme as a method": BOUND % 'METHOD["PROJ-based operation method: x"]',
    "a file of another name": BOUND % 'PARAMETERFILE["x","/tmp/x",ID["EPSG",8656]]',
    "a file in wkt": BOUND % 'PARAMETERFILE["Latitude file","/tmp/fifo"]',
}


MERCATOR = "+proj=merc +a=6378137 +b=6378137 +lat_ts=0.0 +lon_0=0.0 +x_0=0.0 +y_0=0 +k=1.0 +units=m +nadgrids=@null"
PLAIN = {
    "the old web Mercator": f"{MERCATOR} +wktext +no_defs",
    "a shift by seven numbers": "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel "
    "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +units=m +no_defs",
    "a rotated pole": "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 +to_meter=0.01745329",
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_projections_that_programs_write_into_a_wkt_are_read(kind):
    assert crs_of_text(DATUM % ("", f',EXTENSION["PROJ4","{PLAIN[kind]}"]')).name == "x"


@pytest.mark.parametrize("kind", HOSTILE)
def test_everything_else_is_refused_at_once(kind):
    begun = time.perf_counter()
    with pytest.raises(BadData) as refused:
        crs_of_text(HOSTILE[kind])
    assert time.perf_counter() - begun < 1
    assert len(str(refused.value)) < 300 and str(refused.value).isprintable()


def test_a_fifo_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for text in (str(tmp_path / "fifo"), f"+init={tmp_path}/fifo:1", f"+proj=longlat +nadgrids={tmp_path}/fifo"):
        with pytest.raises(BadData):
            crs_of_text(text)


def test_names_command_no_terminal():
    crs = crs_of_text(CRS(32633).to_wkt(pretty=True).replace("WGS 84 / UTM zone 33N", "a\x1b[31m\nb"))
    assert crs.name == "a [31m b" and crs.to_wkt().isprintable()


@pytest.mark.parametrize("text", [None, 5, b"EPSG:4326", ["EPSG:4326"]])
def test_what_is_no_text(text):
    with pytest.raises(BadData):
        crs_of_text(text)
    with pytest.raises(BadData):
        crs_of_wkt(text)


def test_the_limits_hold_what_epsg_has():
    longest = max(len(CRS.from_epsg(code).to_wkt(pretty=True)) for code in (5698, 9897, 8353, 2180))
    assert longest < MAX_WKT / 4 and MAX_DEPTH > 12


@pytest.mark.parametrize(
    "text",
    ["EPSG:32633", "urn:ogc:def:crs:EPSG::32633", CRS(32633).to_wkt(), "+proj=utm +zone=33 +datum=WGS84 +units=m"],
)
def test_one_parser_reads_what_users_name(text):
    assert parse_crs(text).coordinate_operation.name.lower().startswith(("utm", "unknown"))


@pytest.mark.parametrize(
    "text",
    ["", "moon", "EPSG:0", "+proj=pipeline +step +proj=axisswap", "+proj=longlat +nadgrids=/etc/passwd", "/etc/x"],
)
def test_the_parser_refuses_the_rest(text):
    with pytest.raises(BadConfig, match="give for example EPSG:32633"):
        parse_crs(text)
