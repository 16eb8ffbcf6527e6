"""How much do maps say before any training? Pixel AUC of one click's similarity, refit and random-walk maps.

    python dev/untrained_maps.py [--limit 12]

Object tasks are seen in a square of twice their box, class tasks in the whole picture, both at the encoder's side.
Setting TERRACLICK_SHARED names the folder of development data.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from terraclick.core.simulate import next_click
from terraclick.data.datasets import open_datasets
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.task import draw_tasks
from terraclick.terra.evidence import marked, score_maps
from terraclick.terra.models import terra_graphs
from terraclick.terra.patches import ENCODER_SIDE, GREY, cut, encode_squares
from terraclick.values import Click, Target, Window

DEVTEST = Path(os.environ.get("TERRACLICK_SHARED", "../shared")) / "data" / "devtest"
SIDE = ENCODER_SIDE


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    positives = int(truth.sum())
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * (len(truth) - positives)))


def walk(tokens: np.ndarray, start: int, sharpness: float, restart: float, near: float) -> np.ndarray:
    """Probability of a random walk over token affinities that begins again at the click: (h · w,)."""
    flat = tokens.reshape(tokens.shape[0], -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-6)
    affinity = np.exp((flat.T @ flat - 1) * sharpness)
    if near:
        side = tokens.shape[1]
        rows, cols = np.divmod(np.arange(side * side), side)
        apart = (rows[:, None] - rows) ** 2 + (cols[:, None] - cols) ** 2
        affinity *= np.exp(-apart / (2 * near**2))
    steps = affinity / affinity.sum(axis=1, keepdims=True)
    source = np.zeros(flat.shape[1])
    source[start] = 1
    reached = np.linalg.solve(np.eye(len(source)) - (1 - restart) * steps.T, restart * source)
    return reached / affinity.sum(axis=1)  # by how easily a token is reached at all


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--limit", type=int, default=12)
    given = words.parse_args()
    encoder = terra_graphs(threads=1).encoder
    found: dict[tuple[str, str], list[float]] = {}
    for target in Target:
        for dataset in open_datasets(DEVTEST):
            for task in draw_tasks(dataset, target, EvalProtocol(limit=given.limit, seed=5)):
                truth, ignore = task.truth()
                window = Window(0, 0, max(truth.shape), max(truth.shape))
                if target is Target.OBJECT:
                    rows, cols = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
                    side = 2 * max(rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1, 24)
                    middle = (rows[0] + rows[-1]) // 2, (cols[0] + cols[-1]) // 2
                    window = Window(int(middle[0] - side // 2), int(middle[1] - side // 2), int(side), int(side))
                square = cut(task.picture.image(), window, SIDE, GREY)
                labels = cut(np.where(ignore, 2, truth).astype(np.uint8), window, window.rows, 2)
                labels = cv2.resize(labels, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
                wanted = labels == 1
                click = next_click(np.zeros_like(wanted), wanted, labels == 2)
                if click is None or not (labels == 0).any():
                    continue
                features = encode_squares(encoder, [square])[0]
                counted = labels != 2
                for name, score in maps(features, click).items():
                    full = cv2.resize(score.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
                    found.setdefault((target.value, name), []).append(auc(full[counted], wanted[counted]))
    for (target, name), values in found.items():
        print(f"{target:7s} {name:34s} {np.mean(values):.3f}  ({len(values)} tasks)")


def maps(features, click: Click) -> dict[str, np.ndarray]:
    """Score maps of one click, by name."""
    side = features.tokens.shape[1]
    cell = side / SIDE
    row, col = int((click.row + 0.5) * cell), int((click.col + 0.5) * cell)
    deep, shallow = features.tokens[384:], features.shallow
    refit = score_maps([marked(features, Window(0, 0, SIDE, SIDE), [click])], [features])[0]
    rows, cols = np.mgrid[:side, :side]
    scores = {
        "nearness": -((rows - row) ** 2 + (cols - col) ** 2).astype(float),
        "similarity, block 8": np.einsum("c,chw->hw", deep[:, row, col], deep),
        "similarity, block 2": np.einsum("c,chw->hw", shallow[:, row, col], shallow),
        "refit, tokens": refit[0],
        "refit, colour": refit[1],
    }
    for sharpness, restart, near in ((10, 0.1, 0.0), (10, 0.1, 2.0), (10, 0.02, 2.0), (20, 0.02, 1.5)):
        name = f"walk, block 8, {sharpness}, {restart}, {near}"
        scores[name] = np.log(walk(deep, row * side + col, sharpness, restart, near) + 1e-12).reshape(side, side)
    return scores


if __name__ == "__main__":
    main()
