"""How long a person waits: each click of a session, and the first outline on a 20000 × 20000 COG.

    python dev/speed_scenes.py waits --threads 2
    python dev/speed_scenes.py cog --folder FOLDER     (writes big.tif there once, about 100 MB)

`terraclick doctor --speed --json` prints the four figures of one encoding and one click; these are the waits around
them. Every figure is milliseconds, median and 95th percentile; each show runs in a process of its own, so that its peak
memory is its own. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window as Block

SIDE = 20000
MIDDLE = (500000 + SIDE * 0.15, 4650000 - SIDE * 0.15)

PYTHON_FIRST_MASK = """
import time; start = time.perf_counter()
import json, resource, sys
from terraclick import load
from terraclick.api import outline
loaded = time.perf_counter()
model = load(sys.argv[2]); ready = time.perf_counter()
found = outline(sys.argv[1], [(float(sys.argv[3]), float(sys.argv[4]), True)], model=model); done = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
parts = {"import": loaded - start, "load": ready - loaded, "open, read, encode, click": done - ready}
print(json.dumps({**parts, "MiB": peak}))
"""


def make_cog(path: Path) -> None:
    """The packaged scene repeated over 20000 × 20000 px, as a JPEG COG with overviews."""
    from terraclick.geo.raster import resolve_image

    with rasterio.open(resolve_image("sample")) as source:
        tile, profile = source.read(), source.profile
    reps = -(-SIDE // tile.shape[1])
    strip = np.tile(tile, (1, 1, reps))[:, :, :SIDE]
    wanted = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": profile["crs"]}
    wanted |= {"transform": profile["transform"], "tiled": True, "blockxsize": 512, "blockysize": 512}
    wanted |= {"compress": "jpeg", "photometric": "ycbcr"}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        raw = Path(folder) / "raw.tif"
        with rasterio.open(raw, "w", **wanted) as file:
            for top in range(0, SIDE, tile.shape[1]):
                rows = min(tile.shape[1], SIDE - top)
                file.write(strip[:, :rows], window=Block(0, top, SIDE, rows))
        rasterio.shutil.copy(raw, path, driver="COG", compress="jpeg", quality=75, num_threads=2)


def show_cog(folder: Path, model: str, repeats: int) -> None:
    """Seconds from the start of a process to the first outline, by command line and in Python, with peak memory."""
    path = folder / "big.tif"
    if not path.exists():
        make_cog(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")
    x, y = (repr(value) for value in MIDDLE)
    click = ["-m", "terraclick.cli", "segment", str(path), "--click", f"{x},{y}", "--model", model]
    python = ["-c", PYTHON_FIRST_MASK, str(path), model, x, y]
    for name, words in (("command line", click), ("python", python)):
        waits, peaks, parts = [], [], []
        for _ in range(repeats):
            start = time.perf_counter()
            process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
            text, _ = process.communicate()
            waits.append((time.perf_counter() - start) * 1000)
            if process.returncode:
                raise SystemExit(f"{name} failed")
            if name == "python":
                parts.append(json.loads(text))
                peaks.append(parts[-1].pop("MiB"))
        print(f"{name}: {_spread(waits)} ms to the first outline")
        for part in parts[0] if parts else ():
            print(f"  {part}: {_spread([p[part] * 1000 for p in parts])} ms")
        if peaks:
            print(f"  peak memory {max(peaks):.0f} MiB")


def show_waits(threads: int, repeats: int) -> None:
    """The waits of a session on the packaged scene."""
    from terraclick import load
    from terraclick.doctor import peak_memory_mb
    from terraclick.geo.raster import read_view, resolve_image
    from terraclick.values import Click, Prompt, Target, View

    image = read_view(resolve_image("sample"))[0].image

    def part(k: int, side: int) -> View:
        """A different piece of the scene each time, so that no cache answers."""
        row, col = (37 * k) % (image.shape[0] - side), (53 * k) % (image.shape[1] - side)
        return View(np.ascontiguousarray(image[row : row + side, col : col + side]), None, 0.3)

    load("terra", threads=threads)  # the networks are read once
    single, patched, fused = (load(name, threads=threads) for name in ("terra-single", "terra", "terra-fused"))

    def first_object(k: int) -> Callable[[], object]:
        view, prompt = part(k, 1024), Prompt((Click(512.0, 512.0),))
        return lambda: patched.predict(patched.encode(view), prompt, None)

    def moving_click(k: int) -> Callable[[], object]:
        """A second click 300 px away: the window has to follow it."""
        view, one = part(k, 1024), Click(400.0, 400.0)
        encoded = patched.encode(view)
        before = patched.predict(encoded, Prompt((one,)), None)
        return lambda: patched.predict(encoded, Prompt((one, Click(400.0, 700.0))), before)

    def first_class(model: object, side: int) -> Callable[[int], Callable[[], object]]:
        def prepare(k: int) -> Callable[[], object]:
            view, prompt = part(k, side), Prompt((Click(side / 2, side / 2),), Target.CLASS)
            return lambda: model.predict(model.encode(view), prompt, None)

        return prepare

    def encode_448(k: int) -> Callable[[], object]:
        view = part(k, 448)
        return lambda: single.encode(view)

    rows = {
        "encode a 448 px view": encode_448,
        "first object click, 1024 px view": first_object,
        "object click that moves the window": moving_click,
        "first class answer, 784 px view (2 × 2 patches)": first_class(patched, 784),
        "first class answer, 896 px view": first_class(patched, 896),
        "first fused class answer (2, 3, 4), 896 px view": first_class(fused, 896),
    }
    print(f"{threads} threads, load average {os.getloadavg()[0]:.1f}\n\n| wait | median ms | p95 ms |\n|---|---|---|")
    for name, prepare in rows.items():
        waits = []
        for k in range(repeats + 1):
            act = prepare(k)
            start = time.perf_counter()
            act()
            waits.append((time.perf_counter() - start) * 1000)
        print(f"| {name} | {np.median(waits[1:]):.0f} | {np.percentile(waits[1:], 95):.0f} |")
    print(f"\npeak memory {peak_memory_mb():.0f} MB, load average {os.getloadavg()[0]:.1f}")


def _spread(values: list[float]) -> str:
    return f"median {np.median(values):.0f}, p95 {np.percentile(values, 95):.0f}"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("show", choices=("waits", "cog"))
    words.add_argument("--folder", type=Path, default=Path("out"))
    words.add_argument("--model", default="terra")
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--repeats", type=int, default=5)
    given = words.parse_args()
    if given.show == "waits":
        show_waits(given.threads, given.repeats)
    else:
        given.folder.mkdir(parents=True, exist_ok=True)
        show_cog(given.folder, given.model, given.repeats)


if __name__ == "__main__":
    main()
