"""What verbs say: lines for people, JSON for programs, warnings and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from terraclick.console import printable, printable_json
from terraclick.errors import require_extra

__all__ = ["counted", "import_room", "print_answer", "progress_of", "tell", "tell_json", "warn"]


def tell(text: Any, err: bool = False) -> None:
    """Print lines of text; what they hold of files and classes cannot command the terminal."""
    click.echo("\n".join(printable(line) for line in str(text).split("\n")), err=err)


def tell_json(text: str) -> None:
    """Print a JSON text, or GeoJSON."""
    click.echo(printable_json(text))


def warn(line: str) -> None:
    """Say a line on stderr."""
    tell(printable(line), err=True)


def print_answer(found: Any, as_json: bool, lines: Sequence[str]) -> None:
    """Print what was found: as JSON, or as lines."""
    if as_json:
        tell_json(json.dumps(found, indent=2, default=str))
    else:
        tell("\n".join(map(printable, lines)))


def counted(count: int, thing: str) -> str:
    """A number and its noun: 1 object, 2 objects."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def progress_of(things: str) -> Callable[[int, int], None]:
    """A counter on stderr, only for runs of many and only where somebody watches."""
    watched = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if watched and total > 1:
            click.echo(f"\r{done}/{total} {things}", nl=done == total, err=True)

    return show


def import_room(name: str, extra: str) -> Any:
    """A room that needs an optional package. Raises MissingExtra naming the extra."""
    with require_extra(extra):
        return import_module(name)
