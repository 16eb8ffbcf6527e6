"""The folder of a map in the making: the sums of the tile row at hand, finished rows, and a journal.

A row of tiles is finished as soon as the next one is summed: memory holds one row of tiles, not the scene. Finished
rows and the sums that reach into the next row are on disk before the journal says so, hence a killed run goes on after
its last finished row of tiles.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapSpec
from terraclick.classmap.tiles import TilePlan
from terraclick.errors import BadConfig
from terraclick.files import writing
from terraclick.geo.classmap import (
    NO_DATA,
    UNKNOWN,
    RowFile,
)
from terraclick.values import Window

__all__ = ["Progress", "Work"]

FloatArray = NDArray[np.float32]
Progress = Callable[[int, int], None]


class Work:
    """The folder of a map in the making, and the sums of the tile row at hand."""

    def __init__(self, folder: Path, spec: MapSpec, plan: TilePlan, heat: int) -> None:
        """`heat`: how many heatmaps of each class are kept."""
        self.folder, self.spec, self.plan = folder, spec, plan
        shape = (plan.part.rows, plan.part.cols)
        self.classes = RowFile(folder / "classes.raw", 1, shape)
        self.confidence = RowFile(folder / "confidence.raw", 1, shape)
        self.heat = RowFile(folder / "heat.raw", len(spec.classes) * heat, shape)
        self.planes = len(spec.classes) * (1 + heat)
        self.done_rows = 0
        self.sums = np.zeros((self.planes, plan.side, plan.part.cols), np.float32)
        self.valid = np.zeros((plan.side, plan.part.cols), np.bool_)

    def claim(self, fingerprint: str, resume: bool, overwrite: bool) -> None:
        """Start the folder, or take up what an interrupted run of the same job left. Raises BadConfig."""
        journal = self.folder / "journal.json"
        if journal.is_file() and resume:
            said = self._read(journal)
            if said["fingerprint"] != fingerprint:
                raise BadConfig(
                    f"{self.folder} holds another run's work (other scene, model or settings): delete it, or leave "
                    "--resume out and pass --overwrite."
                )
            self.done_rows = int(said["done_rows"])
            if self.done_rows:
                with np.load(self.folder / f"carry_{self.done_rows}.npz") as carried:
                    rest = len(carried["valid"])
                    self.sums[:, :rest], self.valid[:rest] = carried["sums"], carried["valid"]
            return
        if self.folder.exists() and not overwrite:
            raise BadConfig(
                f"{self.folder} holds the work of an interrupted run: pass --resume to go on with it, or --overwrite."
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        with writing(self.folder):
            try:
                self.folder.mkdir()
                for file in (self.classes, self.confidence, self.heat):
                    file.create()
                self._note(fingerprint)
            except OSError:
                self.remove()
                raise

    def _read(self, journal: Path) -> dict[str, Any]:
        """What the journal says. Raises BadConfig if it is damaged."""
        try:
            said = json.loads(journal.read_text(encoding="utf-8"))
            carry = self.folder / f"carry_{int(said['done_rows'])}.npz"
            if not isinstance(said["fingerprint"], str) or (said["done_rows"] and not carry.is_file()):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise BadConfig(f"{self.folder} is damaged: leave --resume out and pass --overwrite.") from None
        return dict(said)

    def _note(self, fingerprint: str) -> None:
        part = self.folder / "journal.part"
        part.write_text(json.dumps({"fingerprint": fingerprint, "done_rows": self.done_rows}))
        os.replace(part, self.folder / "journal.json")

    def run(
        self, spread: Callable[[list[Window]], Iterator[tuple[Window, Any]]], progress: Progress
    ) -> Iterator[Window]:
        """Compute, add up and finish what is not done yet; yields the tiles as they are added."""
        fingerprint = json.loads((self.folder / "journal.json").read_text(encoding="utf-8"))["fingerprint"]
        plan = self.plan
        rows, cols = plan.needed(0), plan.needed(1)
        windows = [Window(r, c, plan.side, plan.side) for r in rows[self.done_rows :] for c in cols]
        total, done = len(rows) * len(cols), self.done_rows * len(cols)
        progress(done, total)
        share = np.outer(plan.ramp(), plan.ramp())
        for window, answer in spread(windows):
            if answer is not None:
                self._add(window, answer, share)
            done += 1
            yield window
            progress(done, total)
            if window.col == cols[-1]:
                with writing(self.folder, folder=self.folder):
                    self._finish_row(rows.index(window.row), rows, fingerprint)

    def _add(self, window: Window, answer: tuple[Any, ...], share: FloatArray) -> None:
        """Add a tile's logits (and heat), weighted, to the sums of its row of tiles."""
        logits, heat, valid = answer
        part = self.plan.part
        # the answer covers the part of the tile inside the scene; of that, the wanted columns are kept
        left = max(window.col, 0)
        first, last = max(left, part.col), min(left + logits.shape[2], part.col + part.cols)
        inner, place = slice(first - left, last - left), slice(first - part.col, last - part.col)
        count = logits.shape[1]
        weight = share[:count, inner]
        names = len(self.spec.classes)
        self.sums[:names, :count, place] += logits[:, :, inner] * weight
        if heat is not None:
            self.sums[names:, :count, place] += heat[:, :, inner] * weight
        self.valid[:count, place] |= valid[:, inner]

    def _finish_row(self, index: int, rows: Sequence[int], fingerprint: str) -> None:
        """Write the rows that no later tile reaches, keep the rest for the next row of tiles, note both."""
        plan = self.plan
        start = rows[index]
        stop = rows[index + 1] if index + 1 < len(rows) else start + plan.side
        first, last = max(start, plan.part.row), min(stop, plan.part.row + plan.part.rows)
        if last > first:
            at = slice(first - start, last - start)
            weight = plan.weight(0)[first - plan.part.row : last - plan.part.row, None] * plan.weight(1)[None]
            self._write(first - plan.part.row, self.sums[:, at] / weight, self.valid[at])
        moved = stop - start
        rest = plan.side - moved
        self.sums[:, :rest] = self.sums[:, moved:].copy() if rest else 0
        self.sums[:, rest:] = 0
        self.valid[:rest] = self.valid[moved:].copy() if rest else False
        self.valid[rest:] = False
        before = self.folder / f"carry_{self.done_rows}.npz"
        self.done_rows = index + 1
        unfinished = self.folder / "carry.part.npz"
        np.savez(unfinished, sums=self.sums[:, :rest], valid=self.valid[:rest])
        os.replace(unfinished, self.folder / f"carry_{self.done_rows}.npz")
        self._note(fingerprint)
        before.unlink(missing_ok=True)

    def _write(self, row: int, means: FloatArray, valid: NDArray[np.bool_]) -> None:
        """Blended logits (planes, n, cols) → classes, confidence and heat of these rows, on disk."""
        names = len(self.spec.classes)
        logits = means[:names]
        best = logits.argmax(axis=0)
        ids = np.array([c.id for c in self.spec.classes], np.uint8)
        top = np.take_along_axis(logits, best[None], axis=0)[0]
        sure = np.rint(100 / np.exp(logits - top).sum(axis=0)).astype(np.uint8)
        self.classes.write(row, np.where(valid, ids[best], np.uint8(NO_DATA))[None])
        self.confidence.write(row, np.where(valid, sure, np.uint8(UNKNOWN))[None])
        if self.heat.bands:
            level = np.rint(100 / (1 + np.exp(-np.clip(means[names:], -30, 30)))).astype(np.uint8)
            self.heat.write(row, np.where(valid, level, np.uint8(UNKNOWN)))

    def counted(self) -> dict[str, int]:
        """Pixels of each class by name, from the finished rows."""
        counts = np.zeros(256, np.int64)
        for row in range(0, self.plan.part.rows, 512):
            levels = self.classes.read(row, min(512, self.plan.part.rows - row))
            counts += np.bincount(levels.ravel(), minlength=256)
        return {c.name: int(counts[c.id]) for c in self.spec.classes}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
