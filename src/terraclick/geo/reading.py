"""How an image is to be read where the file alone does not say it, or says it wrongly."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyproj import CRS

from terraclick.errors import BadConfig
from terraclick.geo.grid import parse_crs

__all__ = ["PLAIN", "Reading"]


@dataclass(frozen=True)
class Reading:
    """What the user says of a file; every default leaves it to the file.

    nodata: the value that stands for no data in every band, "none" = every value is data, "" = as the file declares.
    page: which picture of a TIFF of several, from 1.
    alpha: whether an alpha band hides pixels; False makes it a band like the others.
    crs: EPSG:n or ESRI:n, the coordinate system of the file's own coordinates; "" = as the file or its sidecars say.
    Raises BadConfig for what is none of these.
    """

    nodata: str = ""
    page: int = 1
    alpha: bool = True
    crs: str = ""

    def __post_init__(self) -> None:
        if self.nodata not in ("", "none"):
            try:
                float(self.nodata)
            except ValueError:
                raise BadConfig(f"--nodata {self.nodata[:40]} is no number: give one, nan, or none.") from None
        if self.page < 1:
            raise BadConfig(f"--page {self.page} was given: pages count from 1.")
        if self.crs:
            parse_crs(self.crs)

    @property
    def own_crs(self) -> CRS | None:
        """The coordinate system said to be the file's; None if nothing was said."""
        return parse_crs(self.crs) if self.crs else None

    def nodata_of(self, declared: float | None) -> float | None:
        """The value that stands for no data, given what the file declares."""
        if self.nodata == "":
            return declared
        return None if self.nodata == "none" else float(self.nodata)

    @property
    def is_plain(self) -> bool:
        """Whether everything is left to the file."""
        return self == PLAIN

    @property
    def words(self) -> str:
        """The command line's words that say the same, "" for none."""
        found = [] if self.nodata == "" else [f"--nodata {self.nodata}"]
        found += [] if self.page == 1 else [f"--page {self.page}"]
        found += [] if self.alpha else ["--no-alpha"]
        found += [f"--image-crs {self.crs}"] if self.crs else []
        return " ".join(found)


PLAIN = Reading()
"""Everything as the file says."""


def same_number(a: float | None, b: float | None) -> bool:
    """Whether two nodata values are the same, NaN and None included."""
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))
