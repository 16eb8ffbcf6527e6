"""A small dataset and small networks that several tests of figures and tables share."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Two pictures of one bright square on noise, class 1 = roof, 2 = ground, and a square of 10 × 10."""
    folder = tmp_path / "squares"
    rng = np.random.default_rng(0)
    entries = []
    for kind in ("images", "masks", "instances"):
        (folder / kind).mkdir(parents=True)
    for number in range(2):
        mask = np.full((96, 120), 2, np.uint8)
        ids = np.zeros((96, 120), np.uint16)
        for thing, (row, col, side) in enumerate(((20 + number * 5, 30, 40), (80, 100, 10)), start=1):
            mask[row : row + side, col : col + side] = 1
            ids[row : row + side, col : col + side] = thing
        image = np.where(mask[..., None] == 1, (220, 60, 50), (60, 120, 60)) + rng.normal(0, 4, (96, 120, 3))
        cv2.imwrite(str(folder / f"images/{number}.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / f"masks/{number}.png"), mask)
        cv2.imwrite(str(folder / f"instances/{number}.png"), ids)
        objects = [{"id": 1, "cls": 1, "area": 1600}, {"id": 2, "cls": 1, "area": 100}]
        files = {
            kind[:-1] if kind != "instances" else kind: f"{kind}/{number}.png"
            for kind in ("images", "masks", "instances")
        }
        entries.append({**files, "width": 120, "height": 96, "objects": objects})
    meta = {"dataset": "squares", "classes": {"1": "roof", "2": "ground"}, "true_instances": True, "images": entries}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """Name of a paper's network → a file of random weights of a small one, made when first asked for."""
    pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
    from tiny_networks import write_tiny

    folder = tmp_path_factory.mktemp("weights")
    return lambda name: write_tiny(name, folder)
