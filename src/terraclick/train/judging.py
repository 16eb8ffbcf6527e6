"""How a class map answers held-out pictures: every pixel is named and counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terraclick.classmap.scores import Scores, confusion
from terraclick.networks.bicor.network import Bicor
from terraclick.train.map_features import Features, FrozenEncoder, judged_squares
from terraclick.train.semantic_data import Labelled
from terraclick.train.semantic_recipes import SemanticConfig
from terraclick.train.trainer import TrainingProgress

__all__ = ["evaluate"]


def evaluate(
    config: SemanticConfig,
    network: Bicor,
    samples: Sequence[Labelled | Features],
    progress: TrainingProgress | None = None,
) -> Scores:
    """Name every pixel of some pictures and count: at the scale of training, one at a time."""
    network.eval()
    total = np.zeros((len(config.classes), len(config.classes)), np.int64)
    encoder = FrozenEncoder(config, network) if config.frozen else None
    for index, sample in enumerate(samples):
        for answer, truth in _answers(config, network, sample, encoder):
            total += confusion(answer, truth, len(config.classes))
        if progress is not None:
            progress("judge", index + 1, len(samples), {})
    return Scores(total, config.names, config.uncounted)


def _answers(
    config: SemanticConfig, network: Bicor, sample: Labelled | Features, encoder: FrozenEncoder | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Class index of every pixel and the truth, of a picture or of the squares that it is judged by."""
    if isinstance(sample, Features):
        yield _decoded(network, sample, sample.labels), sample.labels
    elif encoder is None:
        yield _answer(network, sample.image()), sample.labels()
    else:
        whole = config.view_of(sample.dataset) is None
        for piece, labels in judged_squares(config, sample):
            truth = sample.labels() if whole else labels
            yield _decoded(network, encoder(piece, labels), truth), truth


def _decoded(network: Bicor, feature: Features, truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Class index of every pixel of the truth's size."""
    with torch.no_grad():
        device = next(network.decoder.parameters()).device
        maps = [torch.from_numpy(m.astype(np.float32))[None].to(device) for m in feature.maps]
        logits = network.decoder(maps).logits
        size = (truth.shape[0], truth.shape[1])
        if logits.shape[-2:] != torch.Size(size):
            logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return np.asarray(logits[0].argmax(0).cpu().numpy())


def _answer(network: Bicor, image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Class index of every pixel of one picture, mirrored outwards to a multiple of 32."""
    rows, cols = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 0, -rows % 32, 0, -cols % 32, cv2.BORDER_REFLECT_101)
    with torch.no_grad():
        picture = torch.from_numpy(np.asarray(padded)).permute(2, 0, 1)[None].float() / 255
        logits = network(picture.to(next(network.parameters()).device)).logits
    return np.asarray(logits[0, :, :rows, :cols].argmax(0).cpu().numpy())
