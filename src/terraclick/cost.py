"""What the papers' networks cost here: parameters, arithmetic, milliseconds and memory, with random weights.

Each network is measured in a process of its own, one pass as it is published for its own input size: no zoom-in, no
mirror average, a click after the first (two clicks and a previous answer). Arithmetic counts 2 FLOPs a
multiply-accumulate (halve for the GMAC of papers) over convolutions, matrix products and attention.
"""

from __future__ import annotations

import inspect
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np

from terraclick.catalogue import NETWORKS, spec_of
from terraclick.core.predictor import Predictor
from terraclick.errors import MissingExtra, UnknownName
from terraclick.networks.families import network_of
from terraclick.predictors.variants import base_name
from terraclick.values import Click, Prediction, Prompt, View, Window

__all__ = ["Cost", "cost_lines", "costs", "count_flops", "measure"]

ENOUGH_S = 20.0
"""Timing stops after so many seconds, though after one round at least."""


@dataclass(frozen=True)
class Cost:
    """One network's figures."""

    name: str
    """As in `load`."""
    side: int
    """Side of the square view in pixels."""
    parameters: int
    """Of the network."""
    trainable: int
    """Those that its published training changes."""
    gflops_view: float
    """Once per view, before any click."""
    gflops_click: float
    """Per click after the first."""
    ms_view: float
    """Median wall time, once per view."""
    ms_click: float
    """Median wall time per click after the first."""
    mb_kept: float
    """Held per encoded view, in 10⁶ bytes."""
    mb_peak: float
    """The most the process held beyond Python and torch, weights included, in 10⁶ bytes."""


def costs(names: Sequence[str] = (), threads: int = 2, rounds: int = 3) -> Iterator[Cost]:
    """Measure networks one after the other, each in a fresh process; all of them without names.

    Raises UnknownName before anything is measured, MissingExtra without torch.
    """
    for name in names:
        if base_name(name) not in NETWORKS:
            raise UnknownName(f"no network {name!r}. Known: {', '.join(NETWORKS)} (see: terraclick models).")
    for name in names or NETWORKS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(measure, name, threads, rounds).result()


def measure(name: str, threads: int = 2, rounds: int = 3, **options: Any) -> Cost:
    """Measure one network in this process; `options` go to `load`. Raises MissingExtra without torch."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error

    torch.set_num_threads(threads)
    side = network_of(base_name(name)).side
    view, *others = _views(side, rounds + 1)
    before = _peak_mb()
    predictor = _bare(name, options)
    network = _network(predictor)
    parameters = list(network.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    network.requires_grad_(False)  # torch's counter stumbles over inputs that could be trained
    encoded, flops_view = count_flops(lambda: predictor.encode(view))
    ask = _later_click(predictor, encoded, side)
    _, flops_click = count_flops(ask)
    ms_view = _timed([partial(predictor.encode, other) for other in others])  # views that no cache knows
    ms_click = _timed([ask] * rounds)
    return Cost(
        name,
        side,
        sum(p.numel() for p in parameters),
        trainable,
        round(flops_view / 1e9, 2),
        round(flops_click / 1e9, 2),
        round(ms_view, 1),
        round(ms_click, 1),
        round(_held(encoded) / 1e6, 1),
        round(_peak_mb() - before, 1),
    )


def count_flops(call: Callable[[], Any]) -> tuple[Any, int]:
    """Run `call` → what it returns, and FLOPs of its convolutions, matrix products and attention."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
        batch, heads, asked, dim = query  # shapes, as the counter hands them on
        return 2 * batch * heads * asked * key[-2] * (dim + value[-1])

    cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which the counter does not know by itself
    with FlopCounterMode(display=False, custom_mapping={cpu: attention}) as counter:
        answer = call()
    return answer, int(counter.get_total_flops())


def cost_lines(found: Sequence[Cost], threads: int = 2) -> list[str]:
    """A table for people; the heading tells the units."""
    heads = ("network", "side", "M params", "M trainable", "GFLOP view", "click", "ms view", "click", "MB kept", "peak")
    rows = [heads]
    for c in found:
        arithmetic = (f"{c.gflops_view:.1f}", f"{c.gflops_click:.1f}", f"{c.ms_view:.0f}", f"{c.ms_click:.0f}")
        weights = (f"{c.parameters / 1e6:.1f}", f"{c.trainable / 1e6:.1f}")
        rows.append((c.name, str(c.side), *weights, *arithmetic, f"{c.mb_kept:.0f}", f"{c.mb_peak:.0f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows]
    return [*lines, f"one pass, random weights, {threads} threads, float32; 2 FLOPs = 1 multiply-accumulate"]


def _bare(name: str, options: dict[str, Any]) -> Predictor:
    """A network's predictor with random weights, and without zoom-in and mirror average where it has them."""
    spec = spec_of(name)
    known = inspect.signature(NETWORKS[base_name(name)].build).parameters
    off = {word: False for word in ("zoom", "flip") if word in known}
    return spec.build(random=0, **{**off, **options})


def _network(predictor: Any) -> Any:
    """The torch network under a predictor's wrappers."""
    while not hasattr(predictor, "network"):
        predictor = predictor.stages if hasattr(predictor, "stages") else predictor.inner
    return predictor.network


def _later_click(predictor: Any, encoded: Any, side: int) -> Callable[[], Prediction]:
    """A second click, with a square in the middle as the answer before."""
    probs = np.full((side, side), 0.1, np.float32)
    quarter = side // 4
    probs[quarter:-quarter, quarter:-quarter] = 0.9
    previous = Prediction(probs, Window(0, 0, side, side))
    prompt = Prompt((Click(side / 2, side / 2), Click(side / 8, side / 8, False)))
    return lambda: predictor.predict(encoded, prompt, previous)


def _views(side: int, count: int) -> list[View]:
    """Different pictures of noise."""
    rng = np.random.default_rng(0)
    return [View(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(count)]


def _timed(calls: Sequence[Callable[[], Any]]) -> float:
    """Median milliseconds of the calls, as many as fit in the time there is."""
    times: list[float] = []
    for call in calls:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
        if sum(times) > ENOUGH_S * 1000:
            break
    return median(times)


def _held(encoded: Any) -> int:
    """Bytes of an encoding, as far as it tells."""
    whole = getattr(encoded, "whole", encoded)
    return int(getattr(whole, "nbytes", 0))


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
