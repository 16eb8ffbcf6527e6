"""One word, one meaning: modules and classes that bear a word of the glossary are those that it lists."""

import ast
import re
from pathlib import Path

import pytest

import terraclick

PACKAGE = Path(terraclick.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


def words_in(name: str) -> set[str]:
    """The words of a name in camel or snake case, small, in the singular."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower() for word in found} | {word.lower().removesuffix("s") for word in found}


def bearers(package: Path) -> dict[str, set[str]]:
    """Every module (its path) and class of a package, and the words in its name."""
    found = {}
    for path in package.rglob("*.py"):
        place = path.relative_to(package).as_posix()
        found[place] = words_in(path.stem)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name] = words_in(node.name)
    for folder in {path.parent for path in package.rglob("*.py")} - {package}:
        found[f"{folder.relative_to(package).as_posix()}/"] = words_in(folder.name)
    return found


def glossary(text: str) -> dict[tuple[str, ...], set[str]]:
    """What the page lists of modules and classes for each row of words; rows without a list are left out."""
    part = text.split("## One word, one meaning\n")[1].split("\n## ")[0]
    table = part.split("| word | its one meaning | modules and classes |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[1:]]
    return {tuple(words.split(", ")): set(re.findall(r"`([^`]+)`", listed)) for words, _, listed in rows if listed}


BEARERS = bearers(PACKAGE)
GLOSSARY = glossary(PAGE.read_text(encoding="utf-8"))
NAMED = ("session", "target", "view", "model", "layer", "engine", "report", "act")


def test_every_word_is_defined():
    assert [word for word in NAMED if sum(word in words for words in GLOSSARY) != 1] == []


def borne(words: tuple[str, ...], names: dict[str, set[str]]) -> set[str]:
    return {name for name, parts in names.items() if parts & set(words)}


@pytest.mark.parametrize("words", GLOSSARY, ids=", ".join)
def test_names_bear_a_word_in_its_one_meaning(words):
    assert borne(words, BEARERS) == GLOSSARY[words]


TYPES = {  # of a parameter that is called by the word alone, outside the routes, which speak HTTP's words
    "session": r"str|Path",
    "target": r"Target|str|Tensor",  # in the exported net it is one of its inputs
    "view": r"View|StoredView",
    "model": r"str|Predictor|MapModel|Callable\[\[\], Model\]|dict\[str, Any\]",
    "layer": r"nn\.\w+",
    "report": r"Report|MapReport",
    "act": r"str",
}


def strangers(source: str) -> list[str]:
    """Parameters that are called by a word of the glossary and are of another type."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                said = "" if one.annotation is None else ast.unparse(one.annotation)
                known = TYPES.get(one.arg)
                if known and said and not re.fullmatch(rf"({known})( \| ({known}|None))*", said):
                    found.append(f"{node.name}({one.arg}: {said})")
                if one.arg in ("engine", "space"):
                    found.append(f"{node.name}({one.arg})")
    return found


def test_parameters_bear_a_word_in_its_one_meaning():
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "routes"]
    found = {path.name: strangers(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: odd for name, odd in found.items() if odd} == {}


def test_a_parameter_in_another_meaning_is_found():
    source = "def f(target: tuple[int, int], view: View | None = None, *, report: Callable[[int], None], space=1): ..."
    odd = ["f(target: tuple[int, int])", "f(report: Callable[[int], None])", "f(space)"]
    assert sorted(strangers(source)) == sorted(odd)


def test_a_word_in_another_meaning_is_found(tmp_path):
    (tmp_path / "engine.py").write_text("class LiveSession:\n    pass\n\n\nclass Interactive:\n    pass\n")
    names = bearers(tmp_path)
    assert borne(("engine",), names) == {"engine.py"} and borne(("act",), names) == set()
    assert borne(("session",), names) == borne(("space", "live"), names) == {"LiveSession"}
