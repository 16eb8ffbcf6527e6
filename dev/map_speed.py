"""How fast is the map in a real Chromium? Click to painted outline, and seconds and clicks for an object.

    python dev/map_speed.py [sample|catanduanes_z20|catanduanes_z21] [BUILDINGS] [IOU]

A scripted user who knows the truth clicks the middle of the largest error until the outline fits (at most 10 clicks),
then presses Enter. Every click is timed in the page, from the button's release to two frames after the answer is shown.
The last line gives the corners a hand tracer would have to set for the same buildings (the fewest with IoU 0.95).
The mosaics are laid from the development data (setting TERRACLICK_SHARED, default ../shared).
"""

import os
import runpy
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))

import map_driver
import test_map_story as story

from terraclick.geo.raster import read_info

WATCH = """() => {
  window.waits = [];
  let released = 0;
  document.querySelector(".map").addEventListener("pointerup", () => (released = performance.now()), true);
  new MutationObserver(() => {
    if (!released) return;
    const began = released;
    released = 0;
    requestAnimationFrame(() => requestAnimationFrame(() => window.waits.push(performance.now() - began)));
  }).observe(document.querySelector(".facts"), {childList: true});
}"""


def scene(name, folder, buildings):
    """An image and true outlines on it in its pixels."""
    if name == "sample":
        return "sample", story.Town().near("building", 900, 620, least=400)[:buildings]
    real = runpy.run_path(str(Path(__file__).with_name("real_scenes.py")))
    mosaic = real["mosaic"](name, folder)
    a, b, c, d, e, f = tuple(~read_info(mosaic.path).grid.transform)[:6]
    shapes = real["spread"](mosaic, buildings, 400).values()
    return mosaic.path, [shapely.affinity.affine_transform(shape, (a, b, d, e, c, f)) for shape in shapes]


def traced(truth, target=0.95):
    """The fewest corners that still trace a shape with IoU `target`."""
    for tolerance in np.arange(40, 0.4, -0.5):
        simple = truth.simplify(tolerance)
        if simple.is_valid and simple.area and story.iou(simple, truth) >= target:
            return len(shapely.get_coordinates(simple)) - len(shapely.get_rings(simple))
    return len(shapely.get_coordinates(truth)) - 1


def main(name="sample", buildings=25, target=0.85):
    folder = Path(tempfile.mkdtemp())
    image, truths = scene(name, folder, buildings)
    seconds, clicks, fits, corners = [], [], [], []
    with map_driver.serving(folder, image) as address, map_driver.browsing(address) as driver:
        driver.page.evaluate(WATCH)
        for truth in truths:
            driver.key("0")
            driver.settle()
            driver.show(*story.middle(truth), zoom=3)
            began = time.perf_counter()
            answer = story.outline(driver, truth, target, most=10)
            kept = driver.press("Enter", "/accept")
            seconds.append(time.perf_counter() - began)
            clicks.append(kept["properties"]["n_clicks"])
            fits.append(story.iou(story.shape_of(answer["outline"]), truth))
            corners.append(traced(truth))
        waits = np.array(driver.page.evaluate("() => window.waits"))
    p50, p95 = np.percentile(waits, [50, 95])
    good = sum(fit >= target for fit in fits)
    print(f"{len(waits)} clicks: painted after {p50:.0f} ms (p50), {p95:.0f} ms (p95); load {os.getloadavg()[0]:.1f}")
    print(f"{len(truths)} buildings of {name}: {np.mean(seconds):.1f} s and {np.mean(clicks):.2f} clicks each")
    print(f"IoU {np.mean(fits):.3f} on average, {good} of {len(truths)} reach {target}")
    print(f"a hand tracer would set {np.mean(corners):.1f} corners each")


if __name__ == "__main__":
    main(*[kind(word) for kind, word in zip((str, int, float), sys.argv[1:], strict=False)])
