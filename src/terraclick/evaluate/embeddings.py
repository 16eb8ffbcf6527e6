"""A figure of class embeddings: what a map model makes of each class in each picture, laid out in a plane by t-SNE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapSpec, OnnxMap, load_map
from terraclick.classmap.picture import tiles_of
from terraclick.data.datasets import Dataset
from terraclick.errors import BadConfig, require_extra
from terraclick.files import replace_whole
from terraclick.offline import packaged_fonts

__all__ = ["class_embeddings", "draw_embeddings", "in_a_plane", "tells_embeddings"]

MOST_TILES = 100
"""Tiles whose embeddings are drawn, at most."""

FloatArray = NDArray[np.float32]


def tells_embeddings(name: str) -> bool:
    """Whether a map model's files tell what it makes of its classes."""
    model = load_map(name, None, heat=True)
    return isinstance(model, OnnxMap) and model.layers > 0


def class_embeddings(name: str, datasets: Sequence[Dataset]) -> tuple[MapSpec, FloatArray]:
    """The last layer's embeddings (tiles, classes, channels) of tiles of some pictures, and the model's description.

    Raises BadConfig where the model does not tell them.
    """
    model = load_map(name, None, heat=True)
    found: list[FloatArray] = []
    for picture in (picture for dataset in datasets for picture in dataset.pictures):
        for _, tile in tiles_of(picture.image(), model.spec.side, 0.0):
            told = model.embeddings(tile) if isinstance(model, OnnxMap) else None
            if told is None:
                raise BadConfig(
                    f"{name} tells no class embeddings: export its checkpoint again, or leave --figures out."
                )
            found.append(told[-1])
            if len(found) == MOST_TILES:
                return model.spec, np.stack(found)
    return model.spec, np.stack(found)


def in_a_plane(points: FloatArray, seed: int) -> FloatArray:
    """Points (n, channels) → (n, 2) by t-SNE, from their two main directions; the seed decides what is left open.

    Raises MissingExtra without scikit-learn.
    """
    with require_extra("benchmark"):
        from sklearn.manifold import TSNE

    perplexity = max(min(30.0, (len(points) - 1) / 3), 1.0)
    plane = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(points)
    return np.asarray(plane, np.float32)


def draw_embeddings(name: str, datasets: Sequence[Dataset], path: Path, seed: int = 0) -> None:
    """Draw the class embeddings of a map model to a picture file: a dot a tile and class, in the class's colour."""
    spec, found = class_embeddings(name, datasets)
    tiles, classes, channels = found.shape
    plane = in_a_plane(found.reshape(-1, channels), seed).reshape(tiles, classes, 2)
    with require_extra("benchmark"):
        import matplotlib
    matplotlib.use("Agg")
    with packaged_fonts():
        from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 5), layout="constrained")
    for place, kind in enumerate(spec.classes):
        dots = plane[:, place]
        axes.scatter(
            dots[:, 0], dots[:, 1], s=16, color=kind.colour, edgecolors="#404040", linewidths=0.3, label=kind.name
        )
    axes.set(title=f"class embeddings of {tiles} tiles, t-SNE", xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with replace_whole(path) as part:
        figure.savefig(part, dpi=120)
    pyplot.close(figure)
