"""The one door to ONNX Runtime, whose builds from 1.29 on report to their maker unless told otherwise beforehand."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from terraclick.offline import stay_silent

__all__ = ["onnx_runtime"]


def onnx_runtime() -> Any:
    """The module `onnxruntime`, imported with its reports switched off.

    The variables switch off what it would send and store from its import on; the call afterwards is for builds (those
    for Windows) that know no variable.
    """
    stay_silent()
    import onnxruntime

    with suppress(AttributeError, RuntimeError):
        onnxruntime.disable_telemetry_events()
    return onnxruntime
