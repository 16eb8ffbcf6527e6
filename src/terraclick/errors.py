"""Every error TerraClick raises on purpose, one family, so that a caller can catch the base or the leaf.

    TerraClickError
    ├── BadInput              something the user gave cannot be used
    │   ├── BadImage          the file is missing, damaged, too large to read safely, or not a raster
    │   ├── NotGeoreferenced  map coordinates were asked of an image that has none
    │   ├── BadClick          a click lies outside the image, is not finite, or no positive click was given
    │   ├── BadGrid           a transform that cannot be inverted, or bounds that miss the image
    │   └── BadData           a dataset folder, a session file or a polygon file that does not hold what it must
    ├── BadOutput             the result cannot be written there
    ├── UnknownName           no model, format, recipe or dataset of that name
    ├── BadWeights            a weights file that does not fit, is damaged, or asks to run code
    ├── BadConfig             settings that contradict each other
    ├── Conflict              the stored object is newer than the one being saved
    └── MissingExtra          an optional dependency is not installed

Messages are one sentence: what was given, what was expected, and the way out. Each class carries the exit code of the
command line and the HTTP status that mean it; a class of another room that does not say its own inherits both.
"""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "BadClick",
    "BadConfig",
    "BadData",
    "BadGrid",
    "BadImage",
    "BadInput",
    "BadOutput",
    "BadWeights",
    "Conflict",
    "MissingExtra",
    "NotGeoreferenced",
    "TerraClickError",
    "UnknownName",
    "require_extra",
]


class TerraClickError(Exception):
    """Base of everything raised on purpose; `str(error)` is one sentence fit for a user."""

    exit_code = 1
    """What the command line ends with: 2 where the user can mend what was given, 1 otherwise."""
    http_status = 422
    """What the server answers with."""


class BadInput(TerraClickError):
    """Something the user gave cannot be used."""

    exit_code = 2


class BadImage(BadInput):
    """The image file is missing, damaged, too large to read safely, or not a raster."""


class NotGeoreferenced(BadInput):
    """Map coordinates were asked of an image that has none."""


class BadClick(BadInput):
    """A click lies outside the image, is not finite, or no positive click was given."""


class BadGrid(BadInput):
    """A transform that cannot be inverted, or bounds that miss the image."""


class BadData(BadInput):
    """A dataset folder, session file or polygon file that does not hold what it must."""


class BadOutput(TerraClickError):
    """The result cannot be written there."""

    exit_code = 2
    http_status = 409


class UnknownName(TerraClickError):
    """No model, format, recipe or dataset of that name."""

    exit_code = 2
    http_status = 404


class BadWeights(TerraClickError):
    """A weights file that does not fit, is damaged, or asks to run code."""

    exit_code = 2
    http_status = 503


class BadConfig(TerraClickError):
    """Settings that contradict each other."""

    exit_code = 2


class Conflict(TerraClickError):
    """The stored object is newer than the one being saved: `mine` and `theirs` are the two (theirs None if deleted).

    `kept` is the uuid under which mine was kept beside theirs; None where it was not.
    """

    exit_code = 2
    http_status = 409

    def __init__(self, message: str, mine: object = None, theirs: object = None, kept: str | None = None) -> None:
        super().__init__(message)
        self.mine = mine
        self.theirs = theirs
        self.kept = kept


class MissingExtra(TerraClickError):
    """An optional dependency is not installed; the message names the extra."""

    exit_code = 2
    http_status = 501


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Around imports of optional packages: one that is missing becomes MissingExtra, which names it and the extra."""
    try:
        yield
    except ImportError as error:
        missing = (error.name or str(error)).split(".")[0]
        raise MissingExtra(f"{missing} is not installed: pip install 'terraclick[{extra}]'.") from error
