"""Validation while training: the benchmark's robot clicks held-out objects with the averaged weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from terraclick.data.datasets import open_datasets
from terraclick.errors import BadConfig
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.run import run_benchmark
from terraclick.train.export import export
from terraclick.values import Target

__all__ = ["Validation"]


@dataclass(frozen=True)
class Validation:
    """What a running training is measured on. It decides nothing about the weights, so it is no part of a recipe."""

    data: Path
    """Folder of datasets that the recipe does not train on."""
    every: int = 20_000
    """Samples between measurements."""
    tasks: int = 4
    """Object tasks per dataset, always the same ones."""

    def __post_init__(self) -> None:
        if self.every < 1 or self.tasks < 1:
            raise BadConfig(f"validation every {self.every} samples on {self.tasks} tasks: both must be at least 1.")

    def due(self, before: int, now: int) -> bool:
        """Whether a measurement falls between two numbers of samples."""
        return now // self.every > before // self.every

    def measure(self, weights: Path, threads: int = 1) -> dict[str, float]:
        """NoC and mIoU after five clicks of a `click_net.pt`: {"noc80": clicks, …, "miou5": IoU, "tasks": count}."""
        with TemporaryDirectory(prefix="terraclick-validation-") as folder:
            options = {"weights": export(weights, Path(folder)), "threads": threads}
            report = run_benchmark(
                "terra", Target.OBJECT, open_datasets(self.data), EvalProtocol(limit=self.tasks), options=options
            )
        average = report.average()
        figures = {f"noc{name}": value for name, value in average["noc"].items()}
        return figures | {"miou5": average["miou"]["5"], "tasks": float(average["objects"])}
