"""Documentation is tested: every verb and option is explained, links lead somewhere, Python snippets run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from terraclick.cli import cli, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help_and_is_in_the_docs(verb):
    command = cli.commands[verb]
    assert command.help
    assert all(option.help for option in command.params if option.param_type_name == "option")
    assert f"terraclick {verb}" in TEXT


def test_every_option_of_segment_is_in_the_guide():
    guide = (ROOT / "docs" / "guide.md").read_text()
    options = {name for option in cli.commands["segment"].params for name in option.opts if name.startswith("--")}
    assert [name for name in sorted(options) if name not in guide] == []


def test_commands_in_the_docs_parse():
    """Every `terraclick …` line in a shell block uses verbs and options that exist."""
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.split(" > ")[0], comments=True)
            if words and Path(words[0]).name == "terraclick":
                command = cli.commands[words[1]]
                known = {name for option in command.params for name in option.opts} | {"--help"}
                assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.slow
def test_the_guides_first_commands_run_as_written(tmp_path, monkeypatch):
    guide = (ROOT / "docs" / "guide.md").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text(re.search(r"```csv\n(.*?)```", guide, re.DOTALL)[1])
    lines = re.search(r"```sh\n(.*?)```", guide, re.DOTALL)[1].splitlines()
    for line in [*lines, "terraclick segment scene.tif --points points.csv --out many.gpkg"]:
        with pytest.raises(SystemExit) as stopped:
            main(shlex.split(line.split(" > ")[0], comments=True)[1:])
        assert stopped.value.code == 0, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_python_in_the_readme_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], cwd=tmp_path, check=True, timeout=120)


def test_makefile_and_ci_run_what_the_readme_says():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
