"""The command line: it finds the verbs in `commands/`, one file each, and turns every failure into one sentence.

Errors go to stderr: exit code 2 for something the user gave, 1 for anything else, 130 when stopped.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules

import click

from terraclick import __version__, commands
from terraclick.commands.options import Verb, VerbGroup
from terraclick.commands.output import tell
from terraclick.console import speak_utf8
from terraclick.errors import TerraClickError
from terraclick.offline import keep_no_traces, stay_offline

__all__ = ["cli", "main"]


def main(args: Sequence[str] | None = None) -> None:
    """The entry point: run the command line and exit; every failure is one sentence on stderr."""
    speak_utf8()
    stay_offline()
    keep_no_traces()
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    words = list(sys.argv[1:] if args is None else args)
    try:
        code = cli.main(words, prog_name="terraclick", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        code = _say("stopped; what was saved before is kept.", 130)
    except click.ClickException as error:
        code = _say(_with_help(error), error.exit_code)
    except BrokenPipeError:
        with suppress(OSError):
            sys.stdout.close()
        code = 0
    except Exception as error:
        if "--traceback" in words:
            raise
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _with_help(error: click.ClickException) -> str:
    """What click says; where a word is missing or unknown, also where the words are listed."""
    said = error.format_message()
    valued = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
    if valued or said.endswith("?") or not isinstance(error, click.UsageError) or error.ctx is None:
        return said
    return f"{said.rstrip('.')} (see: {error.ctx.command_path} --help)."


def _explain(error: Exception) -> int:
    if isinstance(error, TerraClickError):
        return _say(str(error), error.exit_code)
    from terraclick.files import FULL

    if isinstance(error, OSError) and error.errno in FULL:
        with suppress(OSError):  # what is left in its buffer finds no room either
            sys.stdout.close()
        return _say(f"the answer cannot be written: {error.strerror}; free some space, or send it elsewhere.", 2)
    if isinstance(error, MemoryError):
        return _say("not enough memory for this view: give smaller --bounds or a coarser --gsd.", 1)
    return _say(
        f"something went wrong inside TerraClick ({type(error).__name__}: {error}); "
        "run terraclick --traceback … and report what it prints.",
        1,
    )


def _say(sentence: str, code: int) -> int:
    tell("Error: " + " ".join(sentence.split()), err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="terraclick")
@click.option("--traceback", is_flag=True, help="Show Python's traceback when something goes wrong.")
def cli(traceback: bool) -> None:
    """Click on a thing in an aerial or satellite image, keep its georeferenced outline."""


for _file in iter_modules(commands.__path__, f"{commands.__name__}."):
    for _value in vars(import_module(_file.name)).values():
        if isinstance(_value, Verb | VerbGroup) and _value.name == _file.name.rpartition(".")[2].replace("_", "-"):
            cli.add_command(_value)


if __name__ == "__main__":
    main()
