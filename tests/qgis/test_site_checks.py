"""What the plug-in site checks of an upload: our zip passes, and every fault is seen."""

import importlib.util
import subprocess
import sys
import zipfile

import pytest
from qgis_play import ROOT

CHECK = ROOT / "qgis" / "check.py"
FOLDER = "terraclick_qgis/"


def load():
    spec = importlib.util.spec_from_file_location("terraclick_qgis_check", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_our_zip_passes_all_checks(archive):
    done = subprocess.run([sys.executable, str(CHECK), str(archive)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def changed(archive, out, add=None, drop=(), replace=None):
    """A copy of a zip with files more or less, or with another text in one."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if replace and name == FOLDER + replace[0]:
                assert replace[1].encode() in data
                data = data.replace(replace[1].encode(), replace[2].encode())
            if name not in drop:
                target.writestr(name, data)
        for name, data in (add or {}).items():
            target.writestr(name, data)
    return out


META = "metadata.txt"
FAULTS = {
    "leftover": ({"add": {FOLDER + "__pycache__/a.py": ""}}, "leftover"),
    "hidden": ({"add": {FOLDER + ".env": "A=1"}}, "hidden"),
    "two folders": ({"add": {"other/a.py": ""}}, "one folder"),
    "outside": ({"add": {FOLDER + "../a.py": ""}}, "leaves the folder"),
    "kind": ({"add": {FOLDER + "model.onnx": b"\x00\x01"}}, "no text of a kind"),
    "binary": ({"add": {FOLDER + "a.txt": b"\xff\xfe\x00"}}, "is binary"),
    "generated": ({"add": {FOLDER + "resources_rc.py": ""}}, "generated"),
    "no licence": ({"drop": [FOLDER + "LICENSE"]}, "LICENSE is missing"),
    "no init": ({"drop": [FOLDER + "__init__.py"]}, "__init__.py is missing"),
    "no icon": ({"replace": (META, "icon=icon.svg", "icon=icon.png")}, "icon is missing"),
    "no about": ({"replace": (META, "about=Left", "more=Left")}, "does not tell about"),
    "no tracker": ({"replace": (META, "tracker=https://", "tracker=")}, "tracker is no web address"),
    "version": ({"replace": (META, "qgisMinimumVersion=3.22", "qgisMinimumVersion=three")}, "no version"),
    "Qt 5": ({"add": {FOLDER + "a.py": "from PyQt5.QtCore import Qt\n"}}, "past qgis.PyQt"),
    "bandit": ({"add": {FOLDER + "a.py": 'import os\n\nos.chmod("a", 0o777)\n'}}, "bandit"),
    "secret": ({"add": {FOLDER + "a.py": 'api_key = "AKIA' + 'IOSFODNN7REALKEY"\n'}}, "detect-secrets"),
    "flake8": ({"add": {FOLDER + "a.py": "import os\n"}}, "F401"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_seen(archive, tmp_path, name):
    change, text = FAULTS[name]
    found = load().faults(changed(archive, tmp_path / "changed.zip", **change))
    assert any(text in line for line in found), found


def test_what_is_no_zip_is_told(tmp_path):
    path = tmp_path / "no.zip"
    path.write_text("no zip")
    assert load().faults(path) == ["This is no zip."]
