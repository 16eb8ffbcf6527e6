"""What a box around the thing gains over one click: mean IoU of the first answer, on the sample and on datasets.

python dev/box_gain.py DATASET… [--limit N] [--model NAME]: each DATASET is a folder in the layout of docs/protocol.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import shapely

from terraclick.catalogue import load
from terraclick.core.box import places_of
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.masks import box_around, iou
from terraclick.core.simulate import next_click
from terraclick.data.datasets import open_datasets
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.task import draw_tasks
from terraclick.geo.lonlat import WGS84
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_view, resolve_image
from terraclick.geo.reproject import reproject
from terraclick.geo.view_window import view_window
from terraclick.values import Target


def of_datasets(folders, limit):
    for folder in folders:
        for dataset in open_datasets(folder):
            for task in draw_tasks(dataset, Target.OBJECT, EvalProtocol(limit=limit, seed=8)):
                (truth, ignore), view = task.truth(), task.picture.view()
                yield dataset.name, view, truth, ignore


def of_sample(limit):
    path = resolve_image("sample")
    whole, grid = read_view(path)
    features = json.loads(path.with_name("sample_truth.geojson").read_text())["features"]
    houses = [shapely.geometry.shape(f["geometry"]) for f in features if f["properties"]["class"] == "building"]
    for number in np.random.default_rng(8).permutation(len(houses))[:limit]:
        mask = rasterize([reproject(houses[number], WGS84, grid.crs)], grid)
        if np.count_nonzero(mask) < 256:
            continue
        window, _ = view_window(places_of(box_around(mask)), mask.shape, Target.OBJECT)
        inside = mask[window.slices]
        yield "sample", whole.crop(window), inside, np.zeros_like(inside)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--model", default="terra")
    words = parser.parse_args()
    predictor, rows = load(words.model), {}
    for source in (of_sample(words.limit), of_datasets(words.data, words.limit)):
        for name, view, truth, ignore in source:
            encoded, box = predictor.encode(view), box_around(truth)
            click = next_click(np.zeros_like(truth), truth, ignore, ())
            one = ClickSequence().add(click, predictor, encoded)
            answers = {
                "one click": one,
                "box": ClickSequence().boxed(box, view.shape, predictor, encoded),
                "two clicks": robot(truth, ignore, predictor, encoded, 2),
                "three clicks": robot(truth, ignore, predictor, encoded, 3),
            }
            rows.setdefault(name, []).append(
                {said: iou(session.latest.mask, truth, ignore) for said, session in answers.items()}
            )
    rows["all"] = [row for some in rows.values() for row in some]
    for name, some in rows.items():
        means = {said: np.mean([row[said] for row in some]) for said in some[0]}
        gain = np.array([row["box"] - row["one click"] for row in some])
        spread = np.std([np.random.default_rng(k).choice(gain, len(gain)).mean() for k in range(400)])
        print(name, len(some), {said: round(float(mean), 3) for said, mean in means.items()}, end=" ")
        print(f"gain {gain.mean():+.3f} ± {1.96 * spread:.3f}, better {np.mean(gain > 0):.0%}")


def robot(truth, ignore, predictor, encoded, count):
    session, mask = ClickSequence(), np.zeros_like(truth)
    for _ in range(count):
        click = next_click(mask, truth, ignore, session.clicks)
        if click is None:
            break
        session = session.add(click, predictor, encoded)
        mask = session.latest.mask
    return session


if __name__ == "__main__":
    main()
