"""How many clicks does it take? A robot clicks, a predictor answers, and the protocol is printed with every table.

`run_benchmark` gives a `Report`: one result per task (IoU after every click), summed up by dataset and class, then as
the mean over datasets with a bootstrap interval. Finished tasks go to a journal at once: a killed run goes on there.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.catalogue import load, spec_of
from terraclick.core.masks import boundary_iou, iou
from terraclick.core.noc import area_under_curve, bootstrap_interval, carried, failures, mean_iou_at, number_of_clicks
from terraclick.core.predictor import Predictor
from terraclick.core.session import Session
from terraclick.core.simulate import chance_click, next_click
from terraclick.data.combinations import combination_tasks
from terraclick.data.datasets import NO_TASK, Dataset, class_tasks, object_tasks
from terraclick.data.sample import REFERENCES, Task
from terraclick.errors import BadConfig, BadData, UnknownName, require_extra
from terraclick.files import replace_whole, write_text, writing
from terraclick.offline import packaged_fonts
from terraclick.predictors.variants import base_name
from terraclick.values import MASK_THRESHOLD, Click, Target

__all__ = [
    "NEVER",
    "PRESETS",
    "EvalProtocol",
    "Report",
    "TaskResult",
    "click_through",
    "draw_tasks",
    "plot",
    "preset",
    "run_benchmark",
    "run_task",
]

Mask = NDArray[np.bool_]
Robot = Callable[[Mask, Sequence[Click]], Click | None]


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
    ignore: int = 255
    """Class id of pixels that count neither way."""
    robot: str = "RITM: deepest point of the deeper error"
    """Who clicks."""
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
    size_groups: int = 0
    """How many groups of equal numbers of tasks, by area, each class and dataset is also shown in."""

    def __post_init__(self) -> None:
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise BadConfig(f"thresholds {self.thresholds} must be ascending and different, such as 0.80,0.85,0.90.")
        if not 0 < self.thresholds[0] <= self.thresholds[-1] <= 1:
            raise BadConfig(f"thresholds {self.thresholds} must lie in 0–1 (80 means 0.80 on the command line).")
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


@dataclass(frozen=True, eq=False)
class Clicked:
    """A task clicked through: IoU after each click, the last mask (H, W), the clicks, seconds of all clicks."""

    ious: tuple[float, ...]
    mask: Mask
    clicks: tuple[Click, ...]
    seconds: float


def draw_tasks(dataset: Dataset, target: Target, protocol: EvalProtocol) -> list[Task]:
    """The dataset's tasks by the protocol: all of them, or `limit` drawn by `seed`, in file order."""
    tasks: Sequence[Task]
    if protocol.combinations and target is Target.OBJECT:
        tasks = combination_tasks(dataset)
    elif target is Target.OBJECT:
        tasks = object_tasks(dataset, protocol.min_area, protocol.max_area)
    else:
        tasks = class_tasks(dataset, protocol.class_fill)
    if protocol.limit is not None and len(tasks) > protocol.limit:
        chosen = np.random.default_rng(protocol.seed).choice(len(tasks), protocol.limit, replace=False)
        tasks = [tasks[index] for index in sorted(chosen)]
    return list(tasks) if protocol.references == "none" else [task.with_example(dataset) for task in tasks]


def run_task(
    task: Task, predictor: Predictor, protocol: EvalProtocol, clock: Callable[[], float] = time.perf_counter
) -> TaskResult:
    """Let the robot click one task until the highest threshold is reached, the mask is perfect or clicks run out."""
    truth, ignore = task.truth()
    view = task.picture.view()
    started = clock()
    encoded = predictor.encode(view)
    encode_seconds = clock() - started
    references = task.references(protocol.references, protocol.reference_interval, protocol.reference_scale)

    def click_through(robot: Robot) -> Clicked:
        session = Session(task.target, references)
        return _click_through(session, predictor, encoded, (truth, ignore), robot, protocol, clock)

    def by_chance_with(rng: np.random.Generator) -> Robot:
        return lambda mask, _: chance_click(mask, truth, rng, ignore)

    done = click_through(lambda mask, clicks: next_click(mask, truth, ignore, clicks))
    by_chance = []
    for draw in range(protocol.chance_draws):
        rng = np.random.default_rng([protocol.seed, draw, *task.name.encode()])
        by_chance.append(click_through(by_chance_with(rng)).ious)
    edge = boundary_iou(done.mask, truth, ignore)
    each = done.seconds / max(len(done.ious), 1)
    area, square = float(np.count_nonzero(truth)), None if view.gsd is None else view.gsd**2
    size = (area if square is None else area * square), square is not None
    return TaskResult(task.dataset, task.cls, task.name, done.ious, edge, encode_seconds, each, tuple(by_chance), *size)


def click_through(task: Task, predictor: Predictor, protocol: EvalProtocol) -> Clicked:
    """What `run_task` does, with the mask and the clicks that figures show."""
    truth, ignore = task.truth()
    shown = task.references(protocol.references, protocol.reference_interval, protocol.reference_scale)
    session, encoded = Session(task.target, shown), predictor.encode(task.picture.view())
    robot: Robot = lambda mask, clicks: next_click(mask, truth, ignore, clicks)  # noqa: E731
    return _click_through(session, predictor, encoded, (truth, ignore), robot, protocol, lambda: 0.0)


