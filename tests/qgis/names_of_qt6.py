"""Names of Qt in the plug-in, looked up in PyQt6, where every enum is scoped: prints a line for each that is missing.

names_of_qt6.py FOLDER, run with a Python that has PyQt6.
"""

import ast
import importlib
import sys
from pathlib import Path

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


def wrong(path):
    """Sentences about one file."""
    tree, known = ast.parse(path.read_text(encoding="utf-8")), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = node.module.rsplit(".", 1)[1]
            for alias in node.names:
                found = importlib.import_module(f"PyQt6.{MOVED.get((module, alias.name), module)}")
                if not hasattr(found, alias.name):
                    yield f"{path.name}: {found.__name__} has no {alias.name}"
                elif (module, alias.name) not in OF_QGIS:
                    known[alias.name] = getattr(found, alias.name)
    for node in ast.walk(tree):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        value = known.get(names[0]) if len(names) > 1 else None
        for name in names[1:] if value is not None else ():
            if not hasattr(value, name):
                yield f"{path.name}:{node.lineno}: {'.'.join(names)} does not exist"
                break
            value = getattr(value, name)


if __name__ == "__main__":
    for file in sorted(Path(sys.argv[1]).rglob("*.py")):
        for line in wrong(file):
            print(line)
