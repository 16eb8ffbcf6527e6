"""A torch network as a Predictor: the view becomes a tensor, clicks become padded slots, logits become probabilities.

A network offers `encode(image)` (the slow work that needs no click) and `answer(encoded, previous, points, **extra)`;
image (1, 3, H, W) RGB in 0…1, previous (1, 1, H, W) probabilities, points (1, 2P, 3) = (row, col, order), the first P
slots positive, the last P negative, −1 where empty; logits (1, 1, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from terraclick.core.focus import FocusRule, crop, crop_clicks, paste
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick, BadConfig
from terraclick.networks.graphs import network_bands
from terraclick.predictors.inputs import check_bands, click_points, picture
from terraclick.values import MASK_THRESHOLD, Prediction, Prompt, View, Window

__all__ = ["Exact", "NetworkEncoded", "NetworkPredictor", "image_tensor"]

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def image_tensor(view: View, device: str = "cpu") -> torch.Tensor:
    """A view → (1, bands, H, W) float32, RGB first, in 0…1; pixels without data get the mean colour."""
    return torch.from_numpy(picture(view)).to(device=device, dtype=torch.float32) / 255


def _mirrored(points: torch.Tensor, cols: int) -> torch.Tensor:
    """Points of the mirror image; empty slots stay as they are."""
    turned = points.clone()
    turned[..., 1] = torch.where(points[..., :2].amax(dim=-1) >= 0, cols - 1 - points[..., 1], points[..., 1])
    return turned


@dataclass(frozen=True, eq=False)
class NetworkEncoded:
    """What the network keeps of a view, and the view's shape."""

    kept: Any
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes, as far as the network tells."""
        return int(getattr(self.kept, "nbytes", 0))


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """Answer clicks with a torch network (eval mode).

    Raises BadClick when neither a positive click, a reference nor a previous answer is given.
    """

    network: Any
    """An nn.Module with `encode` and `answer` as in the module's docstring."""
    size: tuple[int, int] | None = None
    """Rows and cols the view is stretched to; None reads it at its own size."""
    parity: bool = False
    """Stretch and map clicks as published (align-corners bilinear, clicks up to half a pixel off)."""
    device: str = "cpu"
    """Where the network runs."""
    precision: str = "float32"
    """float32, bfloat16 or float16; weights stay float32, the arithmetic is autocast."""
    mirror: bool = False
    """Average the logits with those of the mirror image, both in one batch as published (see also `Flipped`)."""
    threshold: float = MASK_THRESHOLD
    """Probability above which a pixel belongs to the mask."""
    slots: int | None = None
    """Slots per sign; None as many as needed, as published at inference."""
    extra: Callable[[Prompt], Mapping[str, Any]] | None = None
    """Further keyword inputs of the network, made from the prompt: references, divisions."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BadConfig(f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}: choose one of them.")
        self.network.to(self.device).eval()

    @cached_property
    def bands(self) -> int:
        """How many bands of a picture the network reads."""
        return network_bands(self.network)

    def encode(self, view: View) -> NetworkEncoded:
        """The network's click-free work on the view. Raises BadConfig for a view of another number of bands."""
        check_bands(view, self.bands)
        whole, rule = Window(0, 0, *view.shape), self._rule()
        image = crop(view.image, whole, rule)
        valid = None if view.valid is None else crop(view.valid.astype(np.float32), whole, rule) >= 0.5
        with torch.inference_mode(), self.arithmetic():
            tensor = image_tensor(replace(view, image=image, valid=valid), self.device)
            kept = self.network.encode(torch.cat([tensor, tensor.flip(-1)]) if self.mirror else tensor)
        return NetworkEncoded(kept, view.shape)

    def predict(self, encoded: NetworkEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Probabilities of the whole view."""
        given, points, extra = self._inputs(encoded, prompt, previous)
        memory = None if previous is None else previous.memory
        with torch.inference_mode(), self.arithmetic():
            if getattr(self.network, "remembers", False):
                logits, memory = self.network.answer_after(memory, encoded.kept, given, points)
            else:
                logits, memory = self.network.answer(encoded.kept, given, points, **extra), None
        return replace(self._prediction(logits, encoded.shape), memory=memory)

    def progressive(self, encoded: NetworkEncoded, prompt: Prompt, previous: Prediction | None) -> Iterator[Prediction]:
        """Answers that get better, the last of them what `predict` says: one per division of CrossCut.

        Raises BadConfig, when first asked, if the network answers in one step only.
        """
        if not hasattr(self.network, "progressive"):
            raise BadConfig("this network answers in one step: call predict, or take crosscut-b with divisions.")
        given, points, extra = self._inputs(encoded, prompt, previous)
        steps = self.network.progressive(encoded.kept, given, points, **extra)
        while True:
            with torch.inference_mode(), self.arithmetic():
                logits = next(steps, None)
            if logits is None:
                return
            yield self._prediction(logits, encoded.shape)

    def _inputs(
        self, encoded: NetworkEncoded, prompt: Prompt, previous: Prediction | None
    ) -> tuple[torch.Tensor, torch.Tensor, Mapping[str, Any]]:
        """Previous probabilities (B, 1, H, W), points (B, 2P, 3) and what else the network is told; B = 2 mirrored."""
        if not prompt.positives and not prompt.references and previous is None:
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        whole, rule = Window(0, 0, *encoded.shape), self._rule()
        size = self.size or encoded.shape
        before = np.zeros(size, np.float32) if previous is None else crop(previous.probs, whole, rule)
        given = torch.from_numpy(np.ascontiguousarray(before, dtype=np.float32))[None, None].to(self.device)
        points = torch.from_numpy(click_points(crop_clicks(prompt.clicks, whole, rule), self.slots)).to(self.device)
        if self.mirror:
            given, points = torch.cat([given, given.flip(-1)]), torch.cat([points, _mirrored(points, size[1])])
        return given, points, {} if self.extra is None else self.extra(prompt)

    def _prediction(self, logits: torch.Tensor, shape: tuple[int, int]) -> Prediction:
        """Logits (B, 1, h, w) → probabilities of the view, the mirror image averaged in."""
        logits = logits.float()
        if self.mirror:
            logits = (logits[:1] + logits[1:].flip(-1)) / 2
        probs = torch.sigmoid(logits)[0, 0].cpu().numpy()
        return Prediction(paste(probs, Window(0, 0, *shape), shape, self._rule()), None, self.threshold)

    def _rule(self) -> FocusRule:
        return FocusRule(size=self.size, parity=self.parity)

    def arithmetic(self) -> torch.autocast:
        """The context of the network's precision."""
        kind = PRECISIONS[self.precision]
        return torch.autocast(self.device.split(":")[0], dtype=kind or torch.bfloat16, enabled=kind is not None)


@dataclass(frozen=True, eq=False)
class Exact:
    """Hand the picture on in float32, so that resizing rounds no level: the published code resizes 0…1 pictures."""

    inner: Predictor

    def encode(self, view: View) -> Any:
        """The inner encoding."""
        return self.inner.encode(replace(view, image=view.image.astype(np.float32)))

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The inner answer."""
        return self.inner.predict(encoded, prompt, previous)
