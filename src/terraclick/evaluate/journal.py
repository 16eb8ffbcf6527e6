"""The journal of a run: each task that is done, one a line; a run that was killed goes on there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terraclick.errors import BadData
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.report import TaskResult
from terraclick.files import write_text, writing
from terraclick.values import Target

__all__ = ["append", "key_of", "read_journal"]


def key_of(predictor: str, target: Target, protocol: EvalProtocol, options: dict[str, Any]) -> str:
    """What a journal belongs to: predictor, target, protocol (but for the draw) and options."""
    settled = {name: value for name, value in asdict(protocol).items() if name not in ("limit", "seed")}
    settled["ignore"] = 255  # a field of earlier protocols, which the dataset declares now
    if protocol.references == "none":
        del settled["references"]  # journals from before there were any go on
    if not protocol.chance_draws:
        del settled["chance_draws"]
    for name in ("miou_at", "size_groups"):  # of the table alone
        del settled[name]
    unset = {"stop_at": None, "combinations": False, "reference_interval": 1, "reference_scale": 1.0, "box": False}
    for name, plain in unset.items():
        if settled[name] == plain:
            del settled[name]
    words = json.dumps([predictor, target.value, settled, options], sort_keys=True, default=str)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def read_journal(path: Path | None, key: str) -> dict[str, TaskResult]:
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


def append(path: Path, result: TaskResult) -> None:
    """Write down one finished task. Raises BadOutput."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")
