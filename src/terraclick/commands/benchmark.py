"""The verb `benchmark`: several predictors, one protocol, one table and one figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from terraclick.errors import BadConfig

__all__ = ["protocol_of", "run", "weights_of"]


def protocol_of(preset: str, words: Mapping[str, Any]) -> Any:
    """The preset's `EvalProtocol` with what was asked for in its place; percentages become shares."""
    from terraclick import benchmark as room

    fields = [
        *("limit", "seed", "chance_draws", "references", "max_clicks", "min_area", "max_area", "size_groups"),
        *("reference_interval", "reference_scale"),
    ]
    chosen = {name: words[name] for name in fields if words.get(name) is not None}
    if words.get("iou") is not None:
        chosen["thresholds"] = tuple(level / 100 for level in words["iou"])
    if words.get("class_fill") is not None:
        chosen["class_fill"] = tuple(share / 100 for share in words["class_fill"])
    if words.get("stop_at") is not None:
        chosen["stop_at"] = _stop(words["stop_at"])
    if words.get("miou_at") is not None:
        chosen["miou_at"] = words["miou_at"]
    protocol = replace(room.preset(preset), **chosen)
    if words.get("miou_at") is not None and protocol.clicks_shown != protocol.miou_at:
        raise BadConfig(f"--miou-at {protocol.miou_at} must lie in 1 to {protocol.max_clicks}, the most clicks.")
    return protocol


def _stop(text: str) -> float:
    """An IoU in percent, or never. Raises BadConfig."""
    from terraclick.benchmark import NEVER

    try:
        return NEVER if text == "never" else float(text) / 100
    except ValueError:
        raise BadConfig(f"--stop-at {text}: give an IoU in percent, such as 95, or the word never.") from None


def weights_of(predictors: Sequence[str], given: Sequence[str]) -> dict[str, Path]:
    """Predictor → its weights, from texts PATH (for the only predictor) or NAME=PATH. Raises BadConfig."""
    found = {}
    for text in given:
        name, _, path = text.partition("=")
        if name not in predictors:
            if len(predictors) > 1:
                raise BadConfig(f"--weights {text}: with several predictors give NAME=PATH, NAME as in --predictor.")
            name, path = predictors[0], text
        if not Path(path).exists():
            raise BadConfig(f"--weights {path} does not exist: check the spelling and the folder.")
        found[name] = Path(path)
    return found


def run(
    predictors: Sequence[str],
    target: str,
    data: Path,
    words: Mapping[str, Any],
    tell: Callable[[Any], None],
    progress: Callable[[int, int], None],
) -> None:
    """Run every predictor by the protocol, print one table each and, for several, one that compares them."""
    from terraclick import benchmark as room
    from terraclick.compare import compared, cost_columns
    from terraclick.data.datasets import open_datasets
    from terraclick.files import check_output, write_text
    from terraclick.predictors.variants import composed
    from terraclick.values import Target

    for name in ("json_file", "markdown", "plot_file"):
        if words[name] is not None:
            check_output(words[name], overwrite=True)
    settings = {key: words[key.replace("-", "_")] for key in ("cfr", "cfr-clicks", "divisions", "device")}
    names = [composed(name, settings) for name in predictors]
    weights = weights_of(names, words["weights"]) if not any(settings.values()) else {}
    if any(settings.values()):
        plain = weights_of(predictors, words["weights"])
        weights = {composed(name, settings): path for name, path in plain.items()}
    if len(set(names)) < len(names):
        raise BadConfig(f"--predictor {names[-1]} was given twice: name each once.")
    protocol = protocol_of(words["preset"], words)
    datasets, reports = open_datasets(data), []
    for name in names:
        journal = words["resume"]
        if journal is not None and len(names) > 1:
            journal = journal.with_name(f"{journal.stem}.{name}{journal.suffix}")
        options = {"weights": weights[name]} if name in weights else {}
        found = room.run_benchmark(
            name, Target(target), datasets, protocol, journal, words["workers"], progress, options
        )
        reports.append(found)
    costs = cost_columns(names) if words["cost"] else {}
    text = "\n".join(report.to_markdown() for report in reports)
    if len(reports) > 1 or costs:
        text += "\n" + compared(reports, costs)
    tell(text)
    if words["json_file"] is not None:
        told = [report.to_json() | ({"cost": costs[report.predictor]} if report.predictor in costs else {})
                for report in reports]  # fmt: skip
        write_text(words["json_file"], json.dumps(told[0] if len(told) == 1 else told, indent=2) + "\n")
    if words["markdown"] is not None:
        write_text(words["markdown"], text)
    if words["plot_file"] is not None:
        room.plot(reports, words["plot_file"])
    if words["figures"] is not None:
        from terraclick.figures import draw_figures

        loaded = {name: {"weights": path} for name, path in weights.items()}
        draw_figures(names, Target(target), datasets, protocol, words["figures"], loaded)
        room.plot(reports, words["figures"] / "miou.png")
