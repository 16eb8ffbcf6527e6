"""What is installed: a wheel with everything a reader of its page and a type checker needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built here and unpacked to a folder."""
    for needed in ("hatchling", "hatch_fancy_pypi_readme"):
        if find_spec(needed) is None:
            pytest.skip(f"needs {needed} (extra terraclick[test])")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def metadata(wheel):
    return message_from_string(next(wheel.glob("*.dist-info/METADATA")).read_text(encoding="utf-8"))


def test_its_page_says_who_where_and_under_which_terms(metadata):
    urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(urls)
    assert metadata["Author"] and metadata["Keywords"] and metadata["Description-Content-Type"] == "text/markdown"
    kinds = metadata.get_all("Classifier")
    assert {"Typing :: Typed", "Topic :: Scientific/Engineering :: GIS"} <= set(kinds)
    assert not any(kind.startswith("License ::") for kind in kinds), "the expression says it"
    assert "Apache-2.0" in metadata["License-Expression"] and "Weights" in metadata["License-Expression"]
    files = metadata.get_all("License-File")
    assert {"LICENSE", "NOTICE"} <= set(files) and any("weights/CARD.md" in file for file in files)


def test_links_of_its_page_lead_somewhere_from_anywhere(metadata):
    page = metadata.get_payload()
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    own = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(own) == len(targets)
    for here, there in zip(own, targets, strict=True):
        assert there.endswith(here) or here == there
        assert not here.startswith("docs/images") or there.startswith("https://raw.")


def test_it_holds_what_runs(wheel):
    package = wheel / "terraclick"
    for name in ("py.typed", "__main__.py", "weights/CARD.md", "server/static/index.html", "data/sample.tif"):
        assert (package / name).is_file(), name
    assert not list(wheel.rglob("*.pyc")) and not (wheel / "tests").exists()
    entry = next(wheel.glob("*.dist-info/entry_points.txt")).read_text()
    assert "terraclick = terraclick.cli:main" in entry


def snippet(folder):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    more = """
import terraclick
from terraclick import Click, ClickSequence, Grid, Outline, Prediction, Session, Target
from terraclick import TerraClickError, View, load, outlines, read_view

answer: Outline = terraclick.outline("sample", clicks=[(1.0, 2.0, True)])
many = list(outlines("sample", [[(1.0, 2.0, True)]]))
score: float = many[0].score
clicks: ClickSequence = many[0].sequence
same: Session = many[0].session
"""
    (folder / "readme.py").write_text("\n".join(blocks) + more, encoding="utf-8")
    return folder / "readme.py"


def test_the_readme_passes_mypy(wheel, tmp_path):
    pytest.importorskip("mypy")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    done = subprocess.run(
        [*command, str(snippet(tmp_path))], cwd=tmp_path, env={"MYPYPATH": str(wheel)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_passes_pyright(wheel, tmp_path):
    beside = Path(sys.executable).with_name("pyright")
    command = str(beside) if beside.exists() else shutil.which("pyright")
    if command is None:
        pytest.skip("needs pyright (extra terraclick[test])")
    snippet(tmp_path)
    libraries = Path(find_spec("numpy").origin).parents[1]
    (tmp_path / "pyrightconfig.json").write_text(
        f'{{"include": ["readme.py"], "extraPaths": ["{wheel}", "{libraries}"], "reportMissingTypeStubs": false}}'
    )
    done = subprocess.run([command, "-p", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    if "0 errors" not in done.stdout and "error:" not in done.stdout:
        pytest.skip(f"pyright cannot run here: {(done.stdout + done.stderr)[-200:]}")
    assert done.returncode == 0, done.stdout


def test_no_type_is_lost_on_the_way():
    """mypy sees the function of the name, not the file of the same name."""
    code = "import terraclick\nreveal_type(terraclick.outline)\nfrom terraclick import outline\nreveal_type(outline)\n"
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--follow-imports=silent",
        "--config-file=",
        "--cache-dir=/dev/null",
        "-c",
        code,
    ]
    done = subprocess.run(command, cwd=ROOT, env={"MYPYPATH": str(ROOT / "src")}, capture_output=True, text=True)
    assert done.stdout.count('Revealed type is "def (image: ') == 2, done.stdout


def test_constraints_say_nothing_of_one_machine():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "usual index" not in text
    pinned = [line.split("==")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert sorted(pinned) == sorted(set(pinned))


PYTHONS = ("3.11", "3.12", "3.13")


def interpreter(version):
    """A Python of that version on this machine, or None."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(map(str, folder.glob(f"{version}.*/bin/python")))]
    for path in filter(None, found):
        told = subprocess.run([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True)
        if told.stdout.decode().strip() == version:
            return path
    return None


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """What a release uploads: source archive and wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.slow
def test_what_is_uploaded_passes_the_index_checks(released):
    pytest.importorskip("twine", reason="needs the extra terraclick[test]")
    files = sorted(map(str, released.iterdir()))
    assert len(files) == 2
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_clicks_in_a_bare_environment(released, version, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    subprocess.run([python, "-m", "venv", str(tmp_path / "env")], check=True)
    (wheel,) = released.glob("*.whl")
    own = tmp_path / "env" / "bin"
    subprocess.run([own / "pip", "install", "-q", str(wheel)], check=True, timeout=900)
    out = tmp_path / "house.geojson"
    click = [own / "terraclick", "segment", "sample", "--click", "500264.6,4649637.1", "--out", str(out)]
    subprocess.run(click, cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, check=True)
    assert len(json.loads(out.read_text())["features"]) == 1
