"""Every name of Qt that the plug-in uses exists under PyQt6, where enums are scoped."""

import ast
import importlib
from pathlib import Path

import pytest

pytest.importorskip("PyQt6.QtCore", reason="PyQt6 is not installed: pip install PyQt6", exc_type=ImportError)

PLUGIN = Path(__file__).parents[2] / "qgis" / "terraclick_qgis"
MOVED = {("QtWidgets", "QAction"): "QtGui"}
"""What qgis.PyQt finds in another module under Qt 6; compat.py tries the new place first."""
OF_QGIS = {("QtCore", "QVariant")}
"""What QGIS keeps alive by itself on Qt 6."""


def chain(node):
    """Qt.MouseButton.LeftButton as ["Qt", "MouseButton", "LeftButton"]; [] for what is no such chain."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.name)
def test_names_and_enums_exist(path):
    tree = ast.parse(path.read_text())
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = node.module.rsplit(".", 1)[1]
            for alias in node.names:
                place = MOVED.get((module, alias.name), module)
                found = importlib.import_module(f"PyQt6.{place}")
                assert hasattr(found, alias.name), f"{place} has no {alias.name}"
                if (module, alias.name) not in OF_QGIS:
                    known[alias.name] = getattr(found, alias.name)
    for node in ast.walk(tree):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        if len(names) > 1 and names[0] in known:
            value = known[names[0]]
            for name in names[1:]:
                assert hasattr(value, name), f"line {node.lineno}: {'.'.join(names)} does not exist under PyQt6"
                value = getattr(value, name)
