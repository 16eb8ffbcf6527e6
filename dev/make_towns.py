"""A labelled dataset of made-up towns, for training on nothing but freely licensed pictures.

    python dev/make_towns.py FOLDER [--count 40] [--seed 1000] [--side 640]

Each town has its own seed (never the packaged sample's) and ground resolution (0.15 to 0.6 m); classes as in
`data/synthetic.py`, instances true. The layout is the one `terraclick train` and `benchmark` read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from labelled_scenes import Scene, write_scenes

from terraclick.data.synthetic import SAMPLE_SEED, make_town
from terraclick.data.town.painter import CLASSES


def towns(count: int, seed: int, side: int) -> Iterator[tuple[int, Scene]]:
    """Towns by their numbers; the packaged sample's is left out."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        if seed + number == SAMPLE_SEED:
            continue
        gsd = round(float(0.15 * 2 ** rng.uniform(0, 2)), 3)
        town = make_town(seed + number, side, gsd)
        yield number, Scene(town.image, town.classes, town.instances.astype(np.uint16), gsd)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", type=Path)
    words.add_argument("--count", type=int, default=40)
    words.add_argument("--seed", type=int, default=1000)
    words.add_argument("--side", type=int, default=640)
    given = words.parse_args()
    scenes = towns(given.count, given.seed, given.side)
    write_scenes(given.folder, "towns", CLASSES, scenes, given.count, quality=92)


if __name__ == "__main__":
    main()
