"""The built map that is committed: complete, self-contained, and equal to a rebuild where node is at hand."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import terraclick

STATIC = Path(terraclick.__file__).parent / "server" / "static"
WEB = Path(__file__).parents[2] / "web"


def test_the_page_asks_only_for_files_that_are_there():
    html = (STATIC / "index.html").read_text()
    asked = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert "static/app.js" in asked and "static/app.css" in asked
    assert all((STATIC / name.removeprefix("static/")).is_file() for name in asked)


def test_the_page_holds_no_script_or_style_of_its_own():
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)", html) and "<style" not in html and " style=" not in html


def test_nothing_is_fetched_from_elsewhere():
    assert not re.search(r"url\(|@import", (STATIC / "app.css").read_text())
    assert not re.search(r"https?://", (STATIC / "index.html").read_text())
    assert not re.search(r"\beval\(|new Function\(", (STATIC / "app.js").read_text())


def test_licences_of_what_is_inside_are_shipped():
    text = (STATIC / "LICENSES.txt").read_text()
    assert "ol 10." in text and "BSD-2-Clause" in text and "polyclip-ts" in text


def test_committed_assets_equal_a_rebuild():
    if not shutil.which("node") or not (WEB / "node_modules").is_dir():
        pytest.skip("node or web/node_modules is missing: make web")
    done = subprocess.run(["node", "build.mjs", "--check"], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_source_is_formatted_and_linted():
    if not shutil.which("npm") or not (WEB / "node_modules" / ".bin" / "eslint").exists():
        pytest.skip("npm, or a linter in web/node_modules, is missing: make web-check")
    done = subprocess.run(["npm", "run", "--silent", "lint"], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_units_of_the_map():
    if not shutil.which("node") or not (WEB / "node_modules").is_dir():
        pytest.skip("node or web/node_modules is missing: make web")
    done = subprocess.run(["node", "--test", "test/"], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
