"""The pictures of docs/qgis.md, taken of the packaged town in the desktop program QGIS.

python dev/qgis_pictures.py [FOLDER]
"""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "qgis"))

import qgis_play

IMAGES = Path(__file__).parents[1] / "docs" / "images"
KEPT = (1097, 960)
"""Of the window: the map and the panel at its right."""
SCALE = 0.75
MIDDLE = (500225.0, 4649746.0)
"""Of the town: the pictures show the buildings around it."""


def main(out=IMAGES):
    folder = Path(tempfile.mkdtemp())
    archive, program = folder / "terraclick_qgis.zip", qgis_play.wrapper(folder / "terraclick")
    subprocess.run([sys.executable, qgis_play.ROOT / "qgis" / "package.py", archive], check=True, capture_output=True)
    shots, image = str(folder / "qgis"), str(qgis_play.SAMPLE)
    places = sorted(qgis_play.buildings(None), key=lambda place: math.dist(place, MIDDLE))
    plays = {
        "story": [image, "EPSG:32633", places[:10], shots],
        "examples": [image, places[:1], shots],
    }
    for scenario, words in plays.items():
        (folder / scenario).mkdir()
        qgis_play.play_once(folder / scenario, program, archive, scenario, words, desktop=True)
    for picture in sorted(folder.glob("qgis-*.png")):
        window = Image.open(picture).convert("RGB")
        part = window.crop((window.width - KEPT[0], 0, window.width, KEPT[1]))
        size = [round(side * SCALE) for side in part.size]
        part.resize(size, Image.Resampling.LANCZOS).save(Path(out) / f"{picture.stem}.jpg", quality=82)


if __name__ == "__main__":
    main(*sys.argv[1:])
