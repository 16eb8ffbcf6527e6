"""Files and functions stay short, with exceptions named here until they go. Test files have names of their own."""

import ast
from collections import Counter
from pathlib import Path

import terraclick

PACKAGE = Path(terraclick.__file__).parent
FILE_LINES, FUNCTION_LINES = 400, 60
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    return lines - (function.body[0].end_lineno - function.body[0].lineno + 1)


def long_files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)): path.read_text().count("\n") for path in folder.rglob("*.py")}
    return {name for name, lines in found.items() if lines > FILE_LINES}


def long_functions(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > FUNCTION_LINES:
                found.add(f"{path.relative_to(folder)}:{node.name}")
    return found


def test_no_file_is_too_long():
    assert long_files(PACKAGE) == LONG_FILES


def test_no_function_is_too_long():
    assert long_functions(PACKAGE) == LONG_FUNCTIONS


def test_test_files_have_names_of_their_own():
    """pytest refuses to collect two test files of one name, but only in a run that meets both of them."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("*.py"))
    assert {name for name, times in names.items() if times > 1} <= {"conftest.py"}


def test_what_is_too_long_is_found(tmp_path):
    body = "    x = 1\n" * FUNCTION_LINES
    (tmp_path / "a.py").write_text(f"def short():\n    '''One line.'''\n{body[:-10]}\n\ndef long():\n{body}")
    (tmp_path / "b.py").write_text("x = 1\n" * (FILE_LINES + 1))
    assert long_functions(tmp_path) == {"a.py:long"} and long_files(tmp_path) == {"b.py"}
