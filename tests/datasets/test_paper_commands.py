"""Every command of docs/results/papers.md runs on the miniatures, with small networks in the places of the weights."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from doc_blocks import blocks
from make_sources import make_source, scene, write

pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("sklearn", reason="needs the extra terraclick[benchmark]")
pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")

from tiny_networks import write_tiny

from terraclick.cli import main
from terraclick.evaluate.published.catalogue import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "results" / "papers.md"
COMMANDS = [line for block in blocks(PAGE) for line in block.text.splitlines() if line.startswith("terraclick ")]
PREPARE = [line for line in COMMANDS if line.startswith("terraclick prepare ")]
ADD = [line for line in COMMANDS if line.startswith("terraclick models add ")]
ASK = [line for line in COMMANDS if line not in (*PREPARE, *ADD)]
SMALLER = {"potsdam": ["--crop", "60"], "vaihingen": ["--crop", "60", "--overlap", "0"]}
NETWORKS = ("crosscut-b", "simpleclick-b", "mfp-b", "isrefiner-b", "ritm-hrnet32", "refcut-b")


def run(words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert not stopped.value.code, words


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder as the page supposes it: sources, weights and models; sets are prepared by the page's own commands."""
    folder = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "figures").mkdir()
        for line in PREPARE:
            _, _, name, source, *_ = shlex.split(line)
            if not Path(source).exists():
                make_source(name, source)
            run([*shlex.split(line)[1:], *SMALLER.get(name, [])])
        for number in (8, 9):
            write(folder / f"sources/loveda/Test/Urban/images_png/{number}.png", scene(number, (96, 128))[0])
        for name in NETWORKS:
            write_tiny(name, folder / "weights")
        write_tiny("simpleclick-b", folder / "weights" / "tuned", seed=1)
        for path in (folder / "weights" / "tuned").iterdir():
            path.rename(folder / "weights" / f"simpleclick-b-tuned{path.suffix}")
        patch.setenv("TERRACLICK_MODELS", str(folder / "added"))
        for line in ADD:
            run(shlex.split(line)[1:])
        make_maps(folder, patch)
    return folder


def make_maps(folder, patch):
    """Map models of LoveDA's and ISPRS's classes: BiCoR-Seg on a ConvNeXt of a few thousand weights, trained a step."""
    from terraclick.blocks.convnext import CONVNEXT, ConvNeXtConfig
    from terraclick.networks.bicor import network as bicor
    from terraclick.train import semantic
    from terraclick.train.export_map import export_map
    from terraclick.train.semantic_recipes import loveda, vaihingen
    from terraclick.train.trainer import RunOptions

    patch.setitem(CONVNEXT, "convnext-base", ConvNeXtConfig((1, 1, 1, 1), (8, 8, 16, 16)))
    patch.setitem(bicor.ENCODERS, "convnext-base", (8, 8, 16, 16))
    small = {
        "layout": "terraclick",
        "crop": 64,
        "embed": 32,
        "batch": 1,
        "epochs": 1,
        "sources": (),
        "published": False,
    }
    for name, recipe, data in (("loveda", loveda(), "loveda"), ("isprs", vaihingen(), "vaihingen")):
        chosen = replace(recipe, train_on=(f"maps/train/{data}",), judge_on=(f"maps/train/{data}",), **small)
        weights = semantic.train(chosen, folder, folder / "runs" / name, RunOptions(until=1))
        export_map(weights, folder / "models" / name)


def shortened(line):
    """The words of a command, with so few tasks and clicks that it takes seconds."""
    words = shlex.split(line)[1:]
    if words[0] == "results" and "models/" not in line:
        words += ["--limit", "1"]
    if words[0] == "benchmark" and "map" not in words:
        words += ["--limit", "1", *([] if "--max-clicks" in words else ["--max-clicks", "2", "--miou-at", "1"])]
    return words


def told_apart(line):
    """Tables with CFR ask five answers a click, which takes a minute."""
    long = line.startswith("terraclick results") and "+cfr=" in line
    return pytest.param(line, marks=[pytest.mark.slow] if long else [], id=line[11:60])


@pytest.mark.parametrize("line", [told_apart(line) for line in ASK if "--cost" not in line])
def test_a_command_of_the_page_runs(line, room, monkeypatch):
    monkeypatch.chdir(room)
    monkeypatch.setenv("TERRACLICK_MODELS", str(room / "added"))
    words = shortened(line)
    run(words)
    for option in ("--plot", "--out", "--figures", "--explain", "--masks"):
        if option in words:
            path = Path(words[words.index(option) + 1])
            assert path.is_file() or any(path.iterdir()), option
    pages = [word for word in words if word in TABLES]
    for name in pages:
        text = (room / "tables" / f"{name}.md").read_text()
        assert "(here)" in text and "not prepared" not in text, name


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in ASK if "--cost" in line])
def test_a_command_that_measures_runs(line, room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    run([*shlex.split(line)[1:], "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in found} == {"isrefiner-b", "mfp-b"} and all(one["gflops_click"] > 1 for one in found)


def test_every_table_and_figure_has_its_command():
    asked = {word for line in ASK for word in shlex.split(line)}
    assert set(TABLES) <= asked, set(TABLES) - asked
    assert set(re.findall(r"figures/([a-z]+-\d+[ab]?)", " ".join(ASK))) == {
        *("crosscut-2", "crosscut-3", "crosscut-4", "isrefiner-7", "isrefiner-8", "isrefiner-9", "segmap-3"),
        *("segmap-4", "refcut-4", "refcut-5a", "refcut-5b", "bicor-4", "bicor-5"),
    }


def test_recipes_that_the_page_names_exist():
    from terraclick.train.networks import NETWORK_RECIPES
    from terraclick.train.semantic_recipes import SEMANTIC_RECIPES

    known = {*NETWORK_RECIPES, *SEMANTIC_RECIPES}
    lines = [line for line in PAGE.read_text().splitlines() if "recipe" in line and line.startswith("|")]
    named = {word for line in lines for word in re.findall(r"`([a-z0-9.-]+)`", line)}
    assert len(named) > 15 and named <= known, named - known


def test_masks_of_the_page_are_those_of_the_server(room):
    for number in (8, 9):
        mask = cv2.imread(str(room / "masks" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (96, 128) and mask.max() <= 6
