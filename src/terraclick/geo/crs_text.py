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

from terraclick.errors import BadData

__all__ = ["MAX_DEPTH", "MAX_WKT", "crs_of_text", "crs_of_wkt"]

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
_PROJ4 = re.compile(r'(?i)EXTENSION\s*[\[(]\s*"PROJ4[A-Z_]*"\s*,\s*"([^"]*)"')
_FILE = re.compile(r'(?i)(?:PARAMETERFILE\s*[\[(]\s*"[^"]*"\s*,\s*"([^"]*)"|"[^"]*\bfile\b[^"]*"\s*,\s*"([^"]*)")')
_STEERS = re.compile(
    r"(?i)(?<![a-z_])(init|step|geoidgrids|grids|file|tinshift|xyzgrids)\s*(=|\s|$)|(?<![a-z_])proj\s*=\s*pipeline"
)
_GRIDS = re.compile(r"(?i)(?<![a-z_])nadgrids\s*=\s*(\S+)")


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


def crs_of_wkt(text: str) -> CRS:
    """The coordinate system that a WKT describes. Raises BadData if it is none, too long or deep, or names files."""
    if not isinstance(text, str) or not _WKT.match(text.strip()):
        raise BadData(f"{_shown(text)} is no WKT of a coordinate system.")
    text = text.strip()
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
    for proj4 in _PROJ4.findall(text):
        if _STEERS.search(proj4) or any(grids != "@null" for grids in _GRIDS.findall(proj4)):
            return True
    names = [name for pair in _FILE.findall(text) for name in pair if name]
    return any(not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name) for name in names)


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
