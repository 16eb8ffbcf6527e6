"""The house: which room may import which, function-level imports included; what is public; what stays torch-free."""

import ast
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

import terraclick
from terraclick.api import DEFAULTS, OutlineOptions
from terraclick.cli import cli
from terraclick.commands.options import Verb

PACKAGE = Path(terraclick.__file__).parent

ROOMS = {  # room: the rooms it may import besides itself and `errors`
    "errors": set(),
    "files": set(),  # like errors, every room may import it
    "values": set(),  # and what all speak of: clicks, views, windows, answers
    "offline": set(),
    "console": set(),
    "inference": {"offline"},
    "core": set(),
    "geo": set(),
    "store": {"geo"},  # what a session keeps, in a GeoPackage and in PostGIS
    "formats": {"geo", "store"},  # one file for each format of other programs
    "exchange": {"formats", "geo", "store"},  # files written and read: one, or a session's
    "data": {"core", "geo"},
    "datasets": {"core", "data", "exchange", "formats", "geo", "store"},
    "predictors": {"core"},  # what every predictor may use: wrappers, progress, inputs of click networks
    "methods": {"core", "predictors"},  # one file for each method without weights
    "blocks": {"core"},  # torch layers and backbones that several networks share
    "terra": {"blocks", "core", "inference", "predictors"},  # the shipped model
    "networks": {"blocks", "core", "inference", "predictors", "terra"},  # one folder for each family of a paper
    "catalogue": {"core", "methods", "networks", "predictors", "terra"},  # every predictor by its name
    "cost": {"catalogue", "core", "networks", "predictors"},
    "train": {
        "evaluate",
        "blocks",
        "catalogue",
        "classmap",
        "core",
        "data",
        "inference",
        "networks",
        "predictors",
        "terra",
    },
    "scale": {"core", "geo"},
    "evaluate": {
        "catalogue",
        "classmap",
        "core",
        "cost",
        "data",
        "datasets",
        "geo",
        "offline",
        "predictors",
        "store",
    },
    "api": {"catalogue", "core", "geo", "predictors"},
    "classmap": {"core", "exchange", "geo", "inference", "predictors", "scale", "store", "terra"},
    "preview": {"core", "geo"},
    "segment": {"api", "catalogue", "console", "core", "exchange", "geo", "predictors", "preview", "store"},
    "doctor": {"catalogue", "classmap", "core", "inference", "predictors"},
    "server": {"catalogue", "classmap", "core", "exchange", "formats", "geo", "predictors", "store", "terra"},
    "weights": set(),
}
SKIN = {"__init__", "__main__", "cli", "commands"}  # may import any room, lazily
ONLY_IN = {  # a library: the rooms that may import it
    "torch": {"blocks", "cost", "networks", "terra", "train"},
    "rasterio": {"geo", "data", "datasets", "exchange", "formats"},
    "pyproj": {"geo", "api", "segment", "data", "exchange", "formats", "store"},
    "shapely": {
        "geo",
        "api",
        "preview",
        "segment",
        "data",
        "datasets",
        "classmap",
        "server",
        "exchange",
        "formats",
        "store",
    },
    "transformers": {"networks"},
    "onnxruntime": {"inference"},
}
EVERYWHERE = {"errors", "files", "values"}  # every room may import them, but:
NO_VALUES = {"blocks", "console", "errors", "files", "offline"}  # layers and files know no clicks
BLOCKS_TAKE = {"modulation", "resample"}  # layers share arithmetic on arrays with core, and know no clicks


