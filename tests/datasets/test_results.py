"""Each table of the papers is made from the miniatures by one command, and our cells are the benchmark's figures."""

from dataclasses import replace

import pytest
from make_sources import make_source

from terraclick.cli import main
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.preparation import prepare
from terraclick.errors import BadData, UnknownName
from terraclick.evaluate.protocol import preset
from terraclick.evaluate.published import TABLES, table_of
from terraclick.evaluate.results import prepared_sets
from terraclick.evaluate.run import run_benchmark

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
        assert table_of(name) is table and preset(table.preset)
        levels = {f"{100 * t:g}" for t in preset(table.preset).thresholds}
        for column in table.columns:
            assert column.figure == "miou" or column.at in levels, column
    with pytest.raises(UnknownName, match="crosscut-1"):
        table_of("crosscut-9")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_made_by_one_command(name, data, tmp_path, capsys):
    words = ["results", name, "--data", str(data), "--predictor", "grabcut", "--limit", "1", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    table, text = table_of(name), (tmp_path / f"{name}.md").read_text()
    assert text.strip() in capsys.readouterr().out
    (ours,) = [line for line in text.splitlines() if line.startswith("| **grabcut** (here)")]
    cells = [cell.strip() for cell in ours.strip("| ").split("|")][1:]
    assert len(cells) == len(table.columns) and any(cell != "–" for cell in cells)
    for method, numbers in table.rows.items():
        assert f"| {method} (published) | " + " | ".join(f"{number:g}" for number in numbers) + " |" in text
    column = table.columns[0]
    protocol = replace(preset(table.preset), limit=1)
    report = run_benchmark("grabcut", table.target, [prepared_sets(data, [column.dataset])[column.dataset]], protocol)
    row = next((row for row in report.rows() if row["class"] == column.cls), None)
    if row is not None:
        value = row[column.figure][column.at]
        assert float(cells[0]) == pytest.approx(100 * value if column.figure == "miou" else value, abs=0.006)


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
