"""How fast is the map in a real Chromium? Click to painted outline, and seconds and clicks for an object, on `sample`.

    python dev/map_speed.py [HOUSES] [IOU]

A scripted user who knows the truth clicks the middle of the largest error until the outline fits, then presses Enter.
Every click after the first of a view is timed in the page, from the button's release to two frames after the answer is
shown. The last line gives the corners a hand tracer would have had to set for the same houses.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "app"))

import map_driver
import test_map_story as story

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


def main(houses: int = 25, target: float = 0.85) -> None:
    town = story.Town()
    folder = Path(tempfile.mkdtemp())
    with map_driver.serving(folder, "sample") as address, map_driver.browsing(address) as driver:
        chosen = town.near("building", 900, 620, least=400)[:houses]
        driver.show(900, 620, zoom=3)
        driver.page.evaluate(WATCH)
        seconds, clicks, fits, corners, waits = [], [], [], [], []
        for house in chosen:
            began = time.perf_counter()
            answer = story.outline(driver, house, target, most=10)
            kept = driver.press("Enter", "/accept")
            seconds.append(time.perf_counter() - began)
            clicks.append(kept["properties"]["n_clicks"])
            fits.append(story.iou(story.shape_of(answer["outline"]), house))
            corners.append(len(house.simplify(1.0).exterior.coords) - 1)
        waits = np.array(driver.page.evaluate("() => window.waits"))
    p50, p95 = np.percentile(waits, [50, 95])
    print(f"{len(waits)} clicks: painted after {p50:.0f} ms (p50), {p95:.0f} ms (p95); load {os.getloadavg()[0]:.1f}")
    print(
        f"{houses} houses: {np.mean(seconds):.1f} s and {np.mean(clicks):.2f} clicks each, IoU {np.mean(fits):.3f}, "
        f"{sum(fit >= target for fit in fits)} of {houses} reach {target}"
    )
    print(f"a hand tracer would set {np.mean(corners):.1f} corners each")


if __name__ == "__main__":
    main(*[kind(word) for kind, word in zip((int, float), sys.argv[1:], strict=False)])
