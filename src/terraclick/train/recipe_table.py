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
    "*Checked* says how sure the source's value is: read in the text of the paper, in the files of the authors' code "
    "that are named below, or in notes taken from that code when it was at hand; *from memory* is none of these, and "
    "may be wrong."
)

READ_IN = {
    "simpleclick": "uncbiag/SimpleClick f70b2e1, models/iter_mask/plainvit_base448_cocolvis_itermask.py",
    "simpleclick-icl": "a copy of CFR-ICL, senlin-ali/CFR-ICL-Interactive-Segmentation 0b29cdc, "
    "models/plainvit_base448_cocolvis.py and isegm/engine/trainer.py",
    "mfp": "cwlee00/MFP 83d48db, models/iter_mask/plainvit_base448_cocolvis_itermask_prevMod.py",
    "isrefiner": "wondelyan/VFM-ISRefiner 3d10f21, models/iter_mask/plainvit_base448_RSImage_itermask_prevMod.py",
    "crosscut": "nanzhou02/CrossCut 2029af8, models/iter_mask/plainvit_base448_crosscut.py",
    "ritm": "SamsungLabs/ritm_interactive_segmentation 6028618, models/iter_mask/hrnet32_cocolvis_itermask_3p.py, and "
    "a4b40c1, isegm/data/points_sampler.py",
    "focalclick": "alibaba/ClickSEG ae9b30a, models/focalclick/segformerB0_S2_cclvs.py, segformerB3_S2_cclvs.py, "
    "isegm/data/points_sampler.py, aligned_augmentation.py; 2c5e58e, isegm/model/is_segformer_model.py",
    "segnext": "uncbiag/SegNext 5505398, segnext/models/default/plainvit_base1024_cocolvis_sax2.py, segnext/train.py",
    "bicor": "ShiJinghao566/BiCoR-Seg 13b1fba, config/loveda/bicor.py; 516a777, config/potsdam/bicor.py; 3dc3f9f, "
    "config/vaihingen/bicor.py (which has crops of 512; the notes say 768)",
}
"""Family, or a recipe that has a source of its own → the files in which `READ` was read."""

_ISEGM = frozenset(
    "steps batch rate milestones clip first erode others next_clicks loss tuning shares episodes.asked episodes.side "
    "episodes.scale episodes.scale_evenly episodes.min_area episodes.merge episodes.turns episodes.colours "
    "episodes.augment episodes.copy_paste episodes.image_mix".split()
)
"""What a training script of the isegm family states, with the defaults of its sampler."""

READ: Mapping[str, frozenset[str]] = {
    "simpleclick": _ISEGM,
    "simpleclick-icl": _ISEGM | {"passes"},
    "mfp": _ISEGM - {"erode", "others"} | {"first_depth"},
    "isrefiner": _ISEGM - {"erode", "others"} | {"first_depth"},
    "crosscut": _ISEGM | {"config.divisions"},
    "ritm": _ISEGM | {"auxiliary"},
    "focalclick": _ISEGM | {"passes", "first_depth", "refine", "backbone_rate"},
    "segnext": _ISEGM,
    "bicor": frozenset(
        "epochs batch rate min_rate decay optimizer lookahead layers top_k mosaic heat train_on encoder".split()
    ),
}
"""Family, or recipe → its settings that `READ_IN` states."""

NOTED: Mapping[str, frozenset[str]] = {
    "simpleclick": frozenset({"passes"}),
    "mfp": frozenset({"passes"}),
    "isrefiner": frozenset({"passes"}),
    "crosscut": frozenset({"config.setting", "config.prompt_from"}),
    "refcut": _ISEGM | {"passes"},
    "ritm": frozenset({"backbone_rate"}),
    "bicor": frozenset("crop judge_on top_k fisher clip embed decoder setting".split()),
}
"""Family → further settings of its authors' code that the notes of that code hold."""


def _checked(recipe: Any, setting: Setting) -> str:
    """How sure a value of a source is."""
    where, family = setting.where, getattr(recipe, "family", "bicor")
    if where.startswith("section"):
        return "paper"
    if where.endswith("from memory"):
        return "from memory"
    if "code" not in where and "configuration" not in where:
        return "follows from our settings"
    if setting.path in READ.get(recipe.name, READ.get(family, frozenset())):
        return "the code" if (recipe.name, setting.path) not in NOT_READ else "notes of the code"
    return "notes of the code" if setting.path in NOTED.get(family, ()) else "from memory"


NOT_READ = {("vaihingen-bicor", "top_k"), ("potsdam-bicor", "top_k")}
"""What a recipe's file leaves to a default that is in none of the files."""


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
    read = "\n".join(f"- {name}: {files}" for name, files in READ_IN.items())
    page = ["# Recipes beside their sources", said, CHECKED, read, "\n".join([heads, *rows]), rows_page(), *parts]
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
