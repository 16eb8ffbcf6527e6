"""How an image is to be read where the file alone does not say it, or says it wrongly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pyproj import CRS

from terraclick.errors import BadConfig
from terraclick.geo.crs_text import parse_crs

__all__ = ["PLAIN", "Reading"]


@dataclass(frozen=True)
class Reading:
    """What the user says of a file; every default leaves it to the file.

    nodata: the value that stands for no data in every band, "none" = every value is data, "" = as the file declares.
    page: which picture of a TIFF of several, from 1.
    alpha: whether an alpha band hides pixels; False makes it a band like the others.
    crs: EPSG:n or ESRI:n, the coordinate system of the file's own coordinates; "" = as the file or its sidecars say.
    said: names of fields that were given although they say the default, so that they stand against a stored one.
    Raises BadConfig for what is none of these.
    """

    nodata: str = ""
    page: int = 1
    alpha: bool = True
    crs: str = ""
    said: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

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

    def over(self, stored: Reading) -> Reading:
        """This reading, with what it leaves open taken from the one that a session keeps for the image."""
        own = self.told() | {name: getattr(self, name) for name in self.said}
        return Reading(**{**stored.told(), **own})

    def differs(self, stored: Reading) -> str:
        """What was said here otherwise than a session keeps it, as words of the command line; "" for nothing."""
        kept = self.over(stored)
        changed = [name for name, value in stored.told().items() if getattr(kept, name) != value]
        return Reading(**{name: getattr(stored, name) for name in changed}).words

    def told(self) -> dict[str, Any]:
        """The fields that say more than the default, as JSON values."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "said"}
        return {name: value for name, value in found.items() if value != getattr(PLAIN, name)}

    def to_text(self) -> str:
        """The same as JSON text, as a session keeps it; "" where everything is left to the file."""
        return json.dumps(self.told()) if self.told() else ""

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Reading:
        """The reading that `told` gave. Raises BadConfig for what is none."""
        kinds = {"nodata": str, "page": int, "alpha": bool, "crs": str}
        for name, value in values.items():
            if type(value) is not kinds.get(name):
                raise BadConfig(f"{name[:40]!r} of its reading cannot be used")
        return cls(**values)

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
