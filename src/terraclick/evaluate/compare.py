"""Several benchmarks side by side: one row a dataset and predictor, with what each network costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terraclick.catalogue import NETWORKS
from terraclick.evaluate.report import Report
from terraclick.predictors.variants import base_name

__all__ = ["compared", "cost_columns"]


def cost_columns(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parameters and FLOPs of those predictors that are papers' networks, measured here. Needs torch."""
    from dataclasses import asdict

    from terraclick.cost import costs

    networks = [name for name in names if base_name(name) in NETWORKS]
    return {one.name: asdict(one) for one in costs(networks)} if networks else {}


def compared(reports: Sequence[Report], costs: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A table of the mean over datasets and of each dataset, predictors below each other."""
    costs = costs or {}
    protocol = reports[0].protocol
    levels = [f"{100 * threshold:g}" for threshold in protocol.thresholds]
    steps = [str(k) for k in protocol.clicks_shown]
    heads = ["dataset", "predictor", *(f"NoC@{n}" for n in levels), *(f"NoF@{n}" for n in levels)]
    heads += [*(f"mIoU@{k}" for k in steps), "SPC"]
    heads += ["M parameters", "M trained", "GFLOP a view", "GFLOP a click"] if costs else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    shown = {report.predictor: report.rows() for report in reports}
    datasets = [row["dataset"] for row in shown[reports[0].predictor] if row["class"] == "all"]
    for dataset in [*(datasets if len(datasets) > 1 else ()), None]:
        for report in reports:
            if dataset is None:
                row = {**report.average(), "dataset": "**mean of datasets**" if len(datasets) > 1 else datasets[0]}
            else:
                rows = shown[report.predictor]
                row = next(row for row in rows if row["dataset"] == dataset and row["class"] == "all")
            cells = [row["dataset"], report.predictor]
            cells += [f"{row['noc'][n]:.2f}" for n in levels] + [str(row["nof"][n]) for n in levels]
            cells += [f"{row['miou'][k]:.3f}" for k in steps] + [f"{row['spc']:.3f}"]
            if costs:
                one = costs.get(report.predictor)
                amounts = ("parameters", 1e6), ("trainable", 1e6), ("gflops_view", 1), ("gflops_click", 1)
                cells += [f"{one[key] / unit:.1f}" if one else "–" for key, unit in amounts]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
