"""References on their way into a torch network: every picture encoded once, its masks read at each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig
from terraclick.networks.predictor import image_tensor
from terraclick.predictors.wrappers import Cached
from terraclick.values import Prediction, Prompt, Reference, View

__all__ = ["References", "references_of"]


@dataclass(frozen=True, eq=False)
class ReferencePictures:
    """A reference picture → RefCut's features of it (1, C, h, w)."""

    network: Any
    device: str

    def encode(self, view: View) -> torch.Tensor:
        """The whole backbone's answer to the picture, without clicks."""
        with torch.inference_mode():
            return self.network.features(image_tensor(view, self.device))

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Raises BadConfig: pictures of references are not clicked on."""
        raise BadConfig("a reference picture was asked for an answer: click on a view instead.")


@dataclass(frozen=True, eq=False)
class References:
    """A prompt's references → RefCut's keyword `references`: (1, 2, C), or None without any.

    Any number, each positive or negative; those of one sign are averaged.
    """

    network: Any
    """A RefCut in eval mode."""
    pictures: Predictor
    """Encodes pictures; give a `Cached` one, so that an example is encoded once, not at every click."""
    device: str = "cpu"
    """Where it runs."""

    def __call__(self, prompt: Prompt) -> Mapping[str, Any]:
        """The keyword the network's `answer` takes."""
        with torch.inference_mode():
            sides = [
                [self._represent(reference) for reference in prompt.references if reference.positive == positive]
                for positive in (True, False)
            ]
            return {"references": self.network.gather(*sides)}

    def _represent(self, reference: Reference) -> torch.Tensor:
        """(C,): the mean feature under a reference's mask."""
        features = self.pictures.encode(View(reference.image))
        mask = torch.from_numpy(np.asarray(reference.mask, dtype=np.float32))[None, None].to(self.device)
        return self.network.represent(features, mask)[0]


def references_of(network: Any, device: str = "cpu", capacity: int = 32) -> References:
    """References for a RefCut in eval mode; `capacity` encoded pictures are remembered by their content."""
    return References(network, Cached(ReferencePictures(network, device), capacity), device)
