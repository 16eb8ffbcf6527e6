"""Recipes of class maps: plain values, named like `loveda-bicor`; each a function that returns a `SemanticConfig`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from terraclick.errors import BadConfig
from terraclick.networks.recipe import Setting, check_published, same_as

__all__ = ["SEMANTIC_RECIPES", "SemanticConfig", "Views", "drone_map", "land_cover", "loveda", "potsdam", "vaihingen"]

Classes = tuple[tuple[str, str], ...]
"""(name, #rrggbb) in the order of the logits."""


@dataclass(frozen=True)
class Views:
    """Which views of a dataset's pictures a frozen encoder is shown: squares cut at several places and scales."""

    dataset: str
    """Its folder's name."""
    squares: int
    """Squares of each picture, at places and scales drawn by the seed; all but the first in another light."""
    least: float
    """Smallest scale: pixels of the picture to a pixel that the encoder sees."""
    most: float
    """Largest scale; the scales between are drawn by their logarithm."""

    def __post_init__(self) -> None:
        if self.squares < 1 or not 0 < self.least <= self.most:
            raise BadConfig(f"views of {self.dataset}: at least one square, and scales 0 < least <= most, are needed.")


LOVEDA: Classes = (
    ("background", "#ffffff"),
    ("building", "#e03c31"),
    ("road", "#f5c242"),
    ("water", "#2f6fd0"),
    ("barren", "#9b7fb5"),
    ("forest", "#1d7a34"),
    ("agriculture", "#f2a977"),
)
ISPRS: Classes = (
    ("impervious surface", "#ffffff"),
    ("building", "#2b4bd8"),
    ("low vegetation", "#3ed1d1"),
    ("tree", "#2fae3d"),
    ("car", "#f2e341"),
    ("clutter", "#d23b2f"),
)
LAND_COVER: Classes = (
    ("building", "#c0392b"),
    ("road", "#8d8d8d"),
    ("vegetation", "#2e9e45"),
    ("water", "#2f6fd0"),
    ("bare ground", "#d8c9a8"),
)
ISPRS_SET: dict[str, Any] = {"epochs": 45, "batch": 4, "crop": 768, "top_k": 1.0, "mosaic": 0.25}
DRONE: Classes = (
    ("building", "#c0392b"),
    ("clutter", "#8e7cc3"),
    ("vegetation", "#2e9e45"),
    ("water", "#2f6fd0"),
    ("ground", "#d8c9a8"),
    ("car", "#f2e341"),
)


@dataclass(frozen=True)
class SemanticConfig:
    """All that decides a training run of a class map."""

    name: str
    """The recipe's name, kept with the results."""
    layout: str
    """`loveda`, `isprs` (GeoSeg's folders of Vaihingen and Potsdam) or `terraclick` (docs/protocol.md)."""
    classes: Classes
    """Names and colours."""
    train_on: tuple[str, ...] = ("train",)
    """Parts that are trained on; for the terraclick layout names of datasets."""
    judge_on: tuple[str, ...] = ("val",)
    """Parts that are judged on."""
    merged: tuple[tuple[str, str], ...] = ()
    """`terraclick` layout only: (class of a dataset, class of the recipe) where the names differ."""
    held_out: tuple[str, ...] = ()
    """Pictures of `train_on` whose names begin so are judged on and not trained on."""
    uncounted: tuple[str, ...] = ()
    """Classes left out of the means (ISPRS: clutter)."""
    encoder: str = "convnext-base"
    """A name in `models.bicor.ENCODERS`."""
    bands: int = 3
    """Bands of the pictures that a ConvNeXt reads; a further one starts with the mean of the three."""
    weights: str | None = None
    """File of ImageNet weights for a ConvNeXt; None = random for ConvNeXt, the registry's for EfficientNet-Lite0."""
    frozen: bool = False
    """Whether the encoder stays as it is; its features are then computed once per picture and kept."""
    variants: int = 1
    """Frozen only: how many turned and mirrored copies of each picture are encoded (of the 8 there are)."""
    crop: int = 512
    """Side of a training crop in pixels; frozen: of the cut from the kept features, a multiple of 56."""
    views: tuple[Views, ...] = ()
    """Frozen only: how the pictures of a dataset are cut; those of other datasets are encoded whole."""
    side: int | None = None
    """Frozen only: pictures are resized to this side, a multiple of 56, before they are encoded."""
    balance: float | None = None
    """Frozen only: classes weigh their share of the pixels to this power (0 = all alike) when crops are drawn; None
    takes picture after picture."""
    embed: int = 256
    """Channels of the decoder; the last map has a sixteenth of them, which must suffice to tell the classes apart."""
    layers: int = 2
    """HBIS layers."""
    top_k: float = 0.02
    """Share of pixels an embedding is updated from."""
    decoder: str = "hbis"
    """`hbis` or `attention`."""
    setting: str = "parity"
    """`parity` or `paper`, see `models/bicor.py`."""
    heat: float = 0.1
    """Weight of heatmap supervision."""
    fisher: float = 1.0
    """Weight of the Fisher loss (whose λ₂ is inside)."""
    optimizer: str = "adamw"
    """`adamw` or `adam`."""
    rate: float = 8e-5
    """Peak learning rate; falls to `min_rate` along a cosine."""
    min_rate: float = 1e-6
    """Last learning rate."""
    schedule: str = "cosine"
    """How the learning rate falls: along a cosine to `min_rate`, or at "milestones" to a tenth."""
    milestones: tuple[float, ...] = ()
    """Shares of the steps after which it falls, where the schedule says so."""
    warm_up: int = 0
    """Steps over which it rises from nothing."""
    accumulate: int = 1
    """In how many parts a process computes its share of a batch: more need less memory, and a second forward pass."""
    precision: str = "float32"
    """float32, bfloat16 or float16 arithmetic (autocast) of a step."""
    average: float = 0.0
    """Decay of the running average of the weights, which is kept instead of them; 0 = none."""
    shares: tuple[tuple[str, float], ...] = ()
    """`terraclick` layout, encoders that are trained: (name of a dataset, its share of the crops); empty = by its
    number of pictures."""
    decay: float = 0.01
    """Weight decay."""
    lookahead: bool = True
    """Whether slow weights follow the fast ones (every 5 steps, half way)."""
    batch: int = 8
    """Pictures per step, over all processes; any number from 1."""
    epochs: float = 30
    """Passes over the training pictures."""
    seed: int = 0
    """Of weights, order and crops."""
    threads: int = 1
    """Numeric threads of a process."""
    clip: float | None = None
    """Largest norm of the gradient, None = any."""
    mosaic: float = 0.0
    """Chance that a training crop is made of four pictures' pieces."""
    published: bool = False
    """Whether it is called "as published": nothing in `sources` differs from it then."""
    sources: tuple[Setting, ...] = field(default=(), compare=False, repr=False)
    """Its settings beside those of the authors' configuration."""

    def __post_init__(self) -> None:
        if self.layout not in ("loveda", "isprs", "terraclick"):
            raise BadConfig(f"layout {self.layout!r} was given: choose loveda, isprs or terraclick.")
        if self.optimizer not in ("adamw", "adam"):
            raise BadConfig(f"optimizer {self.optimizer!r} was given: choose adamw or adam.")
        if self.batch < 1 or not self.epochs > 0 or not 1 <= self.variants <= 8:
            raise BadConfig("batch must be at least 1, epochs positive and variants 1 to 8: correct the recipe.")
        if self.encoder == "vit-s14" and not self.frozen:
            raise BadConfig("the encoder vit-s14 is not trained: set frozen=True, or take another encoder.")
        if self.balance is not None and (not self.frozen or not 0 <= self.balance <= 1):
            raise BadConfig(f"balance {self.balance} was given: 0 to 1, and for frozen encoders only.")
        if self.frozen and (self.side is None or self.side % 56 or self.crop % 56 or self.crop > self.side):
            raise BadConfig("frozen features need side and crop as multiples of 56, crop at most side: correct them.")
        check_published(self)
        self._check_loop()
        if not 0 <= self.mosaic <= 1 or (self.mosaic and self.frozen):
            raise BadConfig("mosaic is a chance from 0 to 1, and not for frozen encoders: correct the recipe.")
        if self.views and not self.frozen:
            raise BadConfig("views are for frozen encoders: leave them out, or set frozen=True.")
        strangers = {name for _, name in self.merged} - set(self.names)
        if strangers:
            raise BadConfig(f"merged leads to {', '.join(sorted(strangers))}: no class of the recipe is called so.")
        if not self.frozen and self.crop % 32:
            raise BadConfig(f"a crop of {self.crop} pixels was given: a multiple of 32 was expected.")

    def _check_loop(self) -> None:
        if self.schedule not in ("cosine", "milestones") or self.precision not in ("float32", "bfloat16", "float16"):
            raise BadConfig(
                f"schedule {self.schedule!r}, precision {self.precision!r}: choose cosine or milestones, and float32, "
                "bfloat16 or float16."
            )
        if self.bands < 3 or (self.bands > 3 and not self.encoder.startswith("convnext")):
            raise BadConfig(f"bands {self.bands} was given: 3 or more, and more for a ConvNeXt alone.")
        if self.accumulate < 1 or not 0 <= self.average < 1 or (self.shares and self.frozen):
            raise BadConfig("accumulate is 1 or more, average 0 to 1, and shares are not for frozen encoders.")

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return tuple(name for name, _ in self.classes)

    def view_of(self, dataset: str) -> Views | None:
        """How a dataset's pictures are cut; None where each is encoded whole."""
        return next((view for view in self.views if view.dataset == dataset), None)

    def squares_of(self, dataset: str) -> int:
        """How many squares each picture of a dataset gives."""
        view = self.view_of(dataset)
        return self.variants if view is None else view.squares


CODE = "the authors' configuration"
SETTLED: tuple[str, ...] = (
    "crop",
    "epochs",
    "batch",
    "rate",
    "min_rate",
    "decay",
    "optimizer",
    "lookahead",
    "layers",
    "top_k",
    "mosaic",
)
SETTLED += ("heat", "fisher", "clip", "embed", "encoder", "decoder", "setting", "uncounted")


def _told(recipe: SemanticConfig, *differences: Setting) -> SemanticConfig:
    """The recipe with its table: what differs, and the rest as the authors have it."""
    paths = {setting.path for setting in differences}
    same = same_as(recipe, CODE, *(name for name in (*SETTLED, "train_on") if name not in paths))
    return replace(recipe, sources=(*differences, *same))


def loveda() -> SemanticConfig:
    """LoveDA: ConvNeXt-B, trained on Train and Val as the authors do for the test server; judged on Val."""
    recipe = SemanticConfig("loveda-bicor", "loveda", LOVEDA, ("Train", "Val"), ("Val",))
    why = "the test server alone has the labels of Test; terraclick map writes its masks"
    return _told(recipe, Setting("judge_on", ("Test",), CODE, why))


def loveda_val() -> SemanticConfig:
    """LoveDA trained on Train alone and judged on Val, which it has not seen."""
    return replace(loveda(), name="loveda-val", train_on=("Train",), sources=())


def loveda_paper() -> SemanticConfig:
    """LoveDA by the paper's text where the code departs from it: Adam without Lookahead, the `paper` setting."""
    settings: dict[str, Any] = {"setting": "paper", "optimizer": "adam", "lookahead": False, "decay": 0.0}
    return replace(loveda(), name="loveda-paper", sources=(), **settings)


def vaihingen() -> SemanticConfig:
    """Vaihingen: 1024² pieces, crops of 768, 45 epochs, clutter trained on and not counted."""
    recipe = SemanticConfig(
        "vaihingen-bicor", "isprs", ISPRS, ("train",), ("test",), uncounted=("clutter",), **ISPRS_SET
    )
    why = "best on the test pieces, where the authors' reader looks too; their list keeps one training picture for it"
    return _told(replace(recipe, rate=5e-5), Setting("judge_on", ("val",), CODE, why))


def potsdam() -> SemanticConfig:
    """Potsdam: the same with three layers and twice the rate."""
    base = vaihingen()
    recipe = replace(base, name="potsdam-bicor", layers=3, rate=1e-4, sources=())
    return _told(recipe, base.sources[0])


def _ablation(name: str, **settings: Any) -> SemanticConfig:
    return replace(loveda_val(), name=f"loveda-{name}", **settings)


ABLATIONS: dict[str, dict[str, Any]] = {
    "attention": {"decoder": "attention", "heat": 0.0, "fisher": 0.0},
    "hbis": {"heat": 0.0, "fisher": 0.0},
    "hbis-fisher": {"heat": 0.0},
    "hbis-heat": {"fisher": 0.0},
    "layers-1": {"layers": 1},
    "layers-3": {"layers": 3},
    "top-k-0.005": {"top_k": 0.005},
    "top-k-0.1": {"top_k": 0.1},
    "top-k-0.5": {"top_k": 0.5},
}
"""Rows of tables 4 and 5 and of figure 3, each trained on Train and judged on Val."""


FROZEN: dict[str, Any] = {
    "encoder": "vit-s14",
    "frozen": True,
    "side": 336,
    "balance": 0.5,
    "embed": 128,
    "rate": 2e-3,
    "min_rate": 1e-5,
    "lookahead": False,
    "clip": 5.0,
    "batch": 8,
}
"""Settings of recipes on the frozen encoder of the click model."""


def drone_map() -> SemanticConfig:
    """Six classes of drone pictures (0.1 m) on the frozen encoder of the click model: minutes on one core."""
    data = ("train/dronedeploy_sample",), ("devtest/dronedeploy_sample",)
    return SemanticConfig("drone-map", "terraclick", DRONE, *data, variants=2, crop=168, epochs=12, **FROZEN)


def land_cover() -> SemanticConfig:
    """The shipped map model: five classes from Czech orthophotos and pictures of Dubai, on the click model's encoder.

    Both sets are used at 0.15 to 0.7 m as far as their resolution is known; three Czech map sheets are held out.
    """
    return SemanticConfig(
        "land-cover",
        "terraclick",
        LAND_COVER,
        ("train/cz_ortho", "train/dubai_tiles"),
        ("devtest/dubai_tile1",),
        merged=(("land", "bare ground"), ("unpaved", "bare ground")),
        held_out=("VYSK303_", "KROM371_", "OLOM88_"),
        views=(Views("cz_ortho", 3, 1.2, 5.0), Views("dubai_tiles", 4, 0.6, 1.6), Views("dubai_tile1", 1, 0.7, 1.4)),
        crop=112,
        epochs=20,
        **FROZEN,
    )


SEMANTIC_RECIPES: dict[str, Callable[[], SemanticConfig]] = {
    "loveda-bicor": loveda,
    "vaihingen-bicor": vaihingen,
    "potsdam-bicor": potsdam,
    "loveda-val": loveda_val,
    "loveda-paper": loveda_paper,
    **{f"loveda-{name}": partial(_ablation, name, **settings) for name, settings in ABLATIONS.items()},
    "drone-map": drone_map,
    "land-cover": land_cover,
}
"""Recipes by name."""
