"""FocalClick's two stages with torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from terraclick.networks.focalclick.network import Coarse
from terraclick.networks.focalclick.predictor import Box
from terraclick.networks.predictor import NetworkEncoded, NetworkPredictor, image_tensor
from terraclick.values import View

__all__ = ["FocalNetwork"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FocalNetwork(NetworkPredictor):
    """A `FocalClick` network, its input size and arithmetic; `coarse` and `refine` as `FocalStages` tells."""

    def coarse(self, encoded: NetworkEncoded, previous: FloatArray, points: FloatArray) -> tuple[FloatArray, Coarse]:
        """The coarse stage: probabilities (S, S), and what the refiner cuts from."""
        before = torch.from_numpy(np.asarray(previous, np.float32))[None, None].to(self.device)
        with torch.inference_mode(), self.arithmetic():
            found = self.network.coarse(encoded.kept, before, torch.from_numpy(points).to(self.device))
            return torch.sigmoid(found.logits.float())[0, 0].cpu().numpy(), found

    def refine(self, coarse: Coarse, crop: View, points: FloatArray, box: Box) -> FloatArray:
        """The refined stage: logits (S, S)."""
        boxes = torch.tensor([box], device=self.device)
        with torch.inference_mode(), self.arithmetic():
            image = image_tensor(crop, self.device)
            logits = self.network.refine(image, torch.from_numpy(points).to(self.device), coarse, boxes)
        return np.asarray(logits.float()[0, 0].cpu().numpy())
