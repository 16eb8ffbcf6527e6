# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plug-in remembers in the user's QGIS profile."""

import os

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QThread

TEXTS = ("address", "executable", "wheels")
DEFAULTS = {
    **dict.fromkeys(TEXTS, ""),
    "online_gsd": 0.3,
    "use_renderer": False,
    "save_each": False,
    "preview": True,
    "window_mb": 1000,
    "window_days": 30,
}
PREFIX = "terraclick/"
REMOTE = "terraclick/token"


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


def token():
    """The token of the server elsewhere: from QGIS's authentication manager where it lies there, else as it is."""
    plain = str(QgsSettings().value(REMOTE, "") or "")
    manager = QgsApplication.authManager()
    if plain or manager.isDisabled() or not manager.existsAuthSetting(REMOTE):
        return plain
    if not manager.masterPasswordIsSet() and QThread.currentThread() == QgsApplication.instance().thread():
        manager.setMasterPassword(True)  # asks for it
    return str(manager.authSetting(REMOTE, "", True) or "") if manager.masterPasswordIsSet() else ""


def put_token(text):
    """Keep the token of a server elsewhere; whether it is encrypted, which it is where the manager is unlocked."""
    manager = QgsApplication.authManager()
    settings = QgsSettings()
    if not manager.isDisabled() and manager.existsAuthSetting(REMOTE):
        manager.removeAuthSetting(REMOTE)
    safe = bool(text) and not manager.isDisabled() and manager.masterPasswordIsSet()
    if safe and manager.storeAuthSetting(REMOTE, text, True):
        settings.remove(REMOTE)
        return True
    settings.setValue(REMOTE, text)
    return False


def folder():
    """The plug-in's own folder in the profile, made if it is not there."""
    path = os.path.join(QgsApplication.qgisSettingsDirPath(), "terraclick")
    os.makedirs(path, exist_ok=True)
    return path
