# SPDX-License-Identifier: GPL-2.0-or-later
"""The terraclick program run to its end from a Processing thread, and a server for the time of an algorithm."""

import json
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager

from qgis.PyQt.QtCore import QProcess

from . import settings
from .client import Client, Failure, parse_address
from .i18n import tr
from .network import transport_for
from .server import START_S, clean_environment, find_executable

LOOK_MS = 200


def _program():
    found = find_executable()
    if found is None:
        raise Failure(tr("TerraClick is not installed: press Install in the TerraClick panel, or set its path."))
    return found


def run_program(words, feedback):
    """The standard output of terraclick with these words; cancelling ends it. Raises Failure."""
    process = QProcess()
    process.setProcessEnvironment(clean_environment())
    process.start(_program(), [str(word) for word in words])
    if not process.waitForStarted(10000):
        raise Failure(tr("The TerraClick program cannot be started: check its path in the TerraClick panel."))
    errors = b""
    while process.state() != QProcess.ProcessState.NotRunning:
        process.waitForFinished(LOOK_MS)
        fresh = bytes(process.readAllStandardError())
        errors += fresh
        for line in fresh.decode("utf-8", "replace").splitlines():
            if line.strip():
                feedback.pushInfo(line.strip())
        if feedback.isCanceled():
            process.terminate()
            if not process.waitForFinished(5000):
                process.kill()
                process.waitForFinished(2000)
            raise Failure(tr("Cancelled."))
    errors += bytes(process.readAllStandardError())
    if process.exitCode() != 0:
        lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        raise Failure(lines[-1].replace("Error: ", "", 1) if lines else tr("The TerraClick program failed."))
    return bytes(process.readAllStandardOutput()).decode("utf-8", "replace")


def json_of(text):
    """The JSON a program printed. Raises Failure."""
    try:
        return json.loads(text)
    except ValueError:
        raise Failure(tr("The TerraClick program answered something else than expected.")) from None


@contextmanager
def some_server(roots):
    """A client of the server that is set, or of one started for the time being."""
    base = settings.get("address")
    if base:
        client = Client(base, settings.token(), transport_for(base))
        client.state()
        yield client
        return
    folder = tempfile.mkdtemp(prefix="terraclick-")
    token = secrets.token_urlsafe(24)
    environment = clean_environment()
    environment.insert("TERRACLICK_TOKEN", token)
    words = ["serve", "--no-browser", "--session", os.path.join(folder, "work.gpkg"), "--out", folder]
    for root in roots:
        words += ["--root", root]
    process = QProcess()
    process.setProcessEnvironment(environment)
    process.start(_program(), words)
    try:
        text = b""
        for _ in range(int(START_S * 1000 / LOOK_MS)):
            process.waitForReadyRead(LOOK_MS)
            text += bytes(process.readAllStandardOutput())
            if b"\n" in text or process.state() == QProcess.ProcessState.NotRunning:
                break
        if b"\n" not in text:
            lines = bytes(process.readAllStandardError()).decode("utf-8", "replace").strip().splitlines()
            raise Failure(tr("The TerraClick server did not start. {}").format(lines[-1] if lines else ""))
        base, _ = parse_address(text.split(b"\n", 1)[0].decode("utf-8", "replace"))
        yield Client(base, token)
    finally:
        process.terminate()
        if not process.waitForFinished(5000):
            process.kill()
            process.waitForFinished(2000)
        shutil.rmtree(folder, ignore_errors=True)
