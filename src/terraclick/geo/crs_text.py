"""Coordinate systems named by files and requests, without handing a stranger's text to PROJ as it is.

A text may be a programme for PROJ: paths of files, URLs, grids, pipelines. Three kinds are taken and nothing else: a
number of an authority (EPSG:32633), an OGC URN or address of one, and WKT within a length and a depth that names no
file.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pyproj import CRS
from pyproj.exceptions import CRSError

from terraclick.errors import BadConfig, BadData
from terraclick.geo.grid import horizontal

__all__ = ["MAX_DEPTH", "MAX_WKT", "crs_of_text", "crs_of_wkt", "parse_crs"]

MAX_WKT = 40_000
"""Letters of the longest WKT that is read; the longest of EPSG's has about 20,000."""
MAX_DEPTH = 24
"""Brackets within brackets; WKT of compound, bound systems has about 10."""

_NUMBERED = re.compile(r"(?i)\[?(EPSG|ESRI|OGC|IAU_2015):(\d{1,7}|CRS84|CRS83|CRS27)\]?")
_URN = re.compile(r"(?i)urn:(?:ogc|x-ogc):def:crs:(EPSG|ESRI|OGC):[0-9.]{0,12}:(\d{1,7}|CRS84|CRS83|CRS27)")
_ADDRESS = re.compile(
    r"(?i)https?://www\.opengis\.net/def/crs/(EPSG|ESRI|OGC)/[0-9.]{1,12}/(\d{1,7}|CRS84|CRS83|CRS27)/?"
)
_WKT = re.compile(
    r"(?i)(PROJCS|GEOGCS|COMPD_CS|LOCAL_CS|GEOCCS|VERT_CS|PROJCRS|PROJECTEDCRS|GEOGCRS|GEOGRAPHICCRS|GEODCRS|"
    r"GEODETICCRS|COMPOUNDCRS|BOUNDCRS|ENGCRS|ENGINEERINGCRS|DERIVEDPROJCRS)\s*[\[(]"
)
_STRING = re.compile(r'([A-Za-z0-9_]*)\s*[\[(,]?\s*"((?:[^"]|"")*)"')
"""A text in a WKT, and the keyword whose first value it is, "" for a later value."""
_FILE_NAMED = re.compile(r"\bFILE\b")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}")
_PROGRAMME = re.compile(r"(?i)\bproj\s*=|(?<!\w)\+\s*(init|step|proj|\w*grids)\b|proj-based operation")
_PLAIN_WORDS = frozenset(
    "proj type no_defs wktext over south north_oblique datum ellps a b rf f R towgs84 pm axis units to_meter vunits "
    "vto_meter zone lat_0 lat_1 lat_2 lat_b lat_ts lon_0 lon_1 lon_2 lon_c lonc lat_3 lon_3 x_0 y_0 k k_0 alpha gamma "
    "h tilt azi sweep lsat path no_rot no_uoff no_off approx algo o_proj o_lat_p o_lon_p o_alpha o_lon_c o_lat_c "
    "geoc guam W M n theta nadgrids".split()
)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.,+-]*")
_OPERATION = re.compile(r"(?i)pipeline|shift|grid|model|deformation|affine|cart|unitconvert|push|pop|set|topocentric")


def crs_of_text(text: str) -> CRS:
    """The coordinate system that a text from a file or a request names: EPSG:n, an OGC URN or address, or WKT.

    Raises BadData for anything else, without asking PROJ.
    """
    text = text.strip() if isinstance(text, str) else ""
    for pattern in (_NUMBERED, _URN, _ADDRESS):
        found = pattern.fullmatch(text)
        if found is not None:
            return _numbered(found[1].upper(), found[2].upper())
    if _WKT.match(text):
        return crs_of_wkt(text)
    raise BadData(f"{_shown(text)} names no coordinate system that is read here: expected EPSG:n, an OGC URN or WKT.")


def parse_crs(text: str) -> CRS:
    """The coordinate system that a user names: EPSG:n, an OGC URN, WKT, or a PROJ text that only projects.

    Raises BadConfig if it is none, or none to draw outlines in (see `horizontal`).
    """
    try:
        if text.lstrip().startswith("+proj=") and _is_plain_proj(text):
            return horizontal(CRS.from_proj4(text))
        return horizontal(crs_of_text(text))
    except (BadData, CRSError):
        raise BadConfig(f"{_shown(text)} is no coordinate system: give for example EPSG:32633.") from None


def crs_of_wkt(text: str) -> CRS:
    """The coordinate system that a WKT describes. Raises BadData if it is none, too long or deep, or names files."""
    if not isinstance(text, str) or not _WKT.match(text.strip()):
        raise BadData(f"{_shown(text)} is no WKT of a coordinate system.")
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()  # names go to terminals and into files
    if len(text) > MAX_WKT:
        raise BadData(f"a coordinate system of {len(text)} letters was given: at most {MAX_WKT} are read.")
    depth = deepest = 0
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise BadData(f"a coordinate system with {deepest} brackets within brackets: at most {MAX_DEPTH} are read.")
    if _names_files(text):
        raise BadData("a coordinate system that names files or pipelines was given: give EPSG:n or a plain WKT.")
    return _from_wkt(text)


def _names_files(text: str) -> bool:
    """Whether a WKT would make PROJ open a file of its choice or run operations."""
    node = before = ""
    for keyword, raw in _STRING.findall(text):
        value = raw.replace('""', '"')
        later = not keyword  # than the first value of its node
        is_file = later and (node == "PARAMETERFILE" or before == "PROJ4_GRIDS" or _FILE_NAMED.search(before))
        if is_file and not _FILE_NAME.fullmatch(value):
            return True
        is_proj = later and before.startswith("PROJ4") and before != "PROJ4_GRIDS"
        if (is_proj or _PROGRAMME.search(value)) and not _is_plain_proj(value):
            return True
        node, before = keyword.upper() or node, value.strip().upper()
    return False


def _is_plain_proj(text: str) -> bool:
    """Whether a PROJ text only describes a projection: known words with numbers and names for values."""
    for word in text.split():
        name, equals, value = word.removeprefix("+").partition("=")
        if name not in _PLAIN_WORDS or (name == "nadgrids" and value != "@null"):
            return False
        if name != "nadgrids" and not _PLAIN_VALUE.fullmatch(value):
            return False
        if name in ("proj", "o_proj") and (not equals or _OPERATION.search(value)):
            return False
    return True


@lru_cache(maxsize=64)
def _from_wkt(text: str) -> CRS:
    try:
        return CRS.from_wkt(text)
    except CRSError:
        raise BadData(f"{_shown(text)} is no WKT of a coordinate system.") from None


@lru_cache(maxsize=256)
def _numbered(authority: str, code: str) -> CRS:
    try:
        return CRS.from_authority(authority, code)
    except CRSError:
        raise BadData(f"there is no coordinate system {authority}:{code}.") from None


def _shown(text: object) -> str:
    """The start of a stranger's text, on one line."""
    plain = re.sub(r"[^\x20-\x7e\xa0-\ud7ff]+", " ", str(text)[:200]).strip()
    return repr(plain[:60])
