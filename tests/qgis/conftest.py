"""The packed plug-in, the program it starts, and scenarios played in a real QGIS."""

import subprocess
import sys

import pytest
from qgis_play import ROOT, play_once, wrapper


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """The plug-in's zip."""
    out = tmp_path_factory.mktemp("zip") / "terraclick_qgis.zip"
    subprocess.run([sys.executable, str(ROOT / "qgis" / "package.py"), str(out)], check=True, capture_output=True)
    return out


@pytest.fixture
def program(tmp_path):
    """The terraclick of this environment, as a program."""
    return wrapper(tmp_path / "terraclick")


@pytest.fixture
def qgis(tmp_path, program, archive):
    """A function that plays a scenario of driver.py and gives what it found."""

    def play(scenario, *words, **options):
        folder = tmp_path / scenario
        folder.mkdir()
        return play_once(folder, program, archive, scenario, words, **options)

    return play
