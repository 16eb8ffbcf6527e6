# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations, read from the .ts files as they are, so that the plug-in ships no compiled files."""

import os

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QFile, QIODevice, QXmlStreamReader

_texts = {}


def load(locale):
    """Use a language such as de or de_AT; English where there is no file for it."""
    _texts.clear()
    path = os.path.join(os.path.dirname(__file__), f"terraclick_{locale[:2]}.ts")
    if os.path.isfile(path):
        _texts.update(read_texts(path))


def read_texts(path):
    """Source text → translation of a .ts file."""
    found = {}
    file = QFile(path)
    if not file.open(QIODevice.OpenModeFlag.ReadOnly):
        return found
    reader = QXmlStreamReader(file)
    source = ""
    while not reader.atEnd():
        reader.readNext()
        if not reader.isStartElement():
            continue
        name = str(reader.name())
        if name == "source":
            source = reader.readElementText()
        elif name == "translation":
            unfinished = reader.attributes().value("type") == "unfinished"
            text = reader.readElementText()
            if text and not unfinished:
                found[source] = text
    file.close()
    return found


def load_for_qgis():
    """Use the language that QGIS speaks."""
    load(QgsApplication.instance().locale() or "en")


def tr(text):
    """A text in the user's language."""
    return _texts.get(text, text)
