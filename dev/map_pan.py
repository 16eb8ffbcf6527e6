"""Does a large image pan and zoom smoothly in a real Chromium?

    python dev/map_pan.py IMAGE [SECONDS]

Drags and wheels over the image and prints the frames' times and how long the view took to be sharp again after each
move (until no tile is on its way). `dev/speed_scenes.py cog` writes a 20000 × 20000 COG to try.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))

import map_driver

WATCH = """() => {
  window.frames = [];
  let last = performance.now();
  const tick = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""


def main() -> None:
    image = Path(sys.argv[1]).resolve()
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    rng = np.random.default_rng(0)
    sharp, waiting, asked = [], set(), []
    with tempfile.TemporaryDirectory() as folder, map_driver.serving(Path(folder), image) as address:
        started = time.perf_counter()
        with map_driver.browsing(address) as driver:
            page = driver.page
            print(f"open: {time.perf_counter() - started:.1f} s with the browser's start")
            page.on("request", lambda r: (waiting.add(r), asked.append(r.url)) if "/tiles/" in r.url else None)
            page.on("requestfinished", lambda r: waiting.discard(r))
            page.on("requestfailed", lambda r: waiting.discard(r))
            box = page.locator(".map").bounding_box()
            middle = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
            page.evaluate(WATCH)
            until = time.perf_counter() + seconds
            moves = 0
            while time.perf_counter() < until:
                page.mouse.move(*middle)
                if moves % 3 == 0:
                    steps = (-100 if moves % 12 < 6 else 100,) * 6
                    for step in steps:
                        page.mouse.wheel(0, step)
                        page.wait_for_timeout(40)
                else:
                    page.keyboard.down("Space")
                    page.mouse.down()
                    page.mouse.move(*(middle + rng.uniform(-250, 250, 2)), steps=20)
                    page.mouse.up()
                    page.keyboard.up("Space")
                ended = time.perf_counter()
                page.wait_for_timeout(60)
                while waiting and time.perf_counter() - ended < 10:
                    page.wait_for_timeout(20)
                sharp.append((time.perf_counter() - ended) * 1000)
                moves += 1
            frames = np.array(page.evaluate("() => window.frames")[2:])
    print(f"{moves} moves, {len(asked)} tiles asked for")
    print(f"{len(frames)} frames: {np.median(frames):.0f} ms median, {np.percentile(frames, 95):.0f} p95")
    print(f"sharp again after {np.median(sharp):.0f} ms median, {np.percentile(sharp, 95):.0f} p95")


if __name__ == "__main__":
    main()
