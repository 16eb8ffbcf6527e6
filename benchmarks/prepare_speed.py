"""Prepare 5,000 crops: pictures a second, peak memory, resumed after a kill, same bytes.

`python benchmarks/prepare_speed.py FOLDER [WORKERS]` makes 50 pictures of 6000 × 6000 pixels in Potsdam's folders,
kills the first run at about half, goes on, and compares with an undisturbed run. Needs 16 GB of disk and some minutes.
"""

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio

PICTURES, SIDE = 50, 6000
COLOURS = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)], np.uint8)


def make(folder: Path) -> None:
    """Smooth noise as pictures, its levels as labels: about as hard to compress as photographs."""
    for number in range(PICTURES):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 256, (3, SIDE // 40, SIDE // 40), np.uint8)
        soft = np.stack([cv2.resize(band, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for band in small])
        grain = rng.integers(-6, 7, (SIDE, SIDE), np.int8)
        image = np.clip(soft.astype(np.int16) + grain, 0, 255).astype(np.uint8)
        label = COLOURS[soft[0] // 43].transpose(2, 0, 1)
        for where, array in (("2_Ortho_RGB/top_potsdam_{}_RGB", image), ("5_Labels_all/top_potsdam_{}_label", label)):
            path = folder / f"{where.format(f'9_{number}')}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(path, "w", driver="GTiff", count=3, height=SIDE, width=SIDE, dtype="uint8") as file:
                file.write(array)


def tree(folder: Path) -> str:
    """One hash of all names and bytes."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(folder)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def main(folder: Path, workers: int) -> None:
    """Measure and print."""
    if not (folder / "source").is_dir():
        make(folder / "source")
    for name in ("killed", "whole"):
        shutil.rmtree(folder / name, ignore_errors=True)
    command = [sys.executable, "-m", "terraclick", "prepare", "potsdam", str(folder / "source")]
    more = ["--min-area", "30", "--workers", str(workers)]
    running = subprocess.Popen([*command, str(folder / "killed"), *more], start_new_session=True)
    while running.poll() is None and len(list((folder / "killed").rglob(".prepare/potsdam_*.json"))) < PICTURES // 2:
        time.sleep(0.2)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    subprocess.run([*command, str(folder / "killed"), *more], check=True)
    started = time.perf_counter()
    subprocess.run([*command, str(folder / "whole"), *more], check=True)
    seconds = time.perf_counter() - started
    crops = len(list((folder / "whole").rglob("images/*.png")))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{crops} crops, {crops / seconds:.1f} a second with {workers} workers, peak {peak:.0f} MB a process")
    print("same bytes after a kill:", tree(folder / "killed") == tree(folder / "whole"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
