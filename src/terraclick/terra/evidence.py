"""Evidence for the classifiers that are fitted anew at every click, by tokens and by colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.refit import Evidence, fit_maps, gather
from terraclick.terra.patches import PatchFeatures
from terraclick.values import Click, Window

__all__ = ["Marked", "marked", "marked_reference", "score_maps"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Marked:
    """One patch's evidence for both refitted classifiers."""

    tokens: Evidence
    colour: Evidence


def marked(
    features: PatchFeatures, window: Window, clicks: Sequence[Click], previous: FloatArray | None = None
) -> Marked:
    """Evidence of a patch; `previous` is its own part of the last probabilities, at any resolution."""
    return Marked(
        gather(features.principal, window, clicks, previous), gather(features.colour, window, clicks, previous)
    )


def marked_reference(features: PatchFeatures, mask: NDArray[np.bool_], positive: bool) -> Marked:
    """Evidence of a reference: all of its mask (H, W) is wanted, or is not; nothing is said of the rest."""
    window = Window(0, 0, *mask.shape)
    found = marked(features, window, (), mask.astype(np.float32))

    def one_sided(evidence: Evidence) -> Evidence:
        inside, nothing = evidence.weights[2], np.zeros_like(evidence.weights[2])
        signs = (inside, nothing) if positive else (nothing, inside)
        return Evidence(evidence.features, np.stack([nothing, nothing, *signs]))

    return Marked(one_sided(found.tokens), one_sided(found.colour))


def score_maps(evidence: Sequence[Marked], wanted: Sequence[PatchFeatures]) -> list[FloatArray]:
    """Scores of the refitted classifiers for some patches, by tokens and by colour: list of (2, S/4, S/4)."""
    by_tokens = fit_maps([part.tokens for part in evidence], [features.principal for features in wanted])
    by_colour = fit_maps([part.colour for part in evidence], [features.colour for features in wanted])
    found = []
    for tokens, colour in zip(by_tokens, by_colour, strict=True):
        size = (colour.shape[1], colour.shape[0])
        found.append(np.stack([cv2.resize(tokens, size, interpolation=cv2.INTER_LINEAR), colour]))
    return found