def room_of(path: Path, package: Path = PACKAGE) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def imports(source: str) -> list[str]:
    """Dotted names of everything imported anywhere in a source text; `from a import b` counts as a.b."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append("relative import")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def complaints(source: str, room: str) -> list[str]:
    """What a file of this room imports and may not."""
    found = []
    for name in imports(source):
        parts = name.split(".")
        if name == "relative import":
            found.append(f"{room}: write the full path instead of a relative import")
        elif parts[0] == "terraclick" and room not in SKIN:
            other = parts[1] if len(parts) > 1 else "__init__"
            if other not in ROOMS[room] | {room} | EVERYWHERE - ({"values"} if room in NO_VALUES else set()):
                found.append(f"{room} imports {name}")
            elif room == "blocks" and other == "core" and parts[2] not in BLOCKS_TAKE:
                found.append(f"blocks imports {name}; it may take {sorted(BLOCKS_TAKE)} only")
        elif parts[0] in ONLY_IN and room not in ONLY_IN[parts[0]] | SKIN:
            found.append(f"{room} imports {parts[0]}")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = room_of(path)
    assert room in ROOMS or room in SKIN, f"{room} is no room of the house: give it a place in ROOMS"
    assert complaints(path.read_text(), room) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("geo", "from terraclick.blocks.vit import ViT"),
        ("geo", "from terraclick.core.click_sequence import Session"),
        ("geo", "from terraclick.store.values import MapClass"),
        ("store", "from terraclick.exchange.export import export"),
        ("formats", "from terraclick.core.click_sequence import Session"),
        ("core", "def f():\n    import torch"),
        ("core", "from terraclick.geo.grid import Grid"),
        ("core", "import terraclick.geo"),
        ("blocks", "from terraclick.values import Click"),
        ("predictors", "def f():\n    from terraclick.geo import grid"),
        ("train", "from terraclick import outline"),
        ("evaluate", "from terraclick.server.main import prepare"),
        ("data", "from ..geo import grid"),
        ("errors", "import terraclick.values"),
        ("predictors", "import rasterio"),
        ("predictors", "def f():\n    import onnxruntime"),
        ("doctor", "from onnxruntime import InferenceSession"),
        ("api", "from terraclick.cli import main"),
    ],
)
def test_a_planted_violation_is_caught(room, line):
    assert len(complaints(line, room)) == 1


def test_room_init_files_are_empty():
    assert [str(path) for path in PACKAGE.glob("*/__init__.py") if path.read_text().strip()] == []


VERBS = sorted((PACKAGE / "commands").glob("*.py"))


@pytest.mark.parametrize("path", [PACKAGE / "cli.py", *VERBS], ids=lambda path: path.name)
def test_the_command_line_imports_rooms_lazily(path):
    tree = ast.parse(path.read_text())
    top = [name for node in tree.body if isinstance(node, ast.ImportFrom) for name in imports(ast.unparse(node))]
    ours = [name for name in top if name.startswith("terraclick.")]
    light = tuple(f"terraclick.{name}" for name in ("commands", "errors.", "console.", "offline.", "__version__"))
    assert [name for name in ours if not name.startswith(light)] == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_verb_is_a_file_of_its_name(name):
    assert f"commands/{name.replace('-', '_')}.py" in [str(path.relative_to(PACKAGE)) for path in VERBS]
    assert cli.commands[name].callback.__module__ == f"terraclick.commands.{name.replace('-', '_')}"
    below = getattr(cli.commands[name], "commands", {name: cli.commands[name]})
    assert below and all(isinstance(one, Verb) for one in below.values())  # writes over nothing that it reads


def test_type_checkers_are_told_the_same_homes_as_python():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == terraclick._HOMES
    former = {node.targets[0].id: node.value.id for node in block.body if isinstance(node, ast.Assign)}
    assert former == terraclick._FORMER
    assert [name for name, now in former.items() if getattr(terraclick, name) is not getattr(terraclick, now)] == []


def test_public_names_are_sorted_few_and_resolve():
    assert terraclick.__all__ == sorted(terraclick.__all__)
    assert len(terraclick.__all__) <= 12
    assert set(terraclick.__all__) == set(terraclick._HOMES)
    for name in terraclick.__all__:
        assert getattr(terraclick, name) is getattr(import_module(terraclick._HOMES[name]), name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_all_names_is_defined_in_the_file(path):
    body = ast.parse(path.read_text()).body
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    names = next((ast.literal_eval(n.value) for n in assigned if getattr(n.targets[0], "id", "") == "__all__"), [])
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    defined |= {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}
    defined |= {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    assert path.name == "__init__.py" or set(names) <= defined


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_importing_the_package_imports_nothing_heavy():
    heavy = python(
        "import sys, terraclick; print({'numpy', 'torch', 'cv2', 'rasterio', 'onnxruntime'} & set(sys.modules))"
    )
    assert heavy.strip() == "set()"


def test_outline_and_outlines_take_the_same():
    one, many = (signature(getattr(terraclick, name)).parameters for name in ("outline", "outlines"))
    assert [p for name, p in one.items() if name != "clicks"] == [p for name, p in many.items() if name != "many"]
    assert list(OutlineOptions.__annotations__) == list(DEFAULTS)
    for function in (terraclick.outline, terraclick.outlines):
        with pytest.raises(TypeError, match=r"no option 'simplify' .* simplify_m"):
            function("sample", [], simplify=1)


def test_the_function_outline_is_not_hidden_by_its_file():
    assert python("import terraclick.api; from terraclick import outline; print(callable(outline))").strip() == "True"


def test_a_click_is_answered_with_the_extras_blocked():
    code = """
import sys
for name in ("torch", "scipy", "PIL", "matplotlib", "tqdm", "pandas", "geopandas", "pyogrio", "onnx", "openvino"):
    sys.modules[name] = None
from terraclick import outline
found = outline("sample", clicks=[(500264.6, 4649637.1, True)])
print(found.geometry.area > 0, found.geometry.is_valid)
"""
    assert python(code).strip() == "True True"
