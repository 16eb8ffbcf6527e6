# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plug-in remembers in the user's QGIS profile."""

import os

from qgis.core import QgsApplication, QgsSettings

TEXTS = ("address", "token", "executable", "wheels")
DEFAULTS = {
    **dict.fromkeys(TEXTS, ""),
    "online_gsd": 0.3,
    "use_renderer": False,
    "save_each": False,
    "preview": True,
}
PREFIX = "terraclick/"


def get(name):
    """A setting, of the type of its default."""
    default = DEFAULTS[name]
    value = QgsSettings().value(PREFIX + name, default)
    if isinstance(default, bool):
        return value in (True, "true", "True", 1, "1")
    try:
        return type(default)(value)
    except (TypeError, ValueError):
        return default


def put(name, value):
    """Remember a setting."""
    QgsSettings().setValue(PREFIX + name, type(DEFAULTS[name])(value))


def folder():
    """The plug-in's own folder in the profile, made if it is not there."""
    path = os.path.join(QgsApplication.qgisSettingsDirPath(), "terraclick")
    os.makedirs(path, exist_ok=True)
    return path
