"""Nothing leaves this machine: the switches of libraries that report or download by themselves.

They are environment variables, since some libraries read nothing else and read that only once, when they are imported.
`import terraclick` sets `REPORTS`; the command line, whose process is ours alone, also sets `DOWNLOADS` and `KEEPS`.
Processes started from here inherit all of them.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["DOWNLOADS", "KEEPS", "REPORTS", "keep_no_traces", "packaged_fonts", "stay_offline", "stay_silent"]

REPORTS = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: device id, paths and durations to its maker
    "ORT_TELEMETRY_DISABLED": "1",  # the same under the name that some of its versions read
    "HF_HUB_DISABLE_TELEMETRY": "1",  # what transformers calls when it loads
}
"""What libraries would tell others about their use: variable → value that switches it off."""

DOWNLOADS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PROJ_NETWORK": "OFF",  # PROJ: grids of datum shifts
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",  # GDAL: rasters behind addresses
    "GDAL_HTTP_MAX_RETRY": "0",
}
"""What libraries would fetch: variable → value that switches it off."""

KEEPS = {
    "MPLCONFIGDIR": "matplotlib",
    "DASK_CONFIG": "dask",
    "DASK_TEMPORARY_DIRECTORY": "dask-work",
    "HF_HOME": "huggingface",
    "TORCHINDUCTOR_CACHE_DIR": "torch",
    "TRITON_CACHE_DIR": "triton",
    "NUMBA_CACHE_DIR": "numba",
}
"""Where libraries would leave settings and caches in the home folder: variable → folder that they get instead."""


def stay_silent(environment: MutableMapping[str, str] | None = None) -> None:
    """Switch every report off, whatever the environment said before."""
    (os.environ if environment is None else environment).update(REPORTS)


def stay_offline(environment: MutableMapping[str, str] | None = None) -> None:
    """Switch every report and every download off, whatever the environment said before."""
    environment = os.environ if environment is None else environment
    environment.update(REPORTS | DOWNLOADS)


def keep_no_traces() -> None:
    """Point settings and caches that nobody placed to a temporary folder, which goes away with this process.

    The folder comes into being when a library first keeps something in it.
    """
    if all(name in os.environ for name in KEEPS):
        return
    folder = os.path.join(tempfile.gettempdir(), f"terraclick-{uuid4().hex}")
    atexit.register(_remove, folder, os.getpid())
    for name, part in KEEPS.items():
        os.environ.setdefault(name, os.path.join(folder, part))


@contextmanager
def packaged_fonts() -> Iterator[None]:
    """Within the block fontconfig lists no fonts: matplotlib draws with its own, and no font cache is written."""
    before = os.environ.get("FONTCONFIG_FILE")
    with tempfile.TemporaryDirectory(prefix="terraclick-") as folder:
        empty = Path(folder) / "fonts.conf"
        empty.write_text('<?xml version="1.0"?><fontconfig></fontconfig>', encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(empty)
        try:
            yield
        finally:
            if before is None:
                del os.environ["FONTCONFIG_FILE"]
            else:
                os.environ["FONTCONFIG_FILE"] = before


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child runs this too
        shutil.rmtree(folder, ignore_errors=True)
