"""Figures of papers: where several predictors agree with the truth, side by side, with their clicks and IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.catalogue import load, spec_of
from terraclick.data.datasets import Dataset
from terraclick.data.sample import Task
from terraclick.errors import require_extra
from terraclick.evaluate.insight import INSIGHTS
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.report import Report
from terraclick.evaluate.task import Clicked, asked, draw_tasks
from terraclick.files import replace_whole, writing
from terraclick.offline import packaged_fonts
from terraclick.predictors.variants import split_name
from terraclick.values import Reference, Target, Window

__all__ = ["AGREED", "MISSED", "TOO_MUCH", "agreement", "draw_figures", "plot", "plot_over"]

AGREED = (60, 200, 80)
"""RGB of pixels that truth and mask share."""
TOO_MUCH = (235, 60, 50)
"""RGB of pixels that only the mask has."""
MISSED = (255, 205, 40)
"""RGB of pixels that only the truth has."""

SIDE, HEAD, GAP, MOST = 360, 26, 6, 8


def agreement(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], mask: NDArray[np.bool_], ignore: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) under half-clear colours, `AGREED`, `TOO_MUCH`, `MISSED`; ignored pixels stay."""
    out = image.astype(np.float32)
    for where, colour in ((truth & mask, AGREED), (~truth & mask, TOO_MUCH), (truth & ~mask, MISSED)):
        out[where & ~ignore] = 0.45 * out[where & ~ignore] + 0.55 * np.array(colour, np.float32)
    return np.asarray(out.round(), np.uint8)


def draw_figures(
    names: Sequence[str],
    target: Target,
    datasets: Sequence[Dataset],
    protocol: EvalProtocol,
    folder: Path,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    steps: Sequence[int] = (),
) -> list[Path]:
    """Draw the first tasks of each dataset, at most `MOST`, to PNG files in a folder; returns them.

    A row of panels a task: the example where one is shown, the picture with the truth, then each predictor's agreement
    after its last click (or after each number of clicks in `steps`) and what goes on inside it, see `insight`.
    `options` go to each predictor.
    """
    predictors = {name: load(name, **(options or {}).get(name, {})) for name in names}
    files = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for dataset in datasets:
        for number, task in enumerate(draw_tasks(dataset, target, protocol)[:MOST]):
            answers = {
                name: [
                    asked(task, one, protocol).clicked(replace(protocol, max_clicks=count))
                    for count in steps or (protocol.max_clicks,)
                ]
                for name, one in predictors.items()
            }
            path = folder / f"{dataset.name}-{number + 1:02d}.png"
            done, coded = cv2.imencode(".png", np.ascontiguousarray(_row(task, answers, protocol)[..., ::-1]))
            assert done
            with replace_whole(path) as part:
                coded.tofile(part)
            files.append(path)
    return files


def _row(task: Task, answers: Mapping[str, Sequence[Clicked]], protocol: EvalProtocol) -> NDArray[np.uint8]:
    """The example, the truth and every predictor's panels, each cut around the task and titled."""
    image, (truth, ignore) = task.picture.image(), task.truth()
    masks = [answer.mask for several in answers.values() for answer in several]
    window = _around(truth | np.logical_or.reduce(masks))
    shown = task.references(protocol.references, protocol.reference_interval, protocol.reference_scale)
    panels = _examples(shown)
    panels.append(_panel(agreement(image, truth, truth, ignore), window, (), f"truth: {task.cls}"))
    for name, several in answers.items():
        for answer in several:
            reached = answer.ious[-1] if answer.ious else 0.0
            count = f"{len(answer.clicks)} click{'' if len(answer.clicks) == 1 else 's'}"
            text = f"{name}: IoU {100 * reached:.1f}, {count}"
            panels.append(_panel(agreement(image, truth, answer.mask, ignore), window, answer.clicks, text))
        last, shows = several[-1], spec_of(name).shows
        if shows:
            inside = INSIGHTS[shows](image, last.clicks, last.before, split_name(name)[1])
            panels += [_panel(drawn, window, last.clicks, title) for title, drawn in inside]
    gap = np.full((SIDE + HEAD, GAP, 3), 255, np.uint8)
    return np.hstack([part for panel in panels for part in (panel, gap)][:-1])


