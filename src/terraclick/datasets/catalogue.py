"""The datasets that can be prepared, by name. A new one: its module, and its module's name here."""

from __future__ import annotations

from importlib import import_module

from terraclick.datasets.declaration import Declaration
from terraclick.errors import UnknownName

__all__ = ["DATASETS", "declaration_of", "markdown", "summary"]

DATASETS: dict[str, str] = {
    "isaid": "isaid",
    "deepglobe": "deepglobe",
    "inria": "inria",
    "potsdam": "isprs",
    "vaihingen": "isprs",
    "loveda": "loveda",
    "whu": "whu",
    "nwpu": "nwpu",
    "sandbar": "sandbar",
    "sbd": "sbd",
    "coco-lvis": "coco_lvis",
    "partimagenet": "partimagenet",
    "pascal-part": "pascal_part",
    "tda": "tda",
    "session": "session",
}
"""Name → the module of this package that declares it."""


def declaration_of(name: str) -> Declaration:
    """The declaration of a dataset. Raises UnknownName with the list."""
    if name not in DATASETS:
        raise UnknownName(f"no dataset {name!r} can be prepared. Known: {', '.join(DATASETS)}.")
    module = import_module(f"terraclick.datasets.{DATASETS[name]}")
    found: Declaration = next(one for one in module.DECLARATIONS if one.name == name)
    return found


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
