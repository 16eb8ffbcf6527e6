"""Click to painted outline in the browser map and in QGIS, one after the other, and the memory the plug-in adds.

    python dev/qgis_speed.py [BUILDINGS]

The robot of dev/map_speed.py outlines buildings of the packaged town in Chromium; then the same clicks are made in QGIS
on a screen of its own (xvfb-run). Both count from the release of the button to the second frame after the answer is
shown. In both the mouse rests on a new building for a second before the first click, as a person's does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "qgis"))
sys.path.insert(0, str(Path(__file__).parent))

import map_driver
import map_speed
import qgis_play
import test_map_story as story


def in_the_browser(folder, buildings, target):
    """(waits in ms, the clicks of each building in the coordinates of the packaged town)."""
    image, truths = map_speed.scene("sample", folder, buildings)
    with rasterio.open(qgis_play.SAMPLE) as file:
        own = file.transform
    clicks = []
    with map_driver.serving(folder, image) as address, map_driver.browsing(address) as driver:
        driver.page.evaluate(map_speed.WATCH)
        for truth in truths:
            driver.key("0")
            driver.settle()
            driver.show(*story.middle(truth), zoom=3)
            driver.page.mouse.move(*driver.at(*story.middle(truth)))
            driver.page.wait_for_timeout(1000)
            answer = story.outline(driver, truth, target, most=10)
            clicks.append([(*(own @ (click["x"], click["y"])), click["positive"]) for click in answer["clicks"]])
            driver.press("Enter", "/accept")
        return driver.page.evaluate("() => window.waits"), clicks


def in_qgis(folder, clicks):
    """What the scenario `speed` found."""
    archive, program = folder / "terraclick_qgis.zip", qgis_play.wrapper(folder / "terraclick")
    subprocess.run([sys.executable, qgis_play.ROOT / "qgis" / "package.py", archive], check=True, capture_output=True)
    (folder / "qgis").mkdir()
    words = [str(qgis_play.SAMPLE), clicks]
    screen = {"screen": qgis_play.SCREEN, "QT_QPA_PLATFORM": "xcb"}
    return qgis_play.play_once(folder / "qgis", program, archive, "speed", words, **screen)


def told(name, waits):
    p50, p95 = np.percentile(waits, [50, 95])
    return f"{name}: {len(waits)} clicks, painted after {p50:.0f} ms (p50), {p95:.0f} ms (p95)"


def main(buildings=25, target=0.85):
    folder = Path(tempfile.mkdtemp())
    waits, clicks = in_the_browser(folder, buildings, target)
    found = in_qgis(folder, clicks)
    print(told("browser map", waits))
    print(told("QGIS", found["waits"]))
    more = [found[name] - found["bare"] for name in ("installed", "panel", "worked")]
    print(
        f"QGIS has {found['bare']:.0f} MB; installed +{more[0]:.0f}, panel open +{more[1]:.0f}, worked +{more[2]:.0f}"
    )
    print(f"load {os.getloadavg()[0]:.1f}; said: {found['said']}")


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:2]])
