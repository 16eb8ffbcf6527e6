"""How fast is a scene mapped, and with how much memory? One line per setting.

    python dev/classmap_speed.py SCENE MODEL [--rows N] [--cols N] [--executor local] [--workers 1 2]

SCENE is `sample` or a GeoTIFF (`dev/speed_scenes.py cog` writes one of 20000 x 20000 pixels), of which the first N rows
and columns are mapped; MODEL is a map model's name or folder. Each number of workers is a run of `terraclick map` of
its own; memory is the sum over its processes of the most each had, looked at every second. A ratio of workers means
something only where nothing else runs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terraclick.geo.raster import read_info, resolve_image


def memory_mb(root):
    """The most memory that a process and all now below it ever had resident (VmHWM), added up."""
    parents, sizes = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines = (folder / "status").read_text().splitlines()
        except OSError:
            continue  # it has ended
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        parents[int(folder.name)] = int(said["PPid"])
        sizes[int(folder.name)] = int(said.get("VmHWM", "0").split()[0]) * 1024 / 1e6
    family = {root}
    while len(grown := family | {p for p, parent in parents.items() if parent in family}) > len(family):
        family = grown
    return sum(sizes.get(p, 0.0) for p in family)


def measure(scene, model, bounds, executor, workers):
    """(seconds of wall, peak MB) of a run."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "terraclick.cli", "map", str(scene), "--model", model]
        words += ["--out", f"{folder}/classes.tif", "--bounds", ",".join(map(str, bounds))]
        words += ["--executor", executor, *(["--workers", str(workers)] if executor != "local" else [])]
        began, most = time.perf_counter(), 0.0
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            most = max(most, memory_mb(process.pid))
            time.sleep(1)
        if process.returncode:
            sys.exit(f"terraclick map ended with {process.returncode}")
        return time.perf_counter() - began, most


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scene")
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=10**9)
    parser.add_argument("--cols", type=int, default=10**9)
    parser.add_argument("--executor", default="processes", choices=["local", "processes", "dask"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    words = parser.parse_args()
    scene = resolve_image(words.scene)
    grid = read_info(scene).grid
    rows, cols = min(words.rows, grid.shape[0]), min(words.cols, grid.shape[1])
    (x0, y0), (x1, y1) = grid.to_map(-0.5, -0.5), grid.to_map(rows - 0.5, cols - 0.5)
    bounds = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    for workers in words.workers:
        seconds, most = measure(scene, words.model, bounds, words.executor, workers)
        area = rows * cols / 1e6
        print(
            f"{words.executor}, {workers} workers: {area:.1f} MP in {seconds:.1f} s, "
            f"{area / seconds:.3f} MP/s, at most {most:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
