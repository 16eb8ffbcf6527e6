"""A finished benchmark: rows, averages with intervals, and the table with its protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from terraclick.core.noc import area_under_curve, bootstrap_interval, carried, failures, mean_iou_at, number_of_clicks
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.values import Target

__all__ = ["Report", "TaskResult"]


@dataclass(frozen=True)
class TaskResult:
    """One task done: IoU after each click, the last mask's boundary IoU, and seconds of the two slow parts."""

    dataset: str
    cls: str
    name: str
    ious: tuple[float, ...]
    boundary_iou: float
    encode_seconds: float
    click_seconds: float
    by_chance: tuple[tuple[float, ...], ...] = ()
    """IoU after each click of each draw of clicks by chance."""
    area: float = 0.0
    """Of the thing asked for, in m² where the picture's gsd is known, else in pixels."""
    in_metres: bool = False
    """Whether area is in m²."""


@dataclass(frozen=True)
class Report:
    """A finished benchmark: what was run, by which protocol, and every task's result."""

    predictor: str
    target: Target
    protocol: EvalProtocol
    results: tuple[TaskResult, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each dataset as a whole (class "all"), then one for each of its classes if it has several.

        Where the protocol asks for size groups, each of these is followed by its groups, the smallest first.
        """
        rows = []
        for dataset in sorted({result.dataset for result in self.results}):
            group = [result for result in self.results if result.dataset == dataset]
            names = sorted({result.cls for result in group})
            rows += self._with_sizes(dataset, "all", group)
            for name in names if len(names) > 1 else []:
                rows += self._with_sizes(dataset, name, [r for r in group if r.cls == name])
        return rows

    def _with_sizes(self, dataset: str, name: str, group: Sequence[TaskResult]) -> list[dict[str, Any]]:
        """The row of a class, then those of its size groups: quantiles of the area."""
        rows = [self._row(dataset, name, group)]
        if self.protocol.size_groups:
            ordered = sorted(group, key=lambda result: (result.area, result.name))
            for group_number, part in enumerate(np.array_split(np.arange(len(ordered)), self.protocol.size_groups)):
                some = [ordered[index] for index in part]
                if some:
                    unit = "m²" if all(result.in_metres for result in some) else "px"
                    said = f"{name}, {some[0].area:.4g} to {some[-1].area:.4g} {unit}"
                    rows.append(self._row(dataset, said, some) | {"group_of": name, "group": group_number})
        return rows

    def average(self) -> dict[str, Any]:
        """The mean over datasets of each figure; `interval` holds the 95 % bootstrap interval of each NoC and mIoU."""
        whole = [row for row in self.rows() if row["class"] == "all"]
        names = [f"{100 * threshold:g}" for threshold in self.protocol.thresholds]
        mean = {
            "objects": sum(row["objects"] for row in whole),
            "datasets": len(whole),
            "noc": {name: float(np.mean([row["noc"][name] for row in whole])) for name in names},
            "nof": {name: sum(row["nof"][name] for row in whole) for name in names},
            "miou": {k: float(np.mean([row["miou"][k] for row in whole])) for k in whole[0]["miou"]},
            "noc_by_chance": {
                name: [float(np.mean([row["noc_by_chance"][name][draw] for row in whole])) for draw in self._draws]
                for name in names
            },
        }
        for figure in ("auc", "boundary_iou", "seconds_per_click", "encode_seconds", "spc"):
            mean[figure] = float(np.mean([row[figure] for row in whole]))
        groups = [[r for r in self.results if r.dataset == row["dataset"]] for row in whole]
        mean["interval"] = {
            "noc": {name: self._interval(groups, self._noc(float(name) / 100)) for name in names},
            "miou": {str(k): self._interval(groups, self._iou_at(k)) for k in self.protocol.clicks_shown},
        }
        return mean

    def to_json(self) -> dict[str, Any]:
        """Everything a program would want."""
        return {
            "predictor": self.predictor,
            "target": self.target.value,
            "protocol": asdict(self.protocol),
            "rows": self.rows(),
            "average": {self.target.value: self.average()},
        }

    def to_markdown(self) -> str:
        """The table with the protocol beneath it."""
        names = [f"{100 * threshold:g}" for threshold in self.protocol.thresholds]
        heads = ["dataset", "class", "n", *(f"NoC@{n}" for n in names), *(f"NoF@{n}" for n in names)]
        by_chance = names if self._draws else []
        heads += [f"NoC@{n} by chance" for n in by_chance]
        steps = [str(k) for k in self.protocol.clicks_shown]
        heads += [*(f"mIoU@{k}" for k in steps), "AUC", "BIoU", "s/click", "SPC"]
        lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        average = self.average()
        for row in [*self.rows(), {**average, "dataset": "**mean of datasets**", "class": ""}]:
            cells = [row["dataset"], row["class"], str(row["objects"])]
            cells += [f"{row['noc'][n]:.2f}" for n in names] + [str(row["nof"][n]) for n in names]
            cells += [_mean_and_spread(row["noc_by_chance"][n]) for n in by_chance]
            cells += [f"{row['miou'][k]:.3f}" for k in steps]
            cells += [f"{row['auc']:.3f}", f"{row['boundary_iou']:.3f}", f"{row['seconds_per_click']:.3f}"]
            cells.append(f"{row['spc']:.3f}")
            lines.append("| " + " | ".join(cells) + " |")
        spans = ", ".join(
            f"NoC@{n} {average['noc'][n]:.2f} [{low:.2f}, {high:.2f}]"
            for n, (low, high) in average["interval"]["noc"].items()
        )
        lines += ["", f"{self.predictor}, {self.target.value} target; 95 % intervals: {spans}.", ""]
        return "\n".join([*lines, "Protocol: " + "; ".join(self.protocol.lines()) + ".", ""])

    def _row(self, dataset: str, name: str, group: Sequence[TaskResult]) -> dict[str, Any]:
        most = self.protocol.max_clicks
        ious = [result.ious for result in group]
        labels = {f"{100 * threshold:g}": threshold for threshold in self.protocol.thresholds}
        return {
            "dataset": dataset,
            "class": name,
            "target": self.target.value,
            "objects": len(group),
            "noc": {n: float(np.mean([number_of_clicks(i, t, most) for i in ious])) for n, t in labels.items()},
            "nof": {n: failures(ious, t, most) for n, t in labels.items()},
            "noc_by_chance": {
                n: [
                    float(np.mean([number_of_clicks(result.by_chance[draw], t, most) for result in group]))
                    for draw in self._draws
                ]
                for n, t in labels.items()
            },
            "miou": {str(k): mean_iou_at(ious, k) for k in range(1, most + 1)},
            "auc": float(np.mean([area_under_curve(i, most) for i in ious])),
            "boundary_iou": float(np.mean([result.boundary_iou for result in group])),
            "seconds_per_click": float(np.mean([result.click_seconds for result in group])),
            "encode_seconds": float(np.mean([result.encode_seconds for result in group])),
            "spc": _seconds_per_click(group),
        }

    @property
    def _draws(self) -> range:
        return range(self.protocol.chance_draws)

    def _noc(self, threshold: float) -> Callable[[TaskResult], float]:
        return lambda result: float(number_of_clicks(result.ious, threshold, self.protocol.max_clicks))

    def _iou_at(self, clicks: int) -> Callable[[TaskResult], float]:
        return lambda result: float(carried(result.ious, clicks)[-1])

    def _interval(self, groups: Sequence[Sequence[TaskResult]], figure: Callable[[TaskResult], float]) -> list[float]:
        rng = np.random.default_rng(self.protocol.seed)
        return list(bootstrap_interval([[figure(result) for result in group] for group in groups], rng))


def _seconds_per_click(group: Sequence[TaskResult]) -> float:
    """All seconds over all clicks, encoding included: SPC as papers count it."""
    clicks = [len(result.ious) for result in group]
    spent = sum(r.encode_seconds + r.click_seconds * n for r, n in zip(group, clicks, strict=True))
    return float(spent / max(sum(clicks), 1))


def _mean_and_spread(draws: Sequence[float]) -> str:
    """Mean over the draws of clicks by chance, and their standard deviation where there are several."""
    spread = f" ± {np.std(draws, ddof=1):.2f}" if len(draws) > 1 else ""
    return f"{np.mean(draws):.2f}{spread}"
