"""RefCut as a predictor: as SimpleClick, and references reach the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from terraclick.networks.click import click_network
from terraclick.values import Prompt

__all__ = ["build"]


def _references(network: Any, device: str) -> Callable[[Prompt], Mapping[str, Any]]:
    from terraclick.networks.refcut.references import references_of

    return references_of(network, device)


build = partial(click_network, extra=_references)
