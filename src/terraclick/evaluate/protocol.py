"""Everything that decides a table of clicks, and the settings of the papers by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from terraclick.data.datasets import NO_TASK
from terraclick.data.sample import REFERENCES
from terraclick.errors import BadConfig, UnknownName
from terraclick.evaluate.robots import DEEPEST, ROBOTS
from terraclick.values import MASK_THRESHOLD

__all__ = ["NEVER", "PRESETS", "EvalProtocol", "preset"]


@dataclass(frozen=True)
class EvalProtocol:
    """Everything that decides a table's figures; printed with it."""

    thresholds: tuple[float, ...] = (0.80, 0.85, 0.90)
    """IoU to be reached, ascending. Clicking stops at the highest; its IoU is carried forward."""
    max_clicks: int = 20
    """Clicks after which a task counts as failed (RITM: also when the last click just reaches the threshold)."""
    mask_threshold: float = MASK_THRESHOLD
    """Probability above which a pixel is in the mask."""
    min_area: int = 256
    """Smallest object in pixels."""
    max_area: int | None = None
    """Objects must be smaller than this, in pixels (for tables of small things)."""
    class_fill: tuple[float, float] = (0.005, 0.80)
    """A class is a task where it fills this share of the picture."""
    no_task: tuple[str, ...] = tuple(sorted(NO_TASK))
    """Classes that are never a task."""
    robot: str = DEEPEST
    """Who clicks, one of `ROBOTS`."""
    chance_draws: int = 0
    """How many more times each task is clicked by chance: inside the deeper error, the deeper the likelier."""
    limit: int | None = None
    """Tasks drawn per dataset; None for all."""
    seed: int = 0
    """Seed of that draw."""
    references: str = "none"
    """What the predictor is shown of the next picture with the class: none, both masks, positive, negative, swapped."""
    stop_at: float | None = None
    """IoU at which clicking stops; None for the highest threshold, above 1 for never."""
    miou_at: tuple[int, ...] = (1, 3, 5)
    """Numbers of clicks whose mean IoU the table shows; the JSON file has them all."""
    combinations: bool = False
    """Whether object tasks are parts, pairs of connected parts and wholes (RefCut's combination evaluation)."""
    reference_interval: int = 1
    """The example's masks go straight between every n-th point of their outlines (RefCut, figure 5a)."""
    reference_scale: float = 1.0
    """How much larger the example is shown (RefCut, figure 5b)."""
    box: bool = False
    """Whether an object is first shown by the box around its label, which counts as a click."""
    size_groups: int = 0
    """How many groups of equal numbers of tasks, by area, each class and dataset is also shown in."""

    def __post_init__(self) -> None:
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise BadConfig(f"thresholds {self.thresholds} must be ascending and different, such as 0.80,0.85,0.90.")
        if not 0 < self.thresholds[0] <= self.thresholds[-1] <= 1:
            raise BadConfig(f"thresholds {self.thresholds} must lie in 0–1 (80 means 0.80 on the command line).")
        if self.robot not in ROBOTS:
            raise BadConfig(f"robot {self.robot!r} is not known: give one of {', '.join(ROBOTS)}.")
        if self.references not in REFERENCES:
            raise BadConfig(f"references {self.references!r} are not known: give one of {', '.join(REFERENCES)}.")
        if self.max_clicks < 1:
            raise BadConfig(f"max_clicks {self.max_clicks} must be at least 1.")
        if self.chance_draws < 0:
            raise BadConfig(f"chance_draws {self.chance_draws} must be 0 (none) or more.")
        if self.size_groups < 0 or self.size_groups == 1:
            raise BadConfig(f"size_groups {self.size_groups} must be 0 (none) or at least 2.")
        if self.reference_interval < 1 or not 0 < self.reference_scale <= 10:
            raise BadConfig("reference_interval must be at least 1, reference_scale above 0 and at most 10.")
        if not all(k >= 1 for k in self.miou_at):
            raise BadConfig(f"miou_at {self.miou_at} must be numbers of clicks from 1 on.")
        if self.stop_at is not None and self.stop_at < self.thresholds[-1]:
            raise BadConfig(f"stop_at {self.stop_at} must not lie below the highest threshold {self.thresholds[-1]}.")

    @property
    def clicks_shown(self) -> tuple[int, ...]:
        """Those of `miou_at` that are not beyond the last click."""
        return tuple(k for k in self.miou_at if k <= self.max_clicks)

    @property
    def stops(self) -> float:
        """IoU at which clicking stops."""
        return self.thresholds[-1] if self.stop_at is None else self.stop_at

    def lines(self) -> list[str]:
        """The protocol as text, one setting a line."""
        return [f"{name.replace('_', ' ')}: {value}" for name, value in asdict(self).items()]


NEVER = 1.01
"""An IoU that no mask reaches: clicking goes on to the last click, as for curves of mean IoU."""

PRESETS: dict[str, EvalProtocol] = {
    "default": EvalProtocol(),
    "crosscut": EvalProtocol(thresholds=(0.70, 0.75, 0.80), stop_at=NEVER, miou_at=(5, 10, 20)),
    "isrefiner": EvalProtocol(thresholds=(0.80, 0.85, 0.90), stop_at=NEVER, miou_at=(1, 5, 10, 20)),
    "segmap": EvalProtocol(thresholds=(0.80, 0.85, 0.90, 0.95), stop_at=NEVER, min_area=1, miou_at=(1, 3, 5, 10)),
    "refcut": EvalProtocol(thresholds=(0.80, 0.85, 0.90), references="both", miou_at=(1,)),
    "refcut-combinations": EvalProtocol(
        thresholds=(0.80, 0.85, 0.90), references="both", miou_at=(1,), combinations=True
    ),
    "small": EvalProtocol(min_area=64, max_area=256),
}


def preset(name: str) -> EvalProtocol:
    """A protocol by name. Raises UnknownName with the list."""
    if name not in PRESETS:
        raise UnknownName(f"no preset {name!r}. Known: {', '.join(PRESETS)}.")
    return PRESETS[name]
