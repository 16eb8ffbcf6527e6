"""How the toy's published arrays are named."""

from __future__ import annotations

from terraclick.networks.toy.model import TOY, Toy, ToyConfig
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

WEIGHTS = PublishedWeights(Toy, ToyConfig, TOY, ((r"backbone\.", "stem."),), (r"loss\.",))
