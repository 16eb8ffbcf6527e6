"""The one narrow seam between a click and a network: a view goes in slowly once, clicks are answered fast.

Zoom-in, flipping, repeated refinement, fusion of divisions and caching are all *Predictor in, Predictor out*
(`predictors/wrappers.py`).
"""

from __future__ import annotations

from typing import Any, Protocol

from terraclick.values import Prediction, Prompt, View

__all__ = ["Predictor", "bands_read", "reads_box"]


class Predictor(Protocol):
    """Anything that answers clicks. Slow work once per view in `encode`; fast work per click in `predict`.

    `encode` must depend on the view alone and `predict` on its arguments alone: calling either twice gives the same
    answer, so undo, replay and caching can never change a mask. `previous` is the answer to the same prompt without
    its last click (None on the first), given in full view pixels.
    """

    def encode(self, view: View) -> Any:
        """Do the work that needs no click; the result is only ever handed back to `predict`."""
        ...

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt that holds at least one positive click or reference."""
        ...


def reads_box(predictor: Predictor) -> bool:
    """Whether a predictor reads `Prompt.box` itself; one that says nothing of it is told a box by clicks."""
    return bool(getattr(predictor, "reads_box", False))


def bands_read(predictor: Any) -> int:
    """How many bands of a picture a predictor reads: red, green and blue, and further ones of a file after them."""
    while not hasattr(predictor, "bands") and hasattr(predictor, "inner"):
        predictor = predictor.inner
    return int(getattr(predictor, "bands", 3))