def _click_through(
    session: Session,
    predictor: Predictor,
    encoded: Any,
    labels: tuple[Mask, Mask],
    robot: Robot,
    protocol: EvalProtocol,
    clock: Callable[[], float],
) -> Clicked:
    """Let a robot click until the IoU to stop at is reached, the mask is perfect or clicks run out."""
    truth, ignore = labels
    mask, ious, seconds = np.zeros(truth.shape, np.bool_), list[float](), 0.0
    while len(ious) < protocol.max_clicks and (not ious or ious[-1] < protocol.stops):
        click = robot(mask, session.clicks)
        if click is None:
            break
        started = clock()
        session = session.add(click, predictor, encoded)
        seconds += clock() - started
        latest = session.latest
        assert latest is not None
        mask = latest.probs > protocol.mask_threshold
        ious.append(iou(mask, truth, ignore))
    return Clicked(tuple(ious), mask, tuple(session.clicks), seconds)


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
            for part in np.array_split(np.arange(len(ordered)), self.protocol.size_groups):
                some = [ordered[index] for index in part]
                if some:
                    unit = "m²" if all(result.in_metres for result in some) else "px"
                    rows.append(self._row(dataset, f"{name}, {some[0].area:.4g} to {some[-1].area:.4g} {unit}", some))
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


def run_benchmark(
    predictor: str,
    target: Target,
    datasets: Sequence[Dataset],
    protocol: EvalProtocol,
    journal: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    options: dict[str, Any] | None = None,
) -> Report:
    """Run a predictor, by name, over all tasks of some datasets.

    `journal` receives each finished task and is read first; `workers` processes share the tasks, one thread each;
    `options` go to the predictor. Raises BadData if there is no task or the journal is another run's.
    """
    tasks = [task for dataset in datasets for task in draw_tasks(dataset, target, protocol)]
    if not tasks:
        raise BadData(
            f"no {target.value} task in {', '.join(d.name for d in datasets)} by this protocol: check --data."
        )
    options = options or {}
    done = _read_journal(journal, _key(predictor, target, protocol, options))
    left = [task for task in tasks if task.name not in done]
    report = progress or (lambda finished, total: None)
    report(len(tasks) - len(left), len(tasks))
    for result in _run(left, predictor, protocol, workers, options):
        done[result.name] = result
        if journal is not None:
            with writing(journal), journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")
        report(sum(task.name in done for task in tasks), len(tasks))
    return Report(predictor, target, protocol, tuple(done[task.name] for task in tasks))


def _run(
    tasks: Sequence[Task], predictor: str, protocol: EvalProtocol, workers: int, options: dict[str, Any]
) -> Iterator[TaskResult]:
    """Results in the order they are finished."""
    if workers <= 1 or len(tasks) <= 1:
        loaded = load(predictor, **options)
        for task in tasks:
            yield run_task(task, loaded, protocol)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (predictor, protocol, options)) as pool:
        waiting = [pool.submit(_work, task) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_worker: dict[str, Any] = {}


def _start_worker(predictor: str, protocol: EvalProtocol, options: dict[str, Any]) -> None:
    """Load the predictor once in a worker process, one thread each."""
    cv2.setNumThreads(1)
    takes_threads = "threads" in signature(spec_of(base_name(predictor)).build).parameters
    single = {**options, "threads": 1} if takes_threads else options
    _worker.update(predictor=load(predictor, **single), protocol=protocol)


def _work(task: Task) -> TaskResult:
    return run_task(task, _worker["predictor"], _worker["protocol"])


def _key(predictor: str, target: Target, protocol: EvalProtocol, options: dict[str, Any]) -> str:
    """What a journal belongs to: predictor, target, protocol (but for the draw) and options."""
    settled = {name: value for name, value in asdict(protocol).items() if name not in ("limit", "seed")}
    if protocol.references == "none":
        del settled["references"]  # journals from before there were any go on
    if not protocol.chance_draws:
        del settled["chance_draws"]
    for name in ("miou_at", "size_groups"):  # of the table alone
        del settled[name]
    unset = {"stop_at": None, "combinations": False, "reference_interval": 1, "reference_scale": 1.0}
    for name, plain in unset.items():
        if settled[name] == plain:
            del settled[name]
    words = json.dumps([predictor, target.value, settled, options], sort_keys=True, default=str)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _read_journal(path: Path | None, key: str) -> dict[str, TaskResult]:
    """Finished tasks by name; a line cut short by a kill is left out. Starts the file if it is new."""
    if path is None:
        return {}
    if not path.exists() or path.stat().st_size == 0:
        write_text(path, json.dumps({"key": key}) + "\n")
        return {}
    entries = list(_lines(path.read_text(encoding="utf-8").splitlines()))
    if not entries or entries[0].get("key") != key:
        raise BadData(f"{path} is the journal of another run: choose another file, or delete it to start anew.")
    whole = "\n".join(json.dumps(entry) for entry in entries) + "\n"
    write_text(path, whole)
    results = [_result(entry) for entry in entries[1:]]
    return {result.name: result for result in results}


def _result(entry: dict[str, Any]) -> TaskResult:
    """A journal's entry as the result it was."""
    by_chance = tuple(tuple(draw) for draw in entry.get("by_chance", ()))
    return TaskResult(**{**entry, "ious": tuple(entry["ious"]), "by_chance": by_chance})


def _lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def plot(reports: Sequence[Report], path: Path) -> None:
    """Draw the mean IoU after each click of some reports (mean over datasets) to a picture file."""
    with require_extra("benchmark"):
        import matplotlib
    matplotlib.use("Agg")
    with packaged_fonts():
        from matplotlib import pyplot

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
