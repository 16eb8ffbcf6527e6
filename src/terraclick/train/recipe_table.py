"""Recipes beside their sources, as a page: for each what is the same, what differs, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from terraclick.networks.recipe import Setting, differing, value_at
from terraclick.train.networks import NETWORK_RECIPES
from terraclick.train.semantic_recipes import SEMANTIC_RECIPES
from terraclick.train.table_rows import rows_page

__all__ = ["ALL_RECIPES", "recipe_page", "summary"]

ALL_RECIPES: Mapping[str, Callable[[], Any]] = {**NETWORK_RECIPES, **SEMANTIC_RECIPES}
"""Recipes of the papers' networks and of class maps by name."""


CHECKED = (
    "*Checked* says how sure the source's value is: read in the text of the paper, or in notes taken from the "
    "authors' code when it was at hand; *from memory* is neither, and may be wrong."
)

CLICK_CODE = frozenset(
    "steps batch rate milestones clip first erode others next_clicks passes episodes.scale_evenly episodes.side "
    "episodes.scale episodes.min_area episodes.merge episodes.turns episodes.colours episodes.augment loss shares "
    "episodes.asked".split()
)
NOTED: Mapping[str, frozenset[str]] = {
    "simpleclick": CLICK_CODE,
    "mfp": CLICK_CODE | {"first_depth", "passes"},
    "isrefiner": frozenset(
        "first first_depth next_clicks passes clip episodes.scale episodes.scale_evenly episodes.min_area "
        "episodes.merge episodes.augment".split()
    ),
    "crosscut": frozenset(
        "steps batch episodes.side episodes.scale episodes.scale_evenly episodes.augment shares first next_clicks clip "
        "config.divisions config.setting config.prompt_from episodes.asked episodes.turns loss".split()
    ),
    "refcut": CLICK_CODE | {"episodes.scale_evenly"},
    "ritm": frozenset("batch backbone_rate auxiliary episodes.side clip first loss".split()),
    "focalclick": frozenset(),
    "segnext": frozenset(),
    "bicor": frozenset(
        "crop epochs batch rate min_rate decay optimizer lookahead layers top_k mosaic heat fisher clip embed encoder "
        "decoder setting train_on judge_on".split()
    ),
}
"""Family → settings of its authors' code that the notes of that code hold."""

ICL_NOTED = frozenset("rate steps loss passes episodes.copy_paste episodes.image_mix".split())


def _checked(recipe: Any, setting: Setting) -> str:
    """How sure a value of a source is."""
    if "code" not in setting.where and "configuration" not in setting.where:
        return "paper" if setting.where.startswith("section") else "follows from our settings"
    noted = ICL_NOTED if "CFR-ICL" in setting.where else NOTED[getattr(recipe, "family", "bicor")]
    return "notes of the code" if setting.path in noted else "from memory"


def summary(name: str) -> str:
    """What a recipe is, in the words of its function's first line; that of a named variant by its name."""
    made = ALL_RECIPES[name]
    said = getattr(made, "func", made).__doc__
    return said.splitlines()[0] if said else f"the variant {name} of the paper's tables"


def recipe_page() -> str:
    """The page in Markdown: an overview, then a table for each recipe that has a source."""
    heads = "| recipe | what it is | settings compared | that differ |\n|---|---|---|---|"
    rows, parts = [], []
    for name, made in ALL_RECIPES.items():
        recipe = made()
        differs = differing(recipe)
        count = len(recipe.sources) or "–"
        shown = "none" if recipe.published else ", ".join(f"`{s.path}`" for s in differs) or "–"
        rows.append(f"| `{name}` | {_cell(summary(name))} | {count} | {shown} |")
        if recipe.sources:
            parts.append(_section(name, recipe))
    said = (
        "Each recipe that follows a paper is compared with the paper or its authors' configuration, setting by setting."
        " Variants without a table change what their name says, and are otherwise the recipe they are named after."
    )
    page = ["# Recipes beside their sources", said, CHECKED, "\n".join([heads, *rows]), rows_page(), *parts]
    return "\n\n".join(page) + "\n"


def _section(name: str, recipe: Any) -> str:
    ordered = sorted(recipe.sources, key=lambda setting: not setting.why)
    lines = [_row(recipe, setting) for setting in ordered]
    heads = "| setting | source says | where | checked | ours | why it differs |\n|---|---|---|---|---|---|"
    lines = [line.replace("| ? |", f"| {_checked(recipe, s)} |") for line, s in zip(lines, ordered, strict=True)]
    return f"## {name}\n\n{_cell(summary(name))}\n\n{heads}\n" + "\n".join(lines)


def _row(recipe: Any, setting: Setting) -> str:
    ours = value_at(recipe, setting.path)
    cells = (f"`{setting.path}`", _value(setting.source), setting.where, "?", _value(ours), setting.why)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _value(value: Any) -> str:
    """A setting for people: shares to four digits, tuples in words."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return ", ".join(" ".join(map(_value, v)) if isinstance(v, tuple) else _value(v) for v in value) or "none"
    return "none" if value is None else str(value)


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
