"""Options that several verbs share, and the kind of command every verb is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from terraclick.commands.parameters import EXISTING, NEW
from terraclick.errors import BadConfig

if TYPE_CHECKING:
    from terraclick.values import Stretch

__all__ = [
    "SHOWN",
    "TARGET",
    "WEIGHTS_HELP",
    "Verb",
    "VerbGroup",
    "json_option",
    "reading_options",
    "stretch_of",
    "variant_of",
    "variant_options",
    "verb",
]

TARGET = click.Choice(["object", "class"])
SHOWN = ["none", "both", "positive", "negative", "swapped"]
IMAGES = ("image", "images", "scene")
"""Parameters that name images."""
WEIGHTS_HELP = "Folder of an exported model of your own, or a paper network's checkpoint."
VARIANT = (
    click.option("--divisions", metavar="N,…", help="CrossCut's divisions: 2, 3, 4, or several to be fused (MDF)."),
    click.option(
        "--cfr", metavar="N|adaptive", help="Answer each click N times more, each reading the answer before (CFR)."
    ),
    click.option("--cfr-clicks", metavar="N", help="Refine so for the first N clicks alone (default: all)."),
)


def variant_options(command: Any) -> Any:
    """The options that change how a model answers: they become part of its name, so that a session keeps them."""
    for option in reversed(VARIANT):
        command = option(command)
    return command


def variant_of(model: str, words: dict[str, Any]) -> str:
    """The model's name with the settings among `words`, which are taken out."""
    from terraclick.predictors.variants import composed

    keys = ("divisions", "cfr", "cfr-clicks", "device")
    return composed(model, {key: words.pop(key.replace("-", "_"), None) for key in keys})


READING = (
    click.option(
        "--nodata", metavar="V|none|file", help="The value that stands for no data (default: file, as it says)."
    ),
    click.option("--page", type=int, default=1, show_default=True, help="Which picture of a TIFF that holds several."),
    click.option("--alpha/--no-alpha", default=True, help="Whether an alpha band hides pixels (default: it does)."),
    click.option(
        "--image-crs", metavar="EPSG:N|file", help="The image's own coordinate system, where nothing says it."
    ),
)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how an image is to be read; the command gets them as one `reading`."""

    @wraps(command)
    def with_reading(**words: Any) -> None:
        from terraclick.geo.reading import Reading

        names = {"nodata": "nodata", "page": "page", "alpha": "alpha", "image_crs": "crs"}
        source = click.get_current_context().get_parameter_source
        said = frozenset(field for name, field in names.items() if source(name) is ParameterSource.COMMANDLINE)
        values = {field: words.pop(name) for name, field in names.items()}
        texts = {name: "" if values[name] in (None, "file") else values[name] for name in ("nodata", "crs")}
        command(reading=Reading(**{**values, **texts}, said=said), **words)

    for option in reversed(READING):
        with_reading = option(with_reading)
    return with_reading


json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")


class Verb(click.Command):
    """A command that writes over nothing it reads, whatever --overwrite allows."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, once its outputs are known to be none of its inputs."""
        new = [param.name or "" for param in self.params if param.type is NEW]
        outputs = [path for name in new for path in _paths(ctx.params.get(name))]
        if outputs:
            _check_apart(ctx, outputs)
        return super().invoke(ctx)


def _paths(value: Any) -> list[Path]:
    """The paths in what an option got."""
    if isinstance(value, tuple):
        return [path for part in value for path in _paths(part)]
    return [Path(value)] if value and str(value) != "-" else []


def _check_apart(ctx: click.Context, outputs: Sequence[Path]) -> None:
    from terraclick.files import check_apart
    from terraclick.geo.sidecars import sidecar_files

    params = [param for param in ctx.command.params if param.type is not NEW]
    read = [param.name or "" for param in params if param.type is EXISTING or param.name in (*IMAGES, "session")]
    if ctx.params.get("append"):
        read = [name for name in read if name != "session_references"]  # they come from the session that is added to
    inputs = [path for name in read for path in _paths(ctx.params.get(name))]
    images = [path for name in IMAGES for path in _paths(ctx.params.get(name))]
    check_apart(outputs, [*inputs, *(file for path in images for file in sidecar_files(path))])


class VerbGroup(click.Group):
    """A verb with verbs below it, of which `list` need not be said."""

    command_class = Verb

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of what begins with none of the verbs below."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


verb = partial(click.command, cls=Verb)
"""Makes a function a verb of the command line; its file in this folder is all that it takes."""


def stretch_of(text: str) -> Stretch:
    """auto, percent and none as they are, MIN,MAX as two numbers. Raises BadConfig."""
    if "," not in text:
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadConfig(f"--stretch {text}: give auto, percent, none or MIN,MAX.") from None
    return low, high
