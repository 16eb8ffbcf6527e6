"""A session is a benchmark of its own: answer every object's stored clicks again and compare with what was accepted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.cleaning import clean
from terraclick.core.click_sequence import ClickSequence, fold
from terraclick.core.masks import iou
from terraclick.core.noc import number_of_clicks
from terraclick.core.predictor import Predictor, bands_read
from terraclick.errors import BadData, BadInput
from terraclick.geo.affine import through
from terraclick.geo.box_prompt import MapBox, box_between
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_info, read_view
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.reproject import reproject
from terraclick.geo.view_window import MAX_VIEW_PX
from terraclick.store.fields import MapObject
from terraclick.store.identity import base_name, find_image
from terraclick.store.readings import readings_of
from terraclick.store.sql import Store
from terraclick.store.values import StoredClick, StoredImage, StoredView
from terraclick.values import Click, Target

__all__ = ["Replay", "Replayed", "replay"]

LEVELS = (80, 85, 90)
MAX_CLICKS = 20


@dataclass(frozen=True)
class Replayed:
    """One object: IoU with the accepted outline after each of its clicks; times in seconds, None where unknown.

    `person_s` runs from its first click to its acceptance, `model_s` is the model's time for one click.
    """

    uuid: str
    class_name: str
    target: str
    ious: tuple[float, ...]
    person_s: float | None
    model_s: float


@dataclass(frozen=True)
class Replay:
    """All objects of a session: those answered again, and uuid and reason of those that could not be."""

    model: str
    objects: tuple[Replayed, ...]
    skipped: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Averages and rows. NoC counts an object that never reaches the level as 20 clicks, as usual."""
        rows = [
            {
                "uuid": item.uuid,
                "class": item.class_name,
                "target": item.target,
                "clicks": len(item.ious),
                "ious": [round(value, 4) for value in item.ious],
                "person_s": item.person_s,
                "model_s": round(item.model_s, 4),
            }
            for item in self.objects
        ]
        timed = [item.person_s for item in self.objects if item.person_s is not None]
        return {
            "model": self.model,
            "objects": len(self.objects),
            "skipped": [{"uuid": uuid, "reason": reason} for uuid, reason in self.skipped],
            "clicks": sum(len(item.ious) for item in self.objects),
            "noc": {
                str(level): _mean([number_of_clicks(item.ious, level / 100, MAX_CLICKS) for item in self.objects])
                for level in LEVELS
            },
            "iou_first": _mean([item.ious[0] for item in self.objects]),
            "iou": _mean([item.ious[-1] for item in self.objects]),
            "person_s": None if not timed else round(float(np.median(timed)), 2),
            "model_s": _mean([item.model_s for item in self.objects]),
            "rows": rows,
        }

    def lines(self) -> list[str]:
        """The same for people."""
        found = self.to_json()
        said = [f"{'object':<36}  {'class':<16} clicks   IoU  seconds"]
        for item in self.objects:
            seconds = "" if item.person_s is None else f"{item.person_s:7.1f}"
            said.append(
                f"{item.uuid:<36}  {item.class_name[:16]:<16} {len(item.ious):>6}  {item.ious[-1]:.3f}  {seconds}"
            )
        said += [f"{uuid:<36}  left out: {reason}" for uuid, reason in self.skipped]
        said.append(f"{self.model}: {found['objects']} objects, {found['clicks']} clicks")
        if self.objects:
            noc = ", ".join(f"NoC@{level} {found['noc'][str(level)]:.2f}" for level in LEVELS)
            person = "" if found["person_s"] is None else f", {found['person_s']:.1f} s per object (median, by hand)"
            said.append(f"{noc}, IoU {found['iou_first']:.3f} after the first click, {found['iou']:.3f} after the last")
            said.append(f"{1e3 * found['model_s']:.0f} ms per click{person}")
        return said


