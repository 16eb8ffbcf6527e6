"""How tests play a scenario of driver.py in a real QGIS, and what they compare with."""

import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pyogrio
import pytest
import rasterio
from pyproj import Transformer
from shapely import from_wkb
from shapely.affinity import affine_transform
from shapely.geometry import shape

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SAMPLE = ROOT / "src" / "terraclick" / "data" / "sample.tif"
SHARED = os.environ.get("TERRACLICK_SHARED")
NAIP_TILE = "naip60cm_rgbn_chico_2020_97.tif"
MOSAIC = "cog_rgb_0.6m_3857.tif"
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1400x1000x24"]


def clean(**more):
    """The environment of a Python that is not ours."""
    found = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    return found | {"QT_QPA_PLATFORM": "offscreen"} | more


@lru_cache
def qgis_python():
    """The Python that has QGIS; None where there is none."""
    for name in (os.environ.get("QGIS_PYTHON"), "/usr/bin/python3", shutil.which("python3")):
        if name and Path(name).exists():
            asked = [name, "-c", "import qgis.core"]
            if subprocess.run(asked, capture_output=True, env=clean(), check=False).returncode == 0:
                return name
    return None


def missing(*programs):
    """Which of these programs are not here."""
    return [name for name in programs if shutil.which(name) is None]


needs_qgis = pytest.mark.skipif(
    qgis_python() is None, reason="no Python here has QGIS: install QGIS (Debian: python3-qgis), or set QGIS_PYTHON"
)
needs_shared = pytest.mark.skipif(SHARED is None, reason="TERRACLICK_SHARED is not set: no images of others to open")
needs_desktop = pytest.mark.skipif(
    bool(missing("qgis", "xvfb-run")), reason="the desktop program qgis and xvfb-run are needed (Debian: qgis, xvfb)"
)
needs_mouse = pytest.mark.skipif(
    bool(missing("xvfb-run", "xdotool")), reason="xvfb-run and xdotool are needed for a real mouse"
)


def play_once(folder, program, archive, scenario, words, screen=(), desktop=False, seconds=500, **environment):
    """What a scenario of driver.py found, played without a screen, on a screen, or in the desktop program itself."""
    asked = [scenario, str(folder), str(program), str(archive), json.dumps(words)]
    command = [*screen, qgis_python(), str(HERE / "driver.py"), *asked]
    if desktop:
        script = folder / "play.py"
        script.write_text(
            f"import sys\nsys.path.insert(0, {str(HERE)!r})\nsys.argv = ['driver.py', *{asked!r}]\nimport driver\n"
            "from qgis.PyQt.QtCore import QTimer\nQTimer.singleShot(500, driver.main)\n"
        )
        options = ["--nologo", "--noversioncheck", "--profiles-path", str(folder), "--code", str(script)]
        command = [*SCREEN, "qgis", *options]
        environment = {"QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(folder / "settings")} | environment
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=clean(**environment), check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0 and lines, f"{lines}\n{done.stderr[-3000:]}"
    return json.loads(lines[-1])


def buildings(count):
    """Places on buildings of the packaged town, in its own coordinate system."""
    truth = json.loads((SAMPLE.parent / "sample_truth.geojson").read_text())
    carry = Transformer.from_crs(4326, 32633, always_xy=True)
    found = []
    for feature in truth["features"]:
        if feature["properties"]["class"] == "building":
            place = shape(feature["geometry"]).representative_point()
            found.append([round(value, 2) for value in carry.transform(place.x, place.y)])
    return found[:count]


def by_command_line(program, image, clicks, out, *more):
    """What `terraclick segment` makes of clicks in pixels, in the image's coordinate system."""
    words = [str(program), "segment", str(image), "--pixels", "--out", str(out), *more]
    for x, y, positive in clicks:
        words += ["--click" if positive else "--exclude", f"{x},{y}"]
    subprocess.run(words, check=True, capture_output=True)
    with rasterio.open(image) as file:
        a, b, c, d, e, f = tuple(file.transform)[:6]
    geometry = pyogrio.raw.read(str(out), layer="objects", columns=[])[2]
    return affine_transform(from_wkb(geometry[0]), (a, b, d, e, c, f))


def overlap(one, other):
    """IoU of two geometries."""
    return one.intersection(other).area / one.union(other).area


def wrapper(path, source=ROOT / "src"):
    """The terraclick of this environment, as a program."""
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" OMP_NUM_THREADS=1 exec "{sys.executable}" -m terraclick "$@"\n')
    path.chmod(0o755)
    return path
