# SPDX-License-Identifier: GPL-2.0-or-later
"""`terraclick serve` found, installed into an environment of its own, started and watched; nothing blocks."""

import os
import secrets
import shutil
import sys

from qgis.PyQt.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

from . import settings
from .client import Failure, parse_address
from .i18n import tr
from .network import pip_environment

PACKAGE = "terraclick[app]"
OLDEST_PYTHON = (3, 11)
START_S = 120
LEAKS = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP", "LD_PRELOAD")
"""Variables of QGIS's own Python that would break another one."""


def environment_folder():
    """The folder of the plug-in's own Python environment."""
    return os.path.join(settings.folder(), "environment")


def _in_environment(folder, name):
    if os.name == "nt":
        return os.path.join(folder, "Scripts", f"{name}.exe")
    return os.path.join(folder, "bin", name)


def find_executable():
    """The terraclick program: as set, in the plug-in's environment, or on the path; None where there is none."""
    chosen = settings.get("executable")
    if chosen:
        return chosen if os.path.isfile(chosen) else None
    own = _in_environment(environment_folder(), "terraclick")
    return own if os.path.isfile(own) else shutil.which("terraclick")


def find_python():
    """A Python interpreter that can make the environment; None where there is none."""
    names = [f"python3.{minor}" for minor in range(13, OLDEST_PYTHON[1] - 1, -1)]
    folders = [os.path.join(sys.base_prefix, "bin"), sys.base_prefix]
    if sys.version_info[:2] >= OLDEST_PYTHON:
        names = [f"python3.{sys.version_info[1]}", *names, "python3", "python"]
    for folder in folders:
        for name in names:
            path = os.path.join(folder, name + (".exe" if os.name == "nt" else ""))
            if os.path.isfile(path):
                return path
    found = (shutil.which(name) for name in names)
    return next((path for path in found if path), None)


def clean_environment():
    """The environment of a child that is a Python of its own."""
    found = QProcessEnvironment.systemEnvironment()
    for name in LEAKS:
        found.remove(name)
    found.insert("PYTHONUTF8", "1")
    return found


class ServerProcess(QObject):
    """The server this plug-in started. ready(address, token) once it answers, failed(sentence), stopped(sentence)."""

    ready = pyqtSignal(str, str)
    failed = pyqtSignal(str)
    stopped = pyqtSignal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.process = None
        self.address = ""
        self.lines = []
        self.roots = []
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.timeout.connect(self._too_late)

    @property
    def running(self):
        """Whether the process is there."""
        return self.process is not None

    def allow(self, folder):
        """Let the server open the images of a folder too."""
        if folder not in self.roots:
            self._list_roots([*self.roots, folder])

    def _list_roots(self, folders):
        """Write the list of folders, which the server reads anew; no name with a line break can be on it."""
        self.roots = [folder for folder in folders if "\n" not in folder and "\r" not in folder]
        path = self.roots_file()
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.writelines(folder + "\n" for folder in self.roots)
        os.replace(path + ".new", path)

    @staticmethod
    def roots_file():
        """The list of folders whose images the server may open; of this QGIS alone."""
        return os.path.join(settings.folder(), f"folders-{os.getpid()}.txt")

    def start(self, roots, program=None, arguments=()):
        """Start it; roots are the folders whose images it may open."""
        if self.running:
            return
        program = program or find_executable()
        if program is None:
            self.failed.emit(tr("TerraClick is not installed: press Install in the TerraClick panel, or set its path."))
            return
        folder = settings.folder()
        self.token = secrets.token_urlsafe(24)
        self.address = ""
        self.buffer = b""
        self.lines = []
        environment = clean_environment()
        environment.insert("TERRACLICK_TOKEN", self.token)
        words = ["serve", "--no-browser", "--session", os.path.join(folder, "work.gpkg"), "--out", folder, *arguments]
        self._list_roots(sorted({*self.roots, *roots}))
        words += ["--roots-file", self.roots_file()]
        words += ["--window-mb", str(settings.get("window_mb")), "--window-days", str(settings.get("window_days"))]
        process = QProcess(self)
        process.setProcessEnvironment(environment)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._error)
        self.process = process
        self.timer.start(START_S * 1000)
        process.start(program, words)

    def stop(self):
        """End it."""
        process, self.process = self.process, None
        self.timer.stop()
        if os.path.exists(self.roots_file()):
            os.remove(self.roots_file())
        if process is not None:
            process.blockSignals(True)
            process.terminate()
            if not process.waitForFinished(3000):
                process.kill()
                process.waitForFinished(2000)

    def _read(self):
        if self.process is None:
            return
        self.buffer += bytes(self.process.readAllStandardOutput())
        if self.address or b"\n" not in self.buffer:
            return
        line = self.buffer.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        try:
            self.address, _ = parse_address(line)
        except Failure:
            return
        self.timer.stop()
        self.ready.emit(self.address, self.token)

    def _read_errors(self):
        if self.process is not None:
            text = bytes(self.process.readAllStandardError()).decode("utf-8", "replace")
            self.lines = [*self.lines, *text.splitlines()][-50:]

    def _finished(self, *_):
        self._read_errors()
        process, self.process = self.process, None
        self.timer.stop()
        if process is None:
            return
        last = next((line for line in reversed(self.lines) if line.strip()), "")
        if self.address:
            self.stopped.emit(tr("The TerraClick server has stopped. {}").format(last).strip())
        else:
            self.failed.emit(tr("The TerraClick server did not start. {}").format(last).strip())

    def _error(self, kind):
        if kind == QProcess.ProcessError.FailedToStart and self.process is not None:
            self.process = None
            self.timer.stop()
            self.failed.emit(tr("The TerraClick program cannot be started: check its path in the TerraClick panel."))

    def _too_late(self):
        self.stop()
        self.failed.emit(tr("The TerraClick server did not answer within {} s.").format(START_S))


