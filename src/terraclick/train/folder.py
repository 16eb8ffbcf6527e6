"""The folder of a training run: whose it is, its log as JSONL and for TensorBoard, its pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig
from terraclick.files import write_bytes, write_text
from terraclick.train.saving import save_json

__all__ = ["CHECKPOINT", "RunFolder", "claim"]

CHECKPOINT = "checkpoint.pt"


def claim(out: Path, name: str, settings: Mapping[str, Any], resume: bool, defaults: Mapping[str, Any]) -> None:
    """Make a folder a run's own, its settings in the file `name`, or check that it is.

    Settings that an earlier version did not know stand at their `defaults`. Raises BadConfig for another run's folder,
    and for one with a checkpoint where nobody asked to resume.
    """
    out.mkdir(parents=True, exist_ok=True)
    path, mine = out / name, json.loads(json.dumps(settings))
    if not path.exists():
        save_json(path, mine)
        return
    theirs = {**json.loads(json.dumps(dict(defaults))), **json.loads(path.read_text(encoding="utf-8"))}
    differs = sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key))
    if differs:
        raise BadConfig(f"{out} holds a run with other settings ({path}: {', '.join(differs)}): choose another folder.")
    if not resume and (out / CHECKPOINT).exists():
        raise BadConfig(f"{out} holds an earlier run: pass --resume to go on with it, or choose another folder.")


class RunFolder:
    """The log and the pictures of the process that writes; of the others nothing is kept."""

    def __init__(self, out: Path, writes: bool, step: int) -> None:
        """step: the one that the run goes on from; what an interrupted run logged after it is dropped."""
        self.out, self.writes = out, writes
        self._board: Any = None
        if not writes:
            return
        path = out / "log.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step_of(line) <= step]
            if len(kept) < len(lines):
                write_text(path, "".join(line + "\n" for line in kept))
        self._log = path.open("a", encoding="utf-8")
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """One line of log.jsonl, and a point of each curve."""
        if not self.writes:
            return
        self._log.write(json.dumps({"step": step, **figures}) + "\n")
        self._log.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def show(self, step: int, picture: NDArray[np.uint8]) -> None:
        """A picture (H, W, 3) RGB of this step."""
        if not self.writes:
            return
        (self.out / "pictures").mkdir(exist_ok=True)
        coded = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1]
        write_bytes(self.out / "pictures" / f"{step:08d}.png", bytes(coded))
        if self._board is not None:
            self._board.add_image("samples", picture, step, dataformats="HWC")

    def earlier(self, name: str) -> list[float]:
        """What was noted of a figure so far."""
        with (self.out / "log.jsonl").open(encoding="utf-8") as log:
            return [entry[name] for entry in map(json.loads, log) if name in entry]

    def close(self) -> None:
        """Nothing more will be noted."""
        if self.writes:
            self._log.close()
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 2**62  # a line that was cut off
