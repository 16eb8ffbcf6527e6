"""What a run of the command line does beside its answer: whom it asks on the network, and which files it leaves.

Where `strace` may be used every system call of all its processes is read, native libraries' included; elsewhere
Python's audit events tell what Python code does.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

AUDIT = """
import os, sys

def note(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect"):
        place = args[0] if event != "socket.connect" else args[1]
        with open(os.environ["WATCH_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{event} {place!r}\\n")

sys.addaudithook(note)
"""
HERE = re.compile(r"127\.0\.0\.1|::1\b|localhost|None|0\.0\.0\.0")


@cache
def can_trace() -> bool:
    """Whether strace is installed and this machine lets it work."""
    command = ["strace", "-f", "-o", os.devnull, "true"]
    return shutil.which("strace") is not None and subprocess.run(command, capture_output=True).returncode == 0


@dataclass(frozen=True)
class Seen:
    """A finished run: exit code, output, questions to the network, files left where nobody asked for any."""

    code: int
    output: str
    asked: list[str]
    left: list[str]


class Watch:
    """Runs commands in a folder of their own, with an empty home and an empty folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.temporary = folder / "work", folder / "home", folder / "tmp"
        self.logs = folder / "logs"
        for made in (self.folder, self.home, self.temporary, self.logs):
            made.mkdir()
        (self.logs / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a run: nothing of the caller's settings but where Python finds its packages."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "OMP_NUM_THREADS")}
        paths = [str(self.logs), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        return kept | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WATCH_LOG": str(self.logs / "audit"),
            **more,
        }

    def start(self, *words: object, **more: str) -> subprocess.Popen:
        """`python -m terraclick words` under watch."""
        command = [sys.executable, "-m", "terraclick", *map(str, words)]
        if can_trace():
            calls = "trace=connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2"
            traced = ["strace", "-f", "-qq", "-s", "4096", "-e", calls, "-e", "signal=none"]
            command = [*traced, "-o", str(self.logs / "trace"), *command]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def seen(self, process: subprocess.Popen, timeout: float = 300) -> Seen:
        """What the started process did until its end."""
        output, _ = process.communicate(timeout=timeout)
        asked = [line for line in self._lines("audit") if not HERE.search(line)]
        left = [str(path) for path in (*self.home.rglob("*"), *self.temporary.rglob("*"))]
        for line in self._lines("trace"):
            asked += _asked(line)
            left += [path for path in _written(line) if not self._is_ours(path)]
        return Seen(process.returncode, output, asked, left)

    def _lines(self, name: str) -> list[str]:
        path = self.logs / name
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def _is_ours(self, path: str) -> bool:
        whole = os.path.normpath(os.path.join(self.folder, path))
        return whole.startswith((str(self.folder), str(self.temporary), str(self.logs), "/dev/", "/proc/"))


def _asked(line: str) -> list[str]:
    """The call, if it reaches out: an address that is not of this machine, or the port of name servers."""
    if "AF_INET" not in line and ".nscd" not in line:
        return []
    foreign = "AF_INET" in line and not re.search(r'"127\.|"::1"|"0\.0\.0\.0"|"::"', line)
    return [line] if foreign or re.search(r"port=htons\((53|853)\)", line) else []


def _written(line: str) -> list[str]:
    """Paths that a call makes or opens for writing, if it succeeded."""
    call = re.match(r"\d+\s+(\w+)\((.*)\)\s+= (-?\d+)", line)
    if call is None or int(call[3]) < 0:
        return []
    name, arguments = call[1], call[2]
    if name in ("open", "openat") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", arguments):
        return []
    if name in ("connect", "sendto", "sendmsg", "sendmmsg"):
        return []
    paths = re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
    return paths[-1:] if name.startswith("rename") else paths[:1]
