"""Models from a folder that somebody else may have made: what is wrong with one is said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terraclick.core.predictor import Predictor
from terraclick.errors import BadWeights, TerraClickError
from terraclick.values import Prediction, Prompt, View

__all__ = ["FromFolder", "opening"]


@dataclass(frozen=True, eq=False)
class FromFolder:
    """Another predictor, made of the files of a folder. Raises BadWeights where these do not answer as they should."""

    inner: Predictor
    """Who answers."""
    folder: Path
    """Where its files are."""

    def encode(self, view: View) -> Any:
        """As the other one."""
        with self._answering():
            return self.inner.encode(view)

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """As the other one; probabilities must be numbers."""
        with self._answering():
            found = self.inner.predict(encoded, prompt, previous)
        if not np.isfinite(found.probs).all():
            raise BadWeights(f"the model in {self.folder} answers with NaN or infinite values: its weights are spoilt.")
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("inner", "folder"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (TerraClickError, MemoryError):
            raise
        except Exception as error:  # arrays of another shape, names of other inputs: each library has errors of its own
            said = f"the model in {self.folder} does not answer as it should ({_reason(error)}): export it again."
            raise BadWeights(said) from error


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Within the block a model's folder is read: what is wrong with it is a BadWeights."""
    try:
        yield
    except TypeError as error:
        if "keyword argument" in str(error):  # an option that the model does not have
            raise
        raise BadWeights(f"the model in {folder} is damaged ({_reason(error)}): export it again.") from error
    except (ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, OSError) as error:
        raise BadWeights(f"the model in {folder} is damaged ({_reason(error)}): export it again.") from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:160]}" if lines else type(error).__name__
