"""A setting that nothing reads is a promise that nobody keeps: every field of every configuration is read somewhere."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import terraclick

PACKAGE = Path(terraclick.__file__).parent
ENDINGS = ("Config", "Job", "Protocol", "Recipe", "Rule", "Settings")
"""How the names of configurations end."""

RECORDED = {("NetworkRecipe", "name"): "says in the record of a run which recipe it was"}
"""Fields that are only written down, and why."""


@dataclass
class Declared:
    """A configuration: its file, its fields, and the class body."""

    path: Path
    fields: list[str]
    body: ast.ClassDef


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def declarations(trees: dict[Path, ast.Module]) -> dict[str, Declared]:
    found = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith(ENDINGS) and is_dataclass(node):
                names = [
                    n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
                ]
                found[node.name] = Declared(path, names, node)
    for one in found.values():  # what a base declares is asked of the base
        bases = [found[base.id] for base in one.body.bases if isinstance(base, ast.Name) and base.id in found]
        one.fields = [name for name in one.fields if all(name not in base.fields for base in bases)]
    return found


def held(tree: ast.AST, name: str) -> Iterator[str]:
    """Names that hold a value of a class, by their annotations and by what is assigned to them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None and name in words(node.annotation):
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and name in words(node.annotation):
            yield ast.unparse(node.target).rpartition(".")[2]
        elif isinstance(node, ast.Assign) and name in words(node.value):
            yield from (ast.unparse(target).rpartition(".")[2] for target in node.targets)


def words(node: ast.AST) -> set[str]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return names | {part for text in texts for part in text.replace("|", " ").split()}


def reads(tree: ast.AST, holders: set[str]) -> set[str]:
    """Fields that are read from anything of these names: `config.field`, `self.config.field`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            receiver = node.value
            last = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", None)
            if isinstance(receiver, ast.Call):
                last = getattr(receiver.func, "id", None)
            if last in holders:
                found.add(node.attr)
    return found


def unread(trees: dict[Path, ast.Module], name: str, one: Declared) -> list[str]:
    """Fields of a configuration that are read nowhere but where they are checked."""
    near = [tree for path, tree in trees.items() if path.parent == one.path.parent or name in IMPORTED.get(path, ())]
    holders = {name, *(holder for tree in near for holder in held(tree, name))}
    seen = {read for tree in near for read in reads(tree, holders)}
    for method in one.body.body:
        if isinstance(method, ast.FunctionDef) and method.name != "__post_init__":
            seen |= reads(method, {"self"})
    return [f for f in one.fields if f not in seen and (name, f) not in RECORDED]


def imported(tree: ast.AST) -> set[str]:
    """Names that a file imports."""
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTED = {path: imported(tree) for path, tree in TREES.items()}
DECLARED = declarations(TREES)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_every_field_is_read_outside_its_declaration(name):
    assert unread(TREES, name, DECLARED[name]) == []


def test_the_configurations_are_found():
    assert {"EvalProtocol", "TrainConfig", "MapJob", "SegmentJob", "FocusRule", "Settings", "CrossCutConfig"} <= set(
        DECLARED
    )


def test_a_field_that_nothing_reads_is_found():
    text = """
@dataclass(frozen=True)
class TinyConfig:
    used: int = 1
    checked: int = 2
    other: int = 3
    def __post_init__(self):
        assert self.checked > 0
    @property
    def derived(self):
        return self.other
def f(config: TinyConfig, picture):
    return config.used + picture.checked
"""
    trees = {Path("a/b.py"): ast.parse(text)}
    assert unread(trees, "TinyConfig", declarations(trees)["TinyConfig"]) == ["checked"]
