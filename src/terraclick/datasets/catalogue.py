"""The datasets that can be prepared, by name. A new one is a module of this folder with `DECLARATIONS`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from terraclick.datasets.declaration import Declaration
from terraclick.errors import UnknownName

__all__ = ["DATASETS", "declaration_of", "markdown", "summary"]


def _declared() -> dict[str, Declaration]:
    """What the modules of this folder declare, by name."""
    home = __name__.rpartition(".")[0]
    files = [file.name for file in iter_modules(import_module(home).__path__, f"{home}.") if file.name != __name__]
    return {one.name: one for file in files for one in getattr(import_module(file), "DECLARATIONS", ())}


DATASETS: dict[str, Declaration] = _declared()
"""Every dataset that can be prepared, by name."""


def declaration_of(name: str) -> Declaration:
    """The declaration of a dataset. Raises UnknownName with the list."""
    if name not in DATASETS:
        raise UnknownName(f"no dataset {name!r} can be prepared. Known: {', '.join(DATASETS)}.")
    return DATASETS[name]


def summary() -> str:
    """The datasets and what each is, for the help text."""
    return "\n".join(f"{name:<13} {declaration_of(name).title}" for name in DATASETS)


def markdown(name: str) -> str:
    """The section of the docs on one dataset, from its declaration."""
    one = declaration_of(name)
    lines = [f"### {one.name}: {one.title}", "", f"{one.source}", "", f"Folders: {one.layout}.", ""]
    if one.gsd:
        lines += [f"Ground resolution: {one.gsd}.", ""]
    lines += ["| protocol | crop | overlap | further settings | published counts |", "|---|---|---|---|---|"]
    for protocol, settings in one.protocols.items():
        more = {"bands": settings.bands, "parts": ", ".join(settings.parts), "classes": ", ".join(settings.classes)}
        more |= {"smallest object": f"{settings.min_area} px" if settings.min_area > 1 else "", "deal": settings.deal}
        more |= {"empty crops": "kept" if settings.keep_empty else ""}
        told = "; ".join(f"{key}: {value}" for key, value in more.items() if value)
        counts = [f"{what}: {count}" for (table, what), count in one.counts.items() if table == protocol]
        counts += (
            [f"{one.drawn[protocol]} tasks drawn (`--limit {one.drawn[protocol]}`)"] if protocol in one.drawn else []
        )
        crop = f"{settings.crop} px" if settings.crop else "whole"
        lines.append(
            f"| {protocol} | {crop} | {settings.overlap} px | {told or 'none'} | {'; '.join(counts) or 'none'} |"
        )
    for what, table in (("Band sets", one.bands), ("Deals", one.deals)):
        if table:
            lines += ["", f"{what}: " + "; ".join(f"`{key}` {value}" for key, value in table.items()) + "."]
    if one.parts:
        lines += ["", f"Parts: {', '.join(f'`{part}`' for part in one.parts)}."]
    if one.remarks:
        lines += ["", one.remarks]
    return "\n".join([*lines, ""])