def _examples(shown: Sequence[Reference]) -> list[NDArray[Any]]:
    """The example's picture with the outline of what it shows in yellow and of what it excludes in red."""
    if not shown:
        return []
    drawn = np.ascontiguousarray(shown[0].image)
    for one in shown:
        rings, _ = cv2.findContours(one.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, rings, -1, MISSED if one.positive else TOO_MUCH, 2)
    around = _around(np.logical_or.reduce([one.mask for one in shown]))
    return [_panel(drawn, around, (), "example: " + ", ".join("yes" if one.positive else "no" for one in shown))]


def _around(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """(row, col, side) of a square around a mask with half of its size as margin; it may reach beyond the picture."""
    box = Window.around(mask)
    if box is None:
        return 0, 0, max(mask.shape)
    side = min(int(1.6 * (max(box.rows, box.cols) - 1) + 40), max(mask.shape))
    return (box.row + box.last_row - side) // 2, (box.col + box.last_col - side) // 2, side


def _panel(image: NDArray[np.uint8], window: tuple[int, int, int], clicks: Sequence[Any], title: str) -> NDArray[Any]:
    """A square part of a picture at `SIDE`, clicks as green and red dots, a title above; grey beyond the picture."""
    row, col, side = window
    out = np.full((side, side, 3), 200, np.uint8)
    top, left = max(row, 0), max(col, 0)
    part = image[top : max(row + side, 0), left : max(col + side, 0)]
    out[top - row : top - row + part.shape[0], left - col : left - col + part.shape[1]] = part
    scale = SIDE / side
    out = np.asarray(cv2.resize(out, (SIDE, SIDE), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST))
    for click in clicks:
        place = round((click.col - col + 0.5) * scale), round((click.row - row + 0.5) * scale)
        cv2.circle(out, place, 5, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(out, place, 4, (30, 160, 50) if click.positive else (210, 30, 30), -1, cv2.LINE_AA)
    head = np.full((HEAD, SIDE, 3), 255, np.uint8)
    said = title.encode("ascii", "replace").decode()
    cv2.putText(head, said[:56], (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack([head, out])


def plot_over(reports: Sequence[Report], setting: str, path: Path) -> None:
    """Draw the mean IoU after the first click over a setting of the protocols, a line a predictor, to a picture file.

    What stands before the last comma of a report's `predictor` tells the lines apart.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    lines: dict[str, list[tuple[float, float]]] = {}
    for report in reports:
        place = float(getattr(report.protocol, setting)), report.average()["miou"]["1"]
        lines.setdefault(report.predictor.rpartition(",")[0], []).append(place)
    for name, places in lines.items():
        values, reached = zip(*sorted(places), strict=True)
        axes.plot(values, reached, marker=".", label=f"{name}, references {reports[0].protocol.references}")
    axes.set(xlabel=setting.replace("_", " "), ylabel="mean IoU after the first click", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with replace_whole(path) as part:
        figure.savefig(part, dpi=120)
    pyplot.close(figure)


def _pyplot() -> Any:
    """Matplotlib's pyplot with the packaged fonts, drawing to files. Raises MissingExtra."""
    with require_extra("benchmark"):
        import matplotlib
    matplotlib.use("Agg")
    with packaged_fonts():
        from matplotlib import pyplot
    return pyplot


def plot(reports: Sequence[Report], path: Path) -> None:
    """Draw the mean IoU after each click of some reports (mean over datasets) to a picture file."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for report in reports:
        miou = report.average()["miou"]
        axes.plot([int(k) for k in miou], list(miou.values()), marker=".", label=report.predictor)
    axes.set(
        xlabel="clicks",
        ylabel="mean IoU",
        title=f"{reports[0].target.value} target",
        ylim=(0, 1),
        xticks=range(0, reports[0].protocol.max_clicks + 1, 2 if reports[0].protocol.max_clicks <= 20 else 10),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with replace_whole(path) as part:
        figure.savefig(part, dpi=120)
    pyplot.close(figure)
