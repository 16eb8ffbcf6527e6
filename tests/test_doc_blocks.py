"""Every code block of the docs runs, on the packaged scene in a temporary folder, or its page says why it does not."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from doc_blocks import Block, blocks

from terraclick.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("sh", "python")
BLOCKS = [block for page in PAGES for block in blocks(page) if block.language in RUN]
VERB = re.compile(r"(?:\.venv/bin/)?terraclick (?!serve\b)")
ROOF = "500264.6,4649637.1"


def lines_of(block: Block) -> list[str]:
    """The commands of a shell block, continued lines joined, without comments."""
    joined = block.text.replace("\\\n", " ").splitlines()
    return [line for line in joined if shlex.split(line, comments=True)]


def run_line(line: str) -> int:
    """One command in this process; `> FILE` is left out."""
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(line.split(" > ")[0], comments=True)[1:])
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_a_block_runs_or_says_why_not(block):
    """A shell block that nobody can run in a test (a server, another's data, minutes of training) has its reason."""
    runs = block.language == "python" or all(VERB.match(line) for line in lines_of(block))
    assert runs or block.not_run, f"{block.id}: write <!-- not run: REASON --> on the line before"
    assert not block.not_run or len(block.not_run.split()) > 2


def test_most_blocks_of_the_users_pages_run():
    """Here, or in the test that a page's reason names."""
    elsewhere = [block.not_run.split()[0] for block in BLOCKS if block.not_run.startswith("tests/")]
    assert all((ROOT / name).is_file() for name in elsewhere)
    assert sum(not block.not_run for block in BLOCKS) + len(elsewhere) >= len(BLOCKS) / 3


def pages(language: str) -> list[Path]:
    """Pages with blocks to be run."""
    return sorted({block.page for block in BLOCKS if block.language == language and not block.not_run})


@pytest.mark.parametrize("page", pages("python"), ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path):
    text = "\n".join(block.text for block in blocks(page) if block.language == "python" and not block.not_run)
    subprocess.run([sys.executable, "-W", "error", "-c", text], cwd=tmp_path, check=True, timeout=120)


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys, tiny_dataset):
    """A folder with what the pages speak of: scene.tif, two sessions, points.csv, and datasets to benchmark."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    assert run_line("terraclick sample --out images/scene.tif") == 0
    shutil.copy("images/scene.tif", "scene.tif")
    words = "--class roof --model grabcut"
    with rasterio.open("images/scene.tif") as file, rasterio.open("images/b.tif", "w", **file.profile) as other:
        other.write(255 - file.read())
    for name in ("work", "town", "parcels"):
        for image, more in (("scene", ""), ("b", "--append")):
            line = f"terraclick segment images/{image}.tif --click {ROOF} {words} --out {name}.gpkg {more}"
            assert run_line(line) == 0
    shutil.copytree(tiny_dataset, tmp_path / "data" / "devtest" / "tiny")
    capsys.readouterr()
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", pages("sh"), ids=lambda page: page.name)
def test_shell_blocks_run(page, desk, capsys):
    if page.name == "guide.md":
        (desk / "scene.tif").unlink()  # its first line makes it
    for block in blocks(page):
        if block.language == "sh" and not block.not_run:
            for line in lines_of(block):
                assert run_line(line) == 0, (block.id, line, capsys.readouterr())
