"""Validation while training: the benchmark's robot clicks held-out objects with the kept weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terraclick.data.datasets import open_datasets
from terraclick.errors import BadConfig
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.run import run_benchmark
from terraclick.values import Target

__all__ = ["Validation"]


@dataclass(frozen=True)
class Validation:
    """When and on what a running training is measured. It decides nothing about the weights: it is no recipe's."""

    data: Path | None = None
    """Folder of datasets that the recipe does not train on; class maps judge their own parts, and need none."""
    every: int = 20_000
    """Samples between measurements."""
    tasks: int = 4
    """Tasks per dataset, always the same ones."""

    def __post_init__(self) -> None:
        if self.every < 1 or self.tasks < 1:
            raise BadConfig(f"validation every {self.every} samples on {self.tasks} tasks: both must be at least 1.")

    def due(self, step: int, batch: int, steps: int) -> bool:
        """Whether it is measured after a step of so many samples: as often as `every` says, and after the last."""
        return step == steps or step * batch // self.every > (step - 1) * batch // self.every

    def clicks(self, network: str, options: Mapping[str, Any], target: Target = Target.OBJECT) -> dict[str, float]:
        """NoC and mIoU after five clicks of a network: {"noc80": clicks, …, "miou5": IoU, "tasks": count}.

        options: as in `load`, the weights among them. Raises BadConfig without datasets.
        """
        if self.data is None:
            raise BadConfig("validation needs a folder of datasets: give --validation FOLDER.")
        protocol = EvalProtocol(limit=self.tasks)
        report = run_benchmark(network, target, open_datasets(self.data), protocol, options=dict(options))
        average = report.average()
        figures = {f"noc{name}": value for name, value in average["noc"].items()}
        return figures | {"miou5": average["miou"]["5"], "tasks": float(average["objects"])}
