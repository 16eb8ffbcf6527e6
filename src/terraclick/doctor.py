"""What is installed, which engine answers, whose weights are aboard, and how fast they are here."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import cv2
import numpy as np

from terraclick.catalogue import NETWORKS, PREDICTORS
from terraclick.classmap.model import MAP_MODELS, map_files
from terraclick.core.predictor import Predictor
from terraclick.inference.runtime import onnx_runtime
from terraclick.predictors.installed import installed_models
from terraclick.predictors.spec import WEIGHTS
from terraclick.values import Click, Prompt, Target, View

__all__ = ["as_lines", "checkup", "models", "peak_memory_mb", "speed"]

BASE = ("numpy", "opencv-python-headless", "rasterio", "shapely", "pyproj", "onnxruntime", "click")
LIBRARIES = {"torch": "torch", "sam": "transformers"}
"""Extra of the package → the library by which one sees whether it is installed."""

EXTRAS = ("torch", "safetensors", "onnx", "pyogrio", "pyarrow", "matplotlib", "tqdm", "scipy")


def checkup() -> dict[str, Any]:
    """Versions of TerraClick, Python and the libraries (None = not installed), the engine and the models."""
    return {
        "terraclick": _version("terraclick"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "base": {name: _version(name) for name in BASE},
        "extras": {name: _version(name) for name in EXTRAS},
        "engine": {"name": "onnxruntime", "providers": onnx_runtime().get_available_providers()},
        "models": models(),
    }


def models() -> list[dict[str, Any]]:
    """Name, kind (`clicks` or `map`), summary, licence, size in MB, availability and needs of every model by name.

    Those that answer clicks are what `load` knows, those that name every pixel what `terraclick map --model` takes.
    """
    found = []
    for name, spec in PREDICTORS.items():
        files = [WEIGHTS / file for file in spec.files]
        size = sum(file.stat().st_size for file in files if file.is_file())
        about = _about(name, "clicks", spec, round(size / 1e6, 1))
        found.append({**about, "available": all(file.is_file() for file in files), "needs": None})
    taken = installed_models()
    for name, spec in NETWORKS.items():
        if name in taken:  # listed below, with its weights
            continue
        about = _about(name, "clicks", spec, 0.0)
        found.append(
            {
                **about,
                "available": _version(LIBRARIES.get(spec.extra or "torch", "torch")) is not None,
                "needs": f"terraclick[{spec.extra}] and --weights PATH, or an exported folder",
            }
        )
    for added in taken.values():
        about = {"name": added.name, "kind": added.kind, "summary": f"{added.network}, added", "licence": added.licence}
        ready = all((added.folder / file.name).is_file() for file in added.files)
        about |= {"mb": round(added.nbytes / 1e6, 1), "available": ready, "needs": None}
        found.append({**about, "folder": str(added.folder), "files": [asdict(file) for file in added.files]})
    for name, kind in MAP_MODELS.items():
        files = map_files(name)
        size = sum(file.stat().st_size for file in files if file.is_file())
        about = _about(name, "map", kind, round(size / 1e6, 1))
        found.append({**about, "available": all(file.is_file() for file in files), "needs": None})
    return found


def _about(name: str, kind: str, spec: Any, mb: float) -> dict[str, Any]:
    return {"name": name, "kind": kind, "summary": spec.summary, "licence": spec.licence, "mb": mb}


def as_lines(health: dict[str, Any]) -> list[str]:
    """A checkup as text."""
    lines = [
        f"terraclick {health['terraclick']}, Python {health['python']}, {health['platform']}, {health['cpus']} CPUs"
    ]
    for group in ("base", "extras"):
        versions = (f"{name} {version or 'not installed'}" for name, version in health[group].items())
        lines.append(f"{group}: {', '.join(versions)}")
    lines.append(f"engine: {health['engine']['name']} on {', '.join(health['engine']['providers'])}")
    shipped = [m for m in health["models"] if m["needs"] is None]
    lines += [f"{m['name']}: {m['licence']}{'' if m['available'] else ' (files missing)'}" for m in shipped]
    lines += [f"{name}: median {t['median']}, p95 {t['p95']}" for name, t in health.get("speed", {}).items()]
    if "peak_memory_mb" in health:
        lines.append(f"peak memory: {health['peak_memory_mb']} MB")
    return lines


def speed(
    single: Predictor, patched: Predictor, fused: Predictor, repeats: int = 15, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Milliseconds here (median and 95th percentile over `repeats`, after one warm-up) of encoding and of one click.

    encode_448_ms: a 448 px view in one patch. click_448_ms: a later click on an object there, in a window that stays,
    as `patched` answers it. click_896_ms: a class click on a 896 px view in patches. click_fused_ms: the same with
    fused divisions. Views are smooth noise drawn by `seed`.
    """
    rng = np.random.default_rng(seed)
    small, large = _noise(rng, 448), _noise(rng, 896)
    at_large, at_fused = patched.encode(large), fused.encode(large)
    one = Prompt((Click(224.0, 224.0), Click(100.0, 330.0, False)))
    view = patched.encode(small)
    before = patched.predict(view, replace(one, clicks=one.clicks[:1]), None)
    kind = Prompt((Click(448.0, 448.0), Click(100.0, 700.0, False)), Target.CLASS)
    return {
        "encode_448_ms": _timed(lambda: single.encode(small), repeats),
        "click_448_ms": _timed(lambda: patched.predict(view, one, before), repeats),
        "click_896_ms": _timed(lambda: patched.predict(at_large, kind, None), repeats),
        "click_fused_ms": _timed(lambda: fused.predict(at_fused, kind, None), repeats),
    }


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in MB (10⁶ bytes); NaN where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6, 1)


def _timed(call: Callable[[], object], repeats: int) -> dict[str, float]:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return {"median": round(median(times), 2), "p95": round(float(np.percentile(times, 95)), 2)}


def _noise(rng: np.random.Generator, side: int) -> View:
    coarse = rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
    smooth = np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return View(smooth, None, 0.3)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
