"""Prepare 5,000 crops: pictures a second, peak memory, resumed after a kill, same bytes from one and two processes.

`python benchmarks/prepare_speed.py FOLDER [PICTURES [SIDE]]` makes pictures of 6000 × 6000 pixels in Potsdam's folders
(50 of them, ten different ones under five names each), prepares them with one process, then with two: killed at about
half and started again. Compares all files. Needs 8 GB of disk and some minutes.
"""

import hashlib
import json
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

PICTURES, SIDE, DIFFERENT = 50, 6000, 10
COLOURS = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)], np.uint8)


def make(folder: Path, pictures: int, side: int) -> None:
    """Smooth noise as pictures, its levels as labels: about as hard to compress as photographs."""
    for number in range(pictures):
        rng = np.random.default_rng(number)
        places = [
            folder / f"{where.format(f'9_{number}')}.tif"
            for where in ("2_Ortho_RGB/top_potsdam_{}_RGB", "5_Labels_all/top_potsdam_{}_label")
        ]
        if number >= DIFFERENT:
            for path in places:
                os.link(str(path).replace(f"9_{number}", f"9_{number % DIFFERENT}"), path)
            continue
        small = rng.integers(0, 256, (3, max(side // 40, 2), max(side // 40, 2)), np.uint8)
        soft = np.stack([cv2.resize(band, (side, side), interpolation=cv2.INTER_CUBIC) for band in small])
        grain = rng.integers(-6, 7, (side, side), np.int8)
        image = np.clip(soft.astype(np.int16) + grain, 0, 255).astype(np.uint8)
        label = COLOURS[soft[0] // 43].transpose(2, 0, 1)
        for path, array in zip(places, (image, label), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(path, "w", driver="GTiff", count=3, height=side, width=side, dtype="uint8") as file:
                file.write(array)


def tree(folder: Path) -> str:
    """One hash of all names and bytes."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(folder)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def memory_of(group: int) -> float:
    """MB that the processes of a group hold together, shared pages divided among those that share them."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[2]) != group:
                continue
            rollup = (status.parent / "smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def finished(folder: Path) -> int:
    """Pictures whose record is written, while the folder is being written to."""
    count = 0
    for records in folder.glob("*/*/.prepare"):
        try:
            count += sum(name.startswith("potsdam_") for name in os.listdir(records))
        except FileNotFoundError:  # its split is complete
            continue
    return count


def run(folder: Path, name: str, workers: int, crop: int, kill_at: int | None = None) -> tuple[float, float, float]:
    """Prepare into a folder: seconds, processor seconds and the peak of all processes together, MB.

    Killed after so many pictures, whose processor time is not counted then.
    """
    command = [sys.executable, "-m", "terraclick", "prepare", "potsdam", str(folder / "source"), str(folder / name)]
    command += ["--min-area", "30", "--crop", str(crop), "--workers", str(workers)]
    started, before, peak = time.perf_counter(), _processor(), 0.0
    running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None:
        peak = max(peak, memory_of(running.pid))
        if kill_at is not None and finished(folder / name) >= kill_at:
            os.killpg(running.pid, signal.SIGKILL)
        time.sleep(0.05)
    if (kill_at is None) != (running.returncode == 0):
        raise SystemExit(f"prepare ended with {running.returncode}; kill at {kill_at}")
    return time.perf_counter() - started, _processor() - before, peak


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(folder: Path, pictures: int, side: int) -> dict[str, object]:
    """Measure and return the figures."""
    if not (folder / "source").is_dir():
        make(folder / "source", pictures, side)
    for name in ("one", "two"):
        shutil.rmtree(folder / name, ignore_errors=True)
    crop = side // 10
    seconds, processor, peak = run(folder, "one", 1, crop)
    crops, whole = len(list((folder / "one").rglob("images/*.png"))), tree(folder / "one")
    shutil.rmtree(folder / "one")
    found: dict[str, object] = {"crops": crops, "one process: crops a second": round(crops / seconds, 1)}
    found |= {"one process: crops a processor second": round(crops / processor, 1), "one process: peak MB": round(peak)}
    first, _, peak = run(folder, "two", 2, crop, kill_at=pictures // 2)
    done = {path.stem for path in (folder / "two").rglob(".prepare/potsdam_*.json")}
    images = {path: path.stat().st_mtime_ns for path in (folder / "two").rglob("images/*.png")}
    kept = {path: written for path, written in images.items() if path.stem.rsplit("_", 2)[0] in done}
    second, _, again = run(folder, "two", 2, crop)
    untouched = sum(path.stat().st_mtime_ns == written for path, written in kept.items())
    found |= {
        "two processes: crops a second, killed once": round(crops / (first + second), 1),
        "two processes: peak MB together": round(max(peak, again)),
        "pictures done when killed": len(done),
        "their crops": len(kept),
        "of these not written again": untouched,
        "same bytes": tree(folder / "two") == whole,
        "load of the machine": round(os.getloadavg()[2], 1),
    }
    shutil.rmtree(folder / "two")
    return found


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:4]]
    print(json.dumps(main(Path(sys.argv[1]), *[*numbers, *(PICTURES, SIDE)[len(numbers) :]]), indent=1))
