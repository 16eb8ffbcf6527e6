"""Processes that read files of strangers, one each: started ahead where a file is expected, killed beyond limits."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from terraclick.server.import_worker import IDLE

__all__ = ["Readers"]

IDLE_S = 300.0
"""How long a process waits for a file before it ends."""
LOOK_S = 0.05
"""Time between two looks at a process that reads."""


class Readers:
    """Starts processes that read one file each. Thread-safe.

    Starting one takes longer than reading most files, so `ready` starts it ahead: it loads its libraries, has seen
    nothing yet, and ends by itself when no file comes or the server is gone.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._spare: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ready(self) -> int:
        """Let a process wait for the next file, if none does yet; gives its id."""
        with self._lock:
            if self._spare is None or self._spare.poll() is not None:
                self._spare = self._started()
            return self._spare.pid

    def close(self) -> None:
        """End the process that waits."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            _end(spare)

    def read(self, folder: Path, seconds: float, memory_bytes: int, wanted: Callable[[], None]) -> str | None:
        """Let a process read the file in a folder (see `import_worker`); what went wrong with it, None if nothing did.

        `wanted` is called again and again, and what it raises ends the reading.
        """
        process = self._taken()
        over = threading.Event()
        threading.Thread(target=_wait_for, args=(process, over), daemon=True).start()
        end = time.monotonic() + seconds
        try:
            _name(folder, process)
            while not over.wait(LOOK_S):
                wanted()
                if time.monotonic() > end:
                    return f"takes longer than {seconds:.0f} s to read"
                if _resident_bytes(process.pid) > memory_bytes:
                    return f"needs more than {memory_bytes >> 20} MiB of memory to be read"
            if process.returncode == IDLE:  # it had waited for long, and ended just now
                return self.read(folder, seconds, memory_bytes, wanted)
            return None if process.returncode == 0 else "needs too much memory or time to be read, or ends its reader"
        finally:
            if not over.is_set():
                process.kill()
                over.wait()

    def _taken(self) -> subprocess.Popen[bytes]:
        """The process that waits, or a new one; no other call gets it."""
        with self._lock:
            spare, self._spare = self._spare, None
            return spare if spare is not None and spare.poll() is None else self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        environ = os.environ | {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "terraclick.server.import_worker", str(self._idle_s)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
        )


def _name(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Name the folder to a process; one that is gone hears nothing."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
    with contextlib.suppress(OSError):
        process.stdin.close()


def _wait_for(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    process.wait()
    over.set()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _resident_bytes(pid: int) -> int:
    """Memory of a process; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
