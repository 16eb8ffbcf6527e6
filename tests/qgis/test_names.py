"""Names of QGIS and Qt in the plug-in: they exist, enums are scoped, and nothing is used that Qt 6 has dropped."""

import re
import subprocess

import pytest
from qgis_play import HERE, ROOT, clean, needs_qgis, qgis_python

PLUGIN = ROOT / "qgis" / "terraclick_qgis"
DROPPED = ("exec_(", "QRegExp", "QDesktopWidget", "QVariant(", "QVariant.Type", "QTextCodec", ".toSet()", "QSound")
"""What Qt 6 or PyQt6 does not have any more."""


def looked_up(folder):
    words = [qgis_python(), str(HERE / "names_of_qgis.py"), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=clean(), cwd=folder)
    return [line for line in done.stdout.splitlines() if line]


@needs_qgis
def test_every_name_of_qgis_exists_and_every_enum_is_scoped():
    assert looked_up(PLUGIN) == []


@needs_qgis
def test_names_that_are_missing_or_not_scoped_are_seen(tmp_path):
    lines = ["from qgis.core import QgsTask, QgsWkbTypes", "QgsTask.CanCancel", "QgsTask.Flag.CanCancel"]
    (tmp_path / "one.py").write_text("\n".join([*lines, "QgsWkbTypes.GeometryType.NoSuchThing", ""]))
    first, second = looked_up(tmp_path)
    assert "QgsTask.CanCancel is not scoped" in first and "NoSuchThing does not exist" in second


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.name)
def test_nothing_is_used_that_qt_6_has_dropped(path):
    text = path.read_text()
    assert not [name for name in DROPPED if name in text]
    assert path.name == "compat.py" or not re.search(r"\bQVariant\b", text)
