"""Every console: UTF-8 whatever the locale says, no character that commands the terminal, names that break nothing."""

import json
import os
import subprocess
import sys

import pytest

from terraclick.cli import cli, main
from terraclick.console import is_plain, printable, printable_json

CLICK = ("--click", "500264.6,4649637.1", "--model", "grabcut")
CONSOLES = {
    "windows": {"PYTHONIOENCODING": "cp1252"},
    "strict ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "c": {"LC_ALL": "C"},
    "posix, no help from python": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "japanese": {"PYTHONIOENCODING": "shift_jis"},
}
HOSTILE = "\x1b[31mred\x1b[0m \x07bell \x9b2J \u202etxt.exe \u2028line \x7f \x00"


def run(*words, cwd=None, **environment):
    command = [sys.executable, "-m", "terraclick", *map(os.fsencode, map(str, words))]
    return subprocess.run(command, capture_output=True, cwd=cwd, env=os.environ | environment, timeout=120)


@pytest.mark.parametrize("console", CONSOLES)
def test_redirected_geojson_is_utf8(console, tmp_path):
    done = run("segment", "sample", *CLICK, "--class", "水 café", cwd=tmp_path, **CONSOLES[console])
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout.decode("utf-8"))
    assert found["features"][0]["properties"]["class"] == "水 café"
    assert "水 café".encode() in done.stdout


@pytest.mark.parametrize("console", CONSOLES)
def test_errors_and_reports_are_utf8(console, tmp_path):
    done = run("segment", "sample", *CLICK, "--model", "水", cwd=tmp_path, **CONSOLES[console])
    assert done.returncode == 2
    said = done.stderr.decode("utf-8")
    assert said.startswith("Error: no ") and said.count("\n") == 1
    assert "水" in said or CONSOLES[console].get("LC_ALL") == "POSIX"
    for verb in ("models", "doctor"):
        run(verb, **CONSOLES[console]).stdout.decode("utf-8")


@pytest.mark.parametrize("console", CONSOLES)
def test_every_help_can_be_read(console):
    for verb in cli.commands:
        done = run(verb, "--help", **CONSOLES[console])
        assert done.returncode == 0 and done.stdout.decode("utf-8")


def test_the_package_runs_as_a_module():
    done = run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, b"terraclick,")


@pytest.mark.parametrize("letter", HOSTILE.replace(" ", ""))
def test_what_acts_is_shown_as_its_escape(letter):
    shown = printable(f"a{letter}b")
    assert shown.isprintable() or letter.isprintable()
    assert json.loads(f'"{printable_json(letter)}"') == letter if ord(letter) > 31 else printable_json(letter).isascii()
    assert is_plain(letter) == letter.isprintable()


def test_ordinary_text_stays():
    for text in ("水", "café", "Straße 5 – Haus №3", "می‌خواهم", "👩‍🌾 field", "a\u00a0b"):
        assert printable(text) == printable_json(text) == text and is_plain(text)
    assert printable("\udcff") == "\\udcff" and not is_plain("\udcff")


@pytest.mark.parametrize(
    "name", ["a\nb.gpkg", "a\x1b[2J.geojson", "a\\b.gpkg", "a\\b.shp", "a\\b.tif", "a\rb.txt", "\x9b.csv"]
)
@pytest.mark.parametrize("words", [("segment", "sample", *CLICK, "--out"), ("sample", "--out")], ids=lambda w: w[0])
def test_odd_output_names_are_refused_in_one_sentence(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main([*words, name])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.startswith("Error: ") and said.count("\n") == 1
    assert said.rstrip("\n").isprintable() and list(tmp_path.iterdir()) == []


def test_every_place_to_write_refuses_odd_names():
    """Derived from the verbs: whatever takes a file to write has the type that refuses."""
    writing = {
        "out",
        "preview",
        "confidence",
        "heatmaps",
        "polygons",
        "explained",
        "json_file",
        "markdown",
        "plot_file",
    }
    params = [(verb, p) for verb, command in cli.commands.items() for p in command.params if p.name in writing]
    assert {p.name for _, p in params} == writing
    assert [(verb, p.name) for verb, p in params if not getattr(p.type, "new", False)] == []


@pytest.mark.parametrize("name", ["\x1b[31m", "two\nlines", "\u202eevil", b"\xff".decode("utf-8", "surrogateescape")])
def test_class_names_that_act_are_refused(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["segment", "sample", *CLICK, "--class", name, "--out", "a.gpkg"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "control characters" in said and said.rstrip("\n").isprintable()
    assert list(tmp_path.iterdir()) == []


def test_names_of_files_do_not_command_the_terminal(tmp_path):
    done = run("replay", "\x1b[31mno.gpkg", cwd=tmp_path)
    said = done.stderr.decode("utf-8")
    assert done.returncode == 2 and said.rstrip("\n").isprintable() and "\\x1b[31mno.gpkg" in said
    done = run("segment", "\x1b[31mno.tif", "--click", "1,1", cwd=tmp_path)
    said = done.stderr.decode("utf-8")
    assert done.returncode == 2 and said.rstrip("\n").isprintable() and "\\x1b[31m" in said


def test_classes_of_points_that_act_are_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "p.csv").write_text("x,y,class\n500264.6,4649637.1,\x1b[31mroof\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["segment", "sample", "--points", "p.csv", "--model", "grabcut", "--out", "a.gpkg"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "point 1: the class \\x1b[31mroof holds control characters" in said
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
