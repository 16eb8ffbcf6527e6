"""How many clicks does it take? A robot clicks every task of some datasets, a predictor answers.

Finished tasks go to a journal at once: a run that was killed goes on there.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any

import cv2

from terraclick.catalogue import load, spec_of
from terraclick.core.predictor import Predictor
from terraclick.data.datasets import Dataset
from terraclick.data.sample import Task
from terraclick.errors import BadData
from terraclick.evaluate.journal import append, key_of, read_journal
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.report import Report, TaskResult
from terraclick.evaluate.task import draw_tasks, run_task
from terraclick.predictors.variants import base_name
from terraclick.values import Target

__all__ = ["run_benchmark"]


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
    done = read_journal(journal, key_of(predictor, target, protocol, options))
    left = [task for task in tasks if task.name not in done]
    tell = progress or (lambda finished, total: None)
    tell(len(tasks) - len(left), len(tasks))
    for result in _run(left, predictor, protocol, workers, options):
        done[result.name] = result
        if journal is not None:
            append(journal, result)
        tell(sum(task.name in done for task in tasks), len(tasks))
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
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        settings = tuple(sorted(_single(predictor, options).items()))
        waiting = [pool.submit(_run_in_worker, task, predictor, settings, protocol) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _single(predictor: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a predictor that runs on one thread."""
    takes_threads = "threads" in signature(spec_of(base_name(predictor)).build).parameters
    return {**options, "threads": 1} if takes_threads else options


@lru_cache(maxsize=1)
def _loaded(predictor: str, settings: tuple[tuple[str, Any], ...]) -> Predictor:
    """The predictor of a worker process, which is loaded for its first task."""
    return load(predictor, **dict(settings))


def _run_in_worker(
    task: Task, predictor: str, settings: tuple[tuple[str, Any], ...], protocol: EvalProtocol
) -> TaskResult:
    return run_task(task, _loaded(predictor, settings), protocol)
