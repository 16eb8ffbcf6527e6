"""Each table of the papers is made from the miniatures by one command, and our cells are the benchmark's figures."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from make_sources import make_source

from terraclick.cli import main
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.preparation import prepare
from terraclick.errors import BadData, UnknownName
from terraclick.evaluate.maps import MapProtocol, judge_map
from terraclick.evaluate.protocol import preset
from terraclick.evaluate.published.catalogue import TABLES, table_of
from terraclick.evaluate.published.table import CLASS_MAP
from terraclick.evaluate.results import prepared_sets
from terraclick.evaluate.run import run_benchmark
from terraclick.values import Target

MADE = {  # dataset of a table: (name to prepare, protocol, settings of the miniature)
    "isaid": ("isaid", {}),
    "deepglobe": ("deepglobe", {}),
    "inria": ("inria", {}),
    "sandbar": ("sandbar", {}),
    "nwpu": ("nwpu", {}),
    "loveda": ("loveda", {}),
    "whu": ("whu", {}),
    "vaihingen": ("vaihingen", {"crop": 60, "overlap": 0}),
    "potsdam_rgb": ("potsdam", {"crop": 60, "bands": "RGB"}),
    "potsdam_irrg": ("potsdam", {"crop": 60, "bands": "IRRG"}),
    "potsdam_rgbir": ("potsdam", {"crop": 60, "bands": "RGBIR"}),
    "partimagenet": ("partimagenet", {}),
    "pascal-part": ("pascal-part", {}),
    "tda": ("tda", {}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    for name, more in MADE.values():
        source = root / "sources" / name
        if not source.exists():
            make_source(name, source)
        declaration = declaration_of(name)
        prepare(declaration, source, root / "data", replace(declaration.settings(None), **more))
    return root / "data"


def test_every_table_needs_sets_that_can_be_prepared():
    assert {name for table in TABLES.values() for name in table.datasets} == set(MADE)
    for name, table in TABLES.items():
        assert table_of(name) is table
        if table.target == CLASS_MAP:
            for dataset in table.datasets:
                classes = set(declaration_of(MADE[dataset][0]).classes.values())
                assert {column.cls for column in table.columns} <= classes | {"all"}
            continue
        levels = {f"{100 * t:g}" for t in preset(table.preset).thresholds}
        for column in table.columns:
            assert column.figure == "miou" or column.at in levels, column
    with pytest.raises(UnknownName, match="crosscut-1"):
        table_of("crosscut-9")


def test_the_draws_are_those_of_the_declarations():
    drawn = {name: table_of("isrefiner-1").drawn(name) for name in ("isaid", "sandbar", "nwpu", "loveda", "whu")}
    assert drawn == {"isaid": 844, "sandbar": 663, "nwpu": 2049, "loveda": 851, "whu": 2559}
    assert table_of("crosscut-1").drawn("isaid") is None and table_of("segmap-6").drawn("potsdam_rgb") is None


def ours(text, name):
    """The cells of our row on a page."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| **{name}** (here)")]
    return [cell.strip() for cell in line.strip("| ").split("|")][1:]


CLICKS = [name for name, table in TABLES.items() if table.target != CLASS_MAP]


