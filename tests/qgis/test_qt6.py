"""The plug-in under PyQt6: its modules, widgets, keys and processes run there, and every enum is written scoped."""

import ast
import json
import os
import subprocess
import sys
from functools import lru_cache

import pytest
from names_of_qt6 import chain
from qgis_play import HERE, ROOT, clean

PLUGIN = ROOT / "qgis" / "terraclick_qgis"
PLAIN = {"Qgis.QGIS_VERSION_INT", "Qgis.QGIS_VERSION"}
"""Constants of classes that are no enums."""


@lru_cache
def qt6_python():
    """A Python that has PyQt6; None where there is none."""
    for name in (os.environ.get("QT6_PYTHON"), sys.executable, "/usr/bin/python3"):
        asked = [name, "-c", "import PyQt6.QtWidgets, PyQt6.QtNetwork, PyQt6.QtXml, PyQt6.QtTest"]
        if name and os.path.exists(name):
            if subprocess.run(asked, capture_output=True, env=clean(), check=False).returncode == 0:
                return name
    return None


needs_qt6 = pytest.mark.skipif(
    qt6_python() is None, reason="no Python here has PyQt6: pip install PyQt6 (in any environment), or set QT6_PYTHON"
)


def unscoped(text):
    """Chains such as Qt.LeftButton or QgsTask.CanCancel: values of enums that do not name their enum."""
    for node in ast.walk(ast.parse(text)):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        if len(names) == 2 and names[0][0] == "Q" and names[1][0].isupper() and ".".join(names) not in PLAIN:
            yield ".".join(names)


def enums_in_place(text):
    """The chains of two names that stand within longer ones: the enums themselves."""
    for node in ast.walk(ast.parse(text)):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        if len(names) > 2:
            yield ".".join(names[:2])


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.name)
def test_every_enum_is_written_with_its_name(path):
    if path.name == "compat.py":
        pytest.skip("compat.py names what differs between versions")
    text = path.read_text()
    assert set(unscoped(text)) - set(enums_in_place(text)) - called(text) == set()


def called(text):
    """Chains of two names that are handed on as enums or called as classes."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found.add(".".join(chain(node.func)))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            found.add(".".join(chain(node.value)))
    return found


def test_an_enum_without_its_name_is_seen():
    assert list(unscoped("button == Qt.LeftButton")) == ["Qt.LeftButton"]


@needs_qt6
def test_every_name_of_qt_exists_in_qt_6():
    words = [qt6_python(), str(HERE / "names_of_qt6.py"), str(PLUGIN)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=clean())
    assert done.stdout == ""


@needs_qt6
def test_modules_widgets_keys_and_processes_run_in_qt_6(tmp_path, program):
    (tmp_path / "profile").mkdir()
    words = [qt6_python(), str(HERE / "play_in_qt6.py"), str(tmp_path / "profile"), str(PLUGIN.parent), str(program)]
    done = subprocess.run(words, capture_output=True, text=True, env=clean(), timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["modules"]) == len(list(PLUGIN.glob("*.py"))) - 1
    assert found["server"] == "terra" and "terra" in found["told"], "no server was started and asked"
    assert all(found["keys"]) and found["widgets"] > 30 and found["left"] == 0
    assert found["clipboard"] == "{" and len(found["said"]) > 4
    assert not [line for line in found["said"] if "'" in line], "an error of Python was said"
    assert "Traceback" not in done.stderr, done.stderr