def replay(
    store: Store,
    predictor: Predictor,
    model: str,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    reading: Reading = PLAIN,
    warn: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Answer the stored clicks of every object on the view it was made from.

    Images are read where the session says, or in `folder`, by their hash. Objects without clicks (drawn, imported,
    merged) and those whose image is gone are left out with the reason. Images are read as the session keeps it, and
    otherwise where `reading` says so, which `warn` hears. Examples that were shown are not stored with the object and
    not shown again. Raises BadData if there is no object at all.
    """
    items = store.objects()
    if not items:
        raise BadData("the session holds no object: there is nothing to replay.")
    find = _finder(store, folder, reading, warn)
    done: list[Replayed] = []
    skipped: list[tuple[str, str]] = []
    shown: _Shown | None = None
    for number, item in enumerate(sorted(items, key=lambda item: item.image), start=1):
        progress(number, len(items))
        clicks, view = store.clicks_of(item.uuid), store.view_of(item.uuid)
        if view is None or not (clicks or view.box):
            skipped.append((item.uuid, "it has no clicks"))
            continue
        try:
            seen = replace(view, box=None)
            if shown is None or shown.view != seen:
                shown = _shown(seen, *find(view.image), predictor)
            done.append(_again(item, clicks, view.box, shown, store, predictor))
        except BadInput as error:
            skipped.append((item.uuid, str(error)))
    return Replay(model, tuple(done), tuple(skipped))


@dataclass(frozen=True, eq=False)
class _Shown:
    """A view of a session as it was: its grid, the encoding, where it holds a picture (H, W), and the image's grid."""

    view: StoredView
    grid: Grid
    encoded: Any
    valid: NDArray[np.bool_] | None
    whole: Grid


def _finder(
    store: Store, folder: Path | None, reading: Reading, warn: Callable[[str], None]
) -> Callable[[str], tuple[Path, Reading]]:
    """A function from an image's key to where it lies now and how it is read; finding raises BadInput."""
    images = {image.path: image for image in store.images()}
    readings = readings_of(store, reading)
    read_as: dict[str, Reading] = {}
    for image in images.values():

        def tell(note: str, name: str = base_name(image.path)) -> None:
            warn(f"Note on {name}: {note}.")

        read_as[image.path] = readings.of_image(image, tell)
    places = [] if folder is None else [folder]
    home = getattr(store, "path", None)
    beside = None if home is None else Path(home).parent

    def find(key: str) -> tuple[Path, Reading]:
        return find_image(images.get(key, StoredImage(key)), places, beside), read_as.get(key, reading)

    return find


def _shown(view: StoredView, path: Path, reading: Reading, predictor: Predictor) -> _Shown:
    """Read and encode a view. Raises BadData where the image gives another one now."""
    look = (view.bounds, view.gsd, view.bands, view.stretch, MAX_VIEW_PX, reading, bands_read(predictor) - 3)
    seen, grid = read_view(path, *look)
    if grid.shape != view.shape:
        raise BadData(f"{path.name} now gives a view of {grid.shape} pixels, not {view.shape}: it is another file.")
    return _Shown(view, grid, predictor.encode(seen), seen.valid, read_info(path, reading).grid)


def _again(
    item: MapObject,
    stored: Sequence[StoredClick],
    corners: MapBox | None,
    shown: _Shown,
    store: Store,
    predictor: Predictor,
) -> Replayed:
    """One object's box, which counts as a click, and its clicks answered again, and compared with its outline."""
    if store.crs is None:
        geometry = through(item.geometry, shown.whole.transform)
    else:
        geometry = reproject(item.geometry, store.crs, shown.grid.crs)
    truth = rasterize([geometry], shown.grid)
    clicks = [Click(click.row, click.col, click.positive) for click in stored]
    found, seconds = [], 0.0
    sequence = ClickSequence(Target(item.target))
    if corners is not None:
        begun, box = time.perf_counter(), box_between(corners, shown.grid)
        sequence = sequence.boxed(box, shown.grid.shape, predictor, shown.encoded)
        seconds += time.perf_counter() - begun
        found.append(iou(clean(sequence, shown.valid), truth))
    for step in fold(sequence, clicks, predictor, shown.encoded, time.perf_counter):
        found.append(iou(clean(step.sequence, shown.valid), truth))
        seconds += step.seconds
    person_s, each = _seconds(item, stored[0].time if stored else ""), seconds / len(found)
    return Replayed(item.uuid, item.class_name, item.target, tuple(found), person_s, each)


def _seconds(item: MapObject, first: str) -> float | None:
    """From an object's first click to its acceptance; None for what took over an hour (or has no times)."""
    try:
        begun, kept = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (first, item.created))
    except ValueError:
        return None
    spent = (kept - begun).total_seconds()
    return round(spent, 2) if 0 <= spent <= 3600 else None


def _mean(values: list[Any]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0