@pytest.mark.parametrize("name", CLICKS)
def test_a_table_is_made_by_one_command(name, data, tmp_path, capsys):
    words = ["results", name, "--data", str(data), "--predictor", "grabcut", "--limit", "1", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    table, text = table_of(name), (tmp_path / f"{name}.md").read_text()
    assert text.strip() in capsys.readouterr().out
    cells = ours(text, "grabcut")
    assert len(cells) == len(table.columns) and (table.size_groups or any(cell != "–" for cell in cells))
    for method, numbers in table.rows.items():
        assert f"| {method} (published) | " + " | ".join(f"{number:g}" for number in numbers) + " |" in text
    column = table.columns[0]
    if column.group is not None:
        return
    protocol = replace(preset(table.preset), limit=1)
    report = run_benchmark("grabcut", table.target, [prepared_sets(data, [column.dataset])[column.dataset]], protocol)
    row = next((row for row in report.rows() if row["class"] == column.cls), None)
    if row is not None:
        value = row[column.figure][column.at]
        assert float(cells[0]) == pytest.approx(100 * value if column.figure == "miou" else value, abs=0.006)


def test_cells_by_size_are_those_of_the_groups(data, tmp_path):
    words = ["results", "segmap-8", "--data", str(data), "--predictor", "grabcut", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    cells = ours((tmp_path / "segmap-8.md").read_text(), "grabcut")
    protocol = replace(preset("segmap"), size_groups=5)
    report = run_benchmark("grabcut", Target.OBJECT, [prepared_sets(data, ["potsdam_rgb"])["potsdam_rgb"]], protocol)
    groups = [row for row in report.rows() if row.get("group_of") == "building"]
    expected = [f"{row['noc'][level]:.2f}" for row in groups for level in ("80", "95")]
    assert cells[: len(expected)] == expected and len(groups) > 1


def test_a_row_with_other_examples(data, tmp_path):
    words = ["results", "refcut-3", "--data", str(data), "--predictor", "grabcut", "--limit", "1"]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--references", "positive", "--out", str(tmp_path)])
    assert stopped.value.code == 0
    text = (tmp_path / "refcut-3.md").read_text()
    assert "references: positive" in text and len(ours(text, "grabcut, positive")) == 12


@pytest.mark.parametrize("name", [name for name in TABLES if name not in CLICKS])
def test_a_table_of_class_maps(name, data, tmp_path):
    table = table_of(name)
    same = {"loveda": "vegetation=road", "vaihingen": "vegetation=car", "potsdam_rgb": "vegetation=tree"}
    words = ["results", name, "--data", str(data), "--predictor", "greenness", "--out", str(tmp_path)]
    first = table.datasets[0]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--same-class", same[first], "--tta", "lr"])
    if len(table.datasets) > 1:  # greenness has no name for the other's classes
        assert stopped.value.code == 2
        return
    assert stopped.value.code == 0
    text = (tmp_path / f"{name}.md").read_text()
    protocol = MapProtocol(augmentation="lr", same=(tuple(same[first].split("=")),))
    row = judge_map("greenness", list(prepared_sets(data, [first]).values()), protocol).judged[0].row()
    cells = dict(zip([column.heading for column in table.columns], ours(text, "greenness"), strict=True))
    assert cells[f"{first} mIoU"] == f"{100 * row['miou']:.2f}"
    known, kind = same[first].split("=")[1], "IoU" if name == "bicor-1" else "F1"
    if f"{first} {known} {kind}" in cells:
        assert cells[f"{first} {known} {kind}"] == f"{100 * row[kind.lower()][known]:.2f}"
        assert cells[f"{first} building {kind}"] == "–"


def test_every_published_number_is_in_its_paper():
    """Each row stands in the paper, on one line, or class by class where the paper's table is turned."""
    shared = os.environ.get("TERRACLICK_SHARED")
    if shared is None or not (Path(shared) / "papers").is_dir():
        pytest.skip("needs the texts of the papers in TERRACLICK_SHARED")
    files = {"crosscut": "crosscut", "isrefiner": "rs-isrefiner", "segmap": "segmap-benchmark"}
    files |= {"refcut": "refcut", "bicor": "bicor-seg"}
    misprinted = {"1.483.78": "1.48 3.78"}  # two cells of SegMap's table 8 run together
    for name, table in TABLES.items():
        text = (Path(shared) / "papers" / f"{files[name.split('-')[0]]}.txt").read_text()
        for printed, meant in misprinted.items():
            text = text.replace(printed, meant)
        lines = [line_of(line) for line in re.sub(r"</?b>", "", text).splitlines()]
        for method, row in table.rows.items():
            told = [f"{number:g}" for number in row if not math.isnan(number)]
            size = {"segmap-10": 4, "bicor-4": 1}.get(name, len(told))
            for start in range(0, len(told), size):
                cells = f" {' '.join(told[start : start + size])} "
                assert any(cells in line for line in lines), (name, method, cells)


def line_of(text):
    """The numbers of a line of a paper, written alike."""
    numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", text.replace("/", " "))
    return f" {' '.join(f'{float(number):g}' for number in numbers)} "


def test_tables_are_listed_and_missing_words_and_sets_said(data, tmp_path, capsys):
    for words, code, said in (
        (["results"], 0, "refcut-4"),
        (["results", "crosscut-1"], 2, "needs --data, --predictor and --out"),
        (["results", "crosscut-1", "--data", str(tmp_path), "--predictor", "grabcut", "--out", "x"], 2, "test/isaid"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        captured = capsys.readouterr()
        assert stopped.value.code == code and said in captured.out + captured.err
    with pytest.raises(BadData):
        prepared_sets(tmp_path, ["isaid"])
