"""Slow weights that follow fast ones, as BiCoR-Seg's authors train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

__all__ = ["Lookahead"]


class Lookahead:
    """Slow weights that follow an optimiser's fast ones: every `every` steps half way (Zhang et al. 2019)."""

    def __init__(self, optimizer: torch.optim.Optimizer, every: int = 5, share: float = 0.5) -> None:
        self.optimizer, self.every, self.share, self.count = optimizer, every, share, 0
        self.slow = [p.detach().clone() for p in self._parameters()]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of the optimiser."""
        return self.optimizer.param_groups

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def step(self) -> None:
        """One fast step; every few, fast and slow weights meet."""
        self.optimizer.step()
        self.count += 1
        if self.count % self.every == 0:
            with torch.no_grad():
                for slow, fast in zip(self.slow, self._parameters(), strict=True):
                    slow.lerp_(fast, self.share)
                    fast.copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """All that decides the following steps."""
        return {"fast": self.optimizer.state_dict(), "slow": self.slow, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.optimizer.load_state_dict(state["fast"])
        self.count = state["count"]
        for slow, kept in zip(self.slow, state["slow"], strict=True):
            slow.copy_(kept)
