"""Names of QGIS in the plug-in, looked up in this QGIS: prints a line for each that is missing or no scoped enum.

names_of_qgis.py FOLDER, run with the Python of QGIS. Scoped enums are all that Qt 6 knows for sure.
"""

import ast
import importlib
import sys
from pathlib import Path

LATER = {"compat.py"}
"""Where names of later versions are looked for."""


def chain(node):
    """QgsTask.Flag.Hidden as its names; [] for what is no such chain."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def wrong(path):
    """Sentences about one file."""
    tree, known = ast.parse(path.read_text(encoding="utf-8")), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("qgis.core", "qgis.gui", "qgis.analysis"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                known[alias.name] = getattr(module, alias.name)
    for node in ast.walk(tree):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        if len(names) < 2 or names[0] not in known:
            continue
        value = known[names[0]]
        for depth, name in enumerate(names[1:], 1):
            owner, value = value, getattr(value, name, None)
            if value is None and not hasattr(owner, name):
                yield f"{path.name}:{node.lineno}: {'.'.join(names)} does not exist"
                break
            if depth == 1 and isinstance(value, int) and type(value) is not int and not isinstance(value, type):
                yield f"{path.name}:{node.lineno}: {'.'.join(names)} is not scoped"


if __name__ == "__main__":
    for file in sorted(Path(sys.argv[1]).glob("*.py")):
        if file.name not in LATER:
            print("\n".join(wrong(file)), end="\n")