REASONS = {
    "ensurepip": "its Python cannot make environments; on Debian and Ubuntu, install python3-venv",
    "CERTIFICATE_VERIFY_FAILED": "QGIS does not trust the certificate of the package index; add its authority to QGIS",
    "ProxyError": "the proxy refuses; check the proxy in QGIS's options",
}
"""What a sign in the output of an installation means."""


class Installer(QObject):
    """Makes the environment and installs TerraClick into it. progress(line), finished(error or "")."""

    progress = pyqtSignal(str)
    finished = pyqtSignal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.process = None
        self.steps = []
        self.environment = None
        self.lines = []

    @property
    def running(self):
        """Whether an installation goes on."""
        return self.process is not None

    def start(self, wheels="", python=None):
        """Begin; wheels is a folder of wheel files for machines without a network, or empty."""
        if self.running:
            return
        self.lines = []
        try:
            self.steps = self._steps(wheels, python or find_python())
        except Failure as error:
            self.finished.emit(str(error))
            return
        self._next()

    def _steps(self, wheels, python):
        """What to run, one after another; sets the environment. Raises Failure."""
        if python is None:
            wanted = ".".join(str(part) for part in OLDEST_PYTHON)
            raise Failure(tr("No Python {} or newer was found: install one, then press Install again.").format(wanted))
        if wheels and not os.path.isdir(wheels):
            raise Failure(tr("The folder of wheel files {} does not exist.").format(wheels))
        environment = clean_environment()
        if not wheels:
            known = {name: environment.value(name) for name in environment.keys()}
            for name, value in pip_environment(known).items():
                environment.insert(name, value)
        self.environment = environment
        folder = environment_folder()
        source = ["--no-index", "--find-links", wheels] if wheels else []
        pip = ["-m", "pip", "--disable-pip-version-check", "install", "--upgrade", "--no-input", *source, PACKAGE]
        return [(python, ["-m", "venv", "--clear", folder]), (_in_environment(folder, "python"), pip)]

    def cancel(self):
        """Give up; finished is told so."""
        self.steps = []
        if self.process is not None:
            process, self.process = self.process, None
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(2000)
            self.finished.emit(tr("The installation was cancelled."))

    def _next(self):
        program, words = self.steps.pop(0)
        process = QProcess(self)
        process.setProcessEnvironment(self.environment)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        process.readyRead.connect(self._read)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._error)
        self.process = process
        process.start(program, words)

    def _read(self):
        if self.process is None:
            return
        for line in bytes(self.process.readAll()).decode("utf-8", "replace").splitlines():
            if line.strip():
                self.lines = [*self.lines, line.strip()][-200:]
                self.progress.emit(self.lines[-1])

    def _reason(self):
        """The line that says most of what went wrong."""
        text = "\n".join(self.lines)
        for sign, reason in REASONS.items():
            if sign in text:
                return tr(reason)
        errors = [line for line in self.lines if line.startswith("ERROR")]
        return (errors or self.lines or [""])[-1]

    def _error(self, kind):
        if kind == QProcess.ProcessError.FailedToStart:
            self.process = None
            self.steps = []
            self.finished.emit(tr("Python cannot be started: {}").format(self._reason()))

    def _ended(self, code, _status=None):
        self._read()
        self.process = None
        if code != 0:
            self.steps = []
            self.finished.emit(tr("The installation failed: {}").format(self._reason()))
        elif self.steps:
            self._next()
        else:
            self.finished.emit("")
