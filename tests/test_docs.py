"""Documentation is tested: every verb and option is explained, links lead somewhere, Python snippets run."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from terraclick.cli import cli, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help_and_is_in_the_docs(verb):
    command = cli.commands[verb]
    assert command.help
    assert all(option.help for option in command.params if option.param_type_name == "option")
    assert f"terraclick {verb}" in TEXT + reference("reference/command-line.md")


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
                if hasattr(command, "commands"):  # a verb with verbs below it, the first of which need not be said
                    command = command.commands.get(words[2] if len(words) > 2 else "", command.commands["list"])
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_python_in_the_readme_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], cwd=tmp_path, check=True, timeout=120)


def test_makefile_and_ci_run_what_the_readme_says():
    assert "`make programs test`" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make programs test"
    asked = re.search(r"^test:(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert asked and "programs" not in asked[1]  # no system package is installed unasked


def test_every_file_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`([\w/]+(?:\.\w+|/))`", text.split("## Where does a change go?")[1].split("## Rules")[0])
    missing = [name for name in named if not any((ROOT / base / name).exists() for base in ("", "src/terraclick"))]
    assert len(named) > 30 and [name for name in missing if "NAME" not in name] == []


def reference(page):
    """A generated page of the reference."""
    spec = spec_from_file_location("reference", ROOT / "dev" / "reference.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGES[page]()


def test_every_option_is_in_the_reference():
    text = reference("reference/command-line.md")
    below = [(f"{n} {m}", c) for n, g in cli.commands.items() for m, c in getattr(g, "commands", {}).items()]
    assert below
    for name, command in [*cli.commands.items(), *below]:
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden:
                assert all(f"`{word}`" in section for word in option.opts), (name, option.opts)


def test_every_field_of_http_is_in_the_reference():
    from terraclick.server import schemas

    text = reference("reference/http.md")
    bodies = [kind for kind in vars(schemas).values() if isinstance(kind, type) and kind.__name__.endswith("Body")]
    assert len(bodies) > 5
    for body in bodies:
        for name, field in body.model_fields.items():
            assert f"`{field.alias or name}`" in text, (body.__name__, name)


def test_every_recipe_is_in_the_reference_with_its_differences():
    pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
    from terraclick.networks.recipe import differing
    from terraclick.train.recipe_table import ALL_RECIPES

    text = reference("reference/recipes.md")
    for name, made in ALL_RECIPES.items():
        assert f"| `{name}` |" in text
        for setting in differing(made()):
            assert setting.why in text.split(f"## {name}\n")[1].split("\n## ")[0]


def test_every_format_and_model_is_in_the_reference():
    from terraclick.catalogue import NETWORKS, PREDICTORS
    from terraclick.exchange.registry import FORMATS

    for page, names in (("formats", FORMATS), ("models", (*PREDICTORS, *NETWORKS))):
        text = reference(f"reference/{page}.md")
        assert [name for name in names if f"`{name}`" not in text] == []


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra terraclick[docs]")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "reference" / "python" / "index.html").read_text()
    assert "terraclick.api.outlines" in page and "clicks" in page


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("*-faults.md")), ids=lambda page: page.name)
def test_every_test_that_a_list_of_faults_names_is_there(page):
    found = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", page.read_text())
    assert found
    for path, name in found:
        files = [ROOT / path] if "/" in path else sorted((ROOT / "tests").rglob(path))
        assert len(files) == 1 and files[0].is_file(), path
        assert not name or re.search(rf"^def {name}\(", files[0].read_text(), re.M), f"{path}::{name}"
