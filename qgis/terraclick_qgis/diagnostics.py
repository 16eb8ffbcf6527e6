# SPDX-License-Identifier: GPL-2.0-or-later
"""What somebody who helps wants to know, without names of files, tokens or passwords."""

import json
import os
import platform
import sys

from qgis.core import Qgis, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QT_VERSION_STR

from . import server, settings
from .client import is_local


def version():
    """The plug-in's version as its metadata says."""
    path = os.path.join(os.path.dirname(__file__), "metadata.txt")
    with open(path, encoding="utf-8") as file:
        lines = dict(line.strip().split("=", 1) for line in file if "=" in line)
    return lines.get("version", "")


def report(controller):
    """The report as text."""
    program = server.find_executable()
    python = server.find_python()
    address = settings.get("address")
    layers = [
        {
            "provider": layer.providerType(),
            "size": [layer.width(), layer.height()],
            "bands": layer.bandCount(),
            "crs": layer.crs().authid(),
        }
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsRasterLayer)
    ]
    state = controller.server_state or {}
    target = controller.target_layer()
    found = {
        "plug-in": version(),
        "QGIS": Qgis.QGIS_VERSION,
        "Qt": QT_VERSION_STR,
        "Python of QGIS": platform.python_version(),
        "system": platform.platform(),
        "server": {
            "address": "none set" if not address else ("this machine" if is_local(address) else "elsewhere"),
            "started by the plug-in": controller.server.running,
            "answers": controller.client is not None,
            "version": state.get("version"),
            "model": state.get("model"),
            "last lines": controller.server.lines[-10:],
        },
        "terraclick program found": program is not None,
        "Python for the environment found": None if python is None else os.path.basename(python),
        "raster layers": layers,
        "layer of polygons": None
        if target is None
        else {"provider": target.providerType(), "crs": target.crs().authid()},
        "project crs": QgsProject.instance().crs().authid(),
        "milliseconds to the painted outline": [round(value) for value in controller.times[-20:]],
        "platform": sys.platform,
    }
    home = os.path.expanduser("~")
    text = json.dumps(found, indent=1, ensure_ascii=False, default=str)
    return text.replace(home, "~") if len(home) > 1 else text
