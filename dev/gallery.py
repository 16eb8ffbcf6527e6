"""What `terra` answers after 1, 3 and 5 clicks, good and bad, on freely licensed pictures: docs/images/gallery.jpg.

    python dev/gallery.py OUT.jpg [--count 40] [--seed 0] [--weights FOLDER]

Buildings of the OpenAerialMap chips of the development test set (CC BY 4.0; setting TERRACLICK_SHARED), clicked by the
benchmark's robot. Of `count` drawn objects and a fifth as many class targets those are shown that stand at even ranks
of IoU after five clicks, so the worst and the best are always there. Yellow: the answer. White: the truth.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick import load
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.masks import iou
from terraclick.core.predictor import Predictor
from terraclick.core.simulate import next_click
from terraclick.data.datasets import class_tasks, object_tasks, open_dataset
from terraclick.data.sample import Task
from terraclick.values import Target, View

ROOT = Path(__file__).resolve().parents[1]
CHIPS = Path(os.environ.get("TERRACLICK_SHARED", ROOT / ".." / "shared")) / "data" / "devtest" / "hot_fair_oam"
SHOWN = (1, 3, 5)
TILE = 190
ANSWER, TRUTH, INCLUDE, EXCLUDE = (255, 225, 30), (255, 255, 255), (40, 200, 70), (230, 40, 40)


def clicked(task: Task, predictor: Predictor) -> list[ClickSequence]:
    """The session after each of five robot clicks (fewer once nothing is wrong any more)."""
    truth, ignore = task.truth()
    encoded = predictor.encode(View(task.picture.image(), None, task.picture.gsd))
    sessions = [ClickSequence(task.target)]
    for _ in range(max(SHOWN)):
        latest = sessions[-1].latest
        mask = np.zeros(truth.shape, bool) if latest is None else latest.mask
        click = next_click(mask, truth, ignore, sessions[-1].clicks)
        if click is None:
            break
        sessions.append(sessions[-1].add(click, predictor, encoded))
    return sessions[1:]


def strip(task: Task, sessions: list[ClickSequence]) -> NDArray[np.uint8]:
    """One row: the same cut-out after each shown number of clicks, with its IoU."""
    truth, ignore = task.truth()
    rows, cols = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    side = min(max(int(1.7 * max(np.ptp(rows), np.ptp(cols)) + 24), 96), *truth.shape)
    top, left = (
        min(max((int(places[0]) + int(places[-1])) // 2 - side // 2, 0), length - side)
        for places, length in zip((rows, cols), truth.shape, strict=True)
    )
    part, zoom = (slice(top, top + side), slice(left, left + side)), TILE / side
    tiles = []
    for count in SHOWN:
        session = sessions[min(count, len(sessions)) - 1]
        tile = cv2.resize(task.picture.image()[part], (TILE, TILE), interpolation=cv2.INTER_AREA)
        for mask, colour, width in ((truth, TRUTH, 1), (session.latest.mask, ANSWER, 2)):
            large = cv2.resize(mask[part].astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(tile, outlines, -1, colour, width, cv2.LINE_AA)
        for click in session.clicks:
            at = (int((click.col + 0.5 - left) * zoom), int((click.row + 0.5 - top) * zoom))
            cv2.circle(tile, at, 5, TRUTH, -1, cv2.LINE_AA)
            cv2.circle(tile, at, 4, INCLUDE if click.positive else EXCLUDE, -1, cv2.LINE_AA)
        score = f"{len(session.clicks)}: {iou(session.latest.mask, truth, ignore):.2f}"
        for colour, width in (((0, 0, 0), 3), (TRUTH, 1)):
            cv2.putText(tile, score, (5, TILE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
        tiles.append(cv2.copyMakeBorder(tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=TRUTH))
    return np.hstack(tiles)


def chosen(tasks: list[Task], predictor: Predictor, count: int, shown: int, seed: int) -> list[NDArray[np.uint8]]:
    """Strips at even ranks of IoU after the last click, best first."""
    picks = np.random.default_rng(seed).permutation(len(tasks))[:count]
    found = [(tasks[index], clicked(tasks[index], predictor)) for index in picks]
    found.sort(key=lambda pair: -iou(pair[1][-1].latest.mask, *pair[0].truth()))
    ranks = np.linspace(0, len(found) - 1, shown).round().astype(int)
    return [strip(*found[rank]) for rank in ranks]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("out", type=Path)
    words.add_argument("--count", type=int, default=40)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--weights", type=Path)
    given = words.parse_args()
    predictor = load("terra") if given.weights is None else load("terra", weights=given.weights)
    chips = open_dataset(CHIPS)
    things = [task for task in object_tasks(chips) if task.target is Target.OBJECT]
    strips = chosen(things, predictor, given.count, 6, given.seed)
    strips += chosen(class_tasks(chips), predictor, max(given.count // 5, 4), 4, given.seed)
    half = len(strips) // 2
    picture = np.hstack([np.vstack(strips[:half]), np.vstack(strips[half:])])
    given.out.write_bytes(
        cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    )


if __name__ == "__main__":
    main()
