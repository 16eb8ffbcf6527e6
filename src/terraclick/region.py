"""A whole scene named pixel by pixel: tiles of one lattice, overlapping, their logits blended in a fixed order.

Tiles lie on a lattice that starts at the image's first corner, so a part of the scene (`bounds`) gets the classes that
the whole would give it, and neither executor nor a pause changes a byte: tiles are added up in reading order, whoever
computed them, each with one engine thread. A row of tiles is finished as soon as the next one is summed: memory holds
one row of tiles, not the scene. Finished rows and the sums that reach into the next row are on disk before the journal
says so, hence a killed run goes on after its last finished row of tiles.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.core.click import Target
from terraclick.core.focus import Window
from terraclick.core.session import Session
from terraclick.errors import BadConfig, BadGrid, BadImage, BadOutput, BadWeights, TerraClickError
from terraclick.files import check_output, write_bytes, writing
from terraclick.geo.carrying import accuracy_note, check_carried
from terraclick.geo.classmap import (
    HEAT_OF,
    NO_DATA,
    UNKNOWN,
    ClassPatch,
    RowFile,
    class_patches,
    read_classes,
    read_legend,
    write_cog,
)
from terraclick.geo.export import check_target, export, format_of
from terraclick.geo.grid import Bounds, Grid
from terraclick.geo.identity import portable_name
from terraclick.geo.lonlat import WGS84
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_info, read_limits, read_tile, read_view, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.session_files import check_session_output, replace_session
from terraclick.geo.sidecars import stamp_of
from terraclick.geo.store import GeoPackageStore, MapClass, MapObject, StoredImage, files_hash, image_hash
from terraclick.geo.suspicion import suspicions
from terraclick.predictors.maps import MAP_MODELS, MapSpec, load_map, map_files
from terraclick.scale import map_tiles

__all__ = [
    "MapJob",
    "MapReport",
    "TileMapper",
    "TilePlan",
    "class_seed",
    "explain",
    "heat_colours",
    "map_scene",
    "object_seed",
    "plan_tiles",
    "run_map",
    "save_polygons",
    "seed_objects",
]

GREY = 127
"""What the model sees where there is no data."""

FloatArray = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MapJob:
    """What is mapped and how; together with the files behind it this decides every byte of the result."""

    scene: str
    """Path of an image, or `sample`."""
    model: str
    """A map model's name, or the folder of an exported one."""
    bounds: Bounds | None = None
    """Part of the scene, in its own coordinates; None = all of it."""
    gsd: float | None = None
    """Metres per pixel to map at; None = the scene's own."""
    bands: tuple[int, ...] | None = None
    """Bands seen as red, green, blue."""
    stretch: Any = "auto"
    """How values become 0–255, see `read_view`."""
    reading: Reading = PLAIN
    """What the user says of the file: nodata, page, alpha, coordinate system."""
    overlap: float = 0.25
    """Share of a tile's side that it has in common with its neighbour, 0 … 0.5."""
    heat: bool = False
    """Whether heatmaps are kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise BadConfig(f"an overlap of {self.overlap} was given: a share of the tile in 0 … 0.5 was expected.")


@dataclass(frozen=True)
class MapReport:
    """What a run wrote: the grid of the map, pixels of each class by name, tiles computed in this call."""

    grid: Grid
    pixels: dict[str, int]
    tiles: int
    files: tuple[Path, ...]
    polygons: int | None = None

    @property
    def sentence(self) -> str:
        """For people."""
        total = max(sum(self.pixels.values()), 1)
        shares = ", ".join(f"{name} {100 * n / total:.1f} %" for name, n in self.pixels.items() if n)
        rows, cols = self.grid.shape
        pieces = "" if self.polygons is None else f"; {self.polygons} polygons"
        return f"{cols} x {rows} px mapped to {self.files[0]}: {shares or 'no data anywhere'}{pieces}."


@dataclass(frozen=True)
class TileMapper:
    """Window → what the model says of it; small and picklable, the model is loaded where it runs."""

    job: MapJob
    factor: float
    bands: tuple[int, ...]
    limits: tuple[tuple[float, float], ...]

    def __call__(self, window: Window) -> tuple[FloatArray, FloatArray | None, NDArray[np.bool_]] | None:
        """Logits (N, rows, cols), heat or None, and where there is data, of the part inside; None without any data."""
        view = read_tile(self.job.scene, window, self.factor, self.bands, self.limits, self.job.reading)
        valid = np.ones(view.shape, np.bool_) if view.valid is None else view.valid
        if not valid.any():
            return None
        model = load_map(self.job.model, 1, self.job.heat)
        top, left = max(-window.row, 0), max(-window.col, 0)
        rows, cols = view.shape
        image = np.full((window.rows, window.cols, 3), GREY, np.uint8)
        image[top : top + rows, left : left + cols] = np.where(valid[..., None], view.image, np.uint8(GREY))
        if (rows, cols) != (window.rows, window.cols):
            image = _mirrored(image, (top, left, rows, cols))
        logits, heat = model(image)
        inner = (slice(None), slice(top, top + rows), slice(left, left + cols))
        if heat is None or not self.job.heat:
            return logits[inner], None, valid
        size = (window.cols, window.rows)
        grown = np.stack([cv2.resize(h, size, interpolation=cv2.INTER_LINEAR) for h in heat])
        return logits[inner], grown[inner], valid


def _mirrored(image: NDArray[np.uint8], place: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A tile that hangs over the scene's edge: the picture mirrored outwards, as far as it reaches."""
    top, left, rows, cols = place
    below, right = image.shape[0] - top - rows, image.shape[1] - left - cols
    inner = image[top : top + rows, left : left + cols]
    kind = cv2.BORDER_REFLECT_101 if min(rows, cols) > 1 else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(inner, top, below, left, right, kind), np.uint8)


@dataclass(frozen=True)
class TilePlan:
    """The lattice over a scene of `shape` (rows, cols) output pixels, and the part of it that is wanted."""

    shape: tuple[int, int]
    part: Window
    side: int
    overlap: int

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side - self.overlap

    def starts(self, axis: int) -> list[int]:
        """First pixel of every tile along an axis of the whole scene (0 = rows)."""
        length = self.shape[axis]
        count = max(1, -(-(length - self.overlap) // self.step))
        return [index * self.step for index in range(count)]

    def needed(self, axis: int) -> list[int]:
        """Those that reach into the wanted part."""
        first, length = (self.part.row, self.part.rows) if axis == 0 else (self.part.col, self.part.cols)
        return [start for start in self.starts(axis) if start < first + length and start + self.side > first]

    def ramp(self) -> FloatArray:
        """Weight along a tile's side: raised cosine over the overlap at both ends, never zero."""
        ramp = np.ones(self.side, np.float32)
        if self.overlap:
            rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self.overlap) + 0.5) / self.overlap)
            ramp[: self.overlap] *= rise.astype(np.float32)
            ramp[-self.overlap :] *= rise[::-1].astype(np.float32)
        return ramp

    def weight(self, axis: int) -> FloatArray:
        """Sum of the weights of all tiles of the scene at each wanted row (axis 0) or column (axis 1)."""
        total = np.zeros(self.shape[axis] + self.side, np.float32)
        for start in self.starts(axis):
            total[start : start + self.side] += self.ramp()
        first, length = (self.part.row, self.part.rows) if axis == 0 else (self.part.col, self.part.cols)
        return total[first : first + length]


def plan_tiles(shape: tuple[int, int], part: Window, side: int, overlap: float) -> TilePlan:
    """The plan of a scene of `shape` for a model of this side."""
    return TilePlan(shape, part, side, round(side * overlap))


def map_scene(
    job: MapJob,
    out: Path,
    *,
    confidence: Path | None = None,
    heatmaps: Path | None = None,
    executor: str = "local",
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> MapReport:
    """Map a scene to `out` (GeoTIFF), its confidence and heatmaps too if asked; the same bytes from every executor.

    While it runs, `out.work/` beside the output holds what is finished; with `resume` an interrupted run goes on there.
    Raises BadOutput, BadConfig (another run's work), BadGrid and what reading the scene and loading the model raise.
    """
    outputs = [path for path in (out, confidence, heatmaps) if path is not None]
    for path in outputs:
        _check_output(path, overwrite)
    if heatmaps is not None:
        job = replace(job, heat=True)
    spec = load_map(job.model, 1).spec
    scene = str(resolve_image(job.scene))
    job = replace(job, scene=scene, model=job.model if job.model in MAP_MODELS else str(Path(job.model).resolve()))
    if heatmaps is not None and not spec.heat:
        raise BadConfig(f"{job.model} gives no heatmaps: leave --heatmaps and --explain out, or take another model.")
    plan, factor, grid = _layout(job, spec)
    bands, limits = read_limits(job.scene, job.bands, job.stretch, job.reading)
    mapper = TileMapper(job, factor, bands, limits)
    stamp = stamp_of(Path(scene))
    work = _Work(out.with_name(out.name + ".work"), spec, plan, heat=heatmaps is not None)
    work.claim(_fingerprint(job, scene, spec, limits), resume, overwrite)
    tiles = 0
    spread = partial(map_tiles, mapper, executor=executor, workers=workers)
    try:
        for _ in work.run(spread, progress or (lambda a, b: None)):
            tiles += 1
    except BadWeights:
        work.remove()  # another model is needed, for which it is of no use
        raise
    except (KeyboardInterrupt, TerraClickError):
        if not work.done_rows:  # nothing in it that a later run could go on with
            work.remove()
        raise
    if stamp_of(Path(scene)) != stamp:
        raise BadImage(f"{Path(scene).name} was changed on disk while it was mapped: map it again with --overwrite.")
    tags = {f"CLASS_{c.id}": c.name for c in spec.classes}
    tags |= {"MODEL": Path(job.model).name, "SCENE": Path(scene).name}
    write_cog(work.classes, out, grid, NO_DATA, ["class"], {c.id: c.rgb for c in spec.classes}, tags)
    if confidence is not None:
        write_cog(work.confidence, confidence, grid, UNKNOWN, ["confidence, percent"], tags=tags)
    if heatmaps is not None:
        write_cog(work.heat, heatmaps, grid, UNKNOWN, [HEAT_OF.format(c.name) for c in spec.classes], tags=tags)
    pixels = work.counted()
    work.remove()
    return MapReport(grid, pixels, tiles, tuple(outputs))


def run_map(
    job: MapJob,
    out: Path,
    *,
    confidence: Path | None = None,
    heatmaps: Path | None = None,
    polygons: Path | None = None,
    explained: Path | None = None,
    min_area: int = 64,
    simplify_m: float = 0.0,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda line: None,
    **running: Any,
) -> MapReport:
    """`map_scene`, then polygons and pictures of the heatmaps if asked: what `terraclick map` does.

    Polygons need the confidence; where it is not wanted as a file it is made for a while. The folder of the pictures
    also gets their numbers, `heatmaps.tif`, unless `heatmaps` names another place: `terraclick serve` shows them.
    """
    _announce(job, polygons, min_area, warn)
    if polygons is not None:
        kind = format_of(polygons.name)
        check_session_output(polygons, False, overwrite) if kind == "gpkg" else check_target(polygons, kind, overwrite)
    for_a_while = []
    if polygons is not None and confidence is None:
        confidence = out.with_name(f".{out.stem}.confidence.tif")
        for_a_while.append(confidence)
    if explained is not None and heatmaps is None:
        heatmaps = explained / "heatmaps.tif"
        try:
            explained.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadOutput(f"{explained} cannot be made: {error.strerror or error}.") from error
    for path in for_a_while:  # what a killed run left
        path.unlink(missing_ok=True)
    try:
        report = map_scene(job, out, confidence=confidence, heatmaps=heatmaps, overwrite=overwrite, **running)
        files = [path for path in report.files if path not in for_a_while]
        count = None
        if polygons is not None:
            options: dict[str, Any] = {"min_area_px": min_area, "simplify_m": simplify_m, "overwrite": overwrite}
            count = save_polygons(job, out, report.grid, polygons, confidence=confidence, **options)
            files.append(polygons)
        if explained is not None and heatmaps is not None:
            files += explain(job, heatmaps, explained)
    finally:
        for path in for_a_while:
            path.unlink(missing_ok=True)
    return replace(report, files=tuple(files), polygons=count)


def _announce(job: MapJob, polygons: Path | None, min_area: int, warn: Callable[[str], None]) -> None:
    """Say how the scene is understood, and refuse polygons of which none can be, or that cannot be carried."""
    scene = resolve_image(job.scene)
    info = read_info(scene, job.reading)
    for note in (*info.notes, *suspicions(scene, job.reading, job.bands)):
        warn(f"Note on {scene.name}: {note}.")
    if polygons is not None:
        rows, cols = _layout(job, load_map(job.model, 1).spec)[2].shape
        if min_area > rows * cols:
            raise BadConfig(
                f"--min-area {min_area} is more than the whole map of {cols} x {rows} px: give a smaller one."
            )
    if polygons is not None and info.grid.crs is not None and format_of(polygons.name) == "geojson":
        check_carried(info.grid, WGS84, scene.name)
        note = accuracy_note(info.grid, WGS84)
        if note:
            warn(f"Note on {scene.name}: {note}.")


def _check_output(path: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise BadOutput(f"{path} cannot be written: give the name of a .tif file in a folder that exists.")
    check_output(path, overwrite)


def _layout(job: MapJob, spec: MapSpec) -> tuple[TilePlan, float, Grid]:
    """The tiles, image pixels per output pixel, and the grid of the output."""
    info = read_info(job.scene, job.reading)
    native = info.grid.metres_per_pixel
    factor = 1.0
    if job.gsd is not None:
        if not job.gsd > 0:
            raise BadGrid(f"a gsd of {job.gsd} was given; a positive number of metres per pixel was expected.")
        factor = job.gsd / native if native is not None else job.gsd
        whole = max(1.0, round(factor)) if factor >= 1 else 1 / max(1.0, round(1 / factor))
        factor = whole if abs(factor / whole - 1) < 1e-3 else factor
    shape = tuple(max(1, int(np.ceil(side / factor - 1e-3))) for side in info.grid.shape)
    part = Window(0, 0, *shape)
    if job.bounds is not None:
        left, bottom, right, top = job.bounds
        corners = [info.grid.to_click(x, y) for x in (left, right) for y in (bottom, top)]
        places = [c.row for c in corners], [c.col for c in corners]
        first = [int(np.floor((min(axis) + 0.5) / factor + 1e-3)) for axis in places]
        last = [int(np.ceil((max(axis) + 0.5) / factor - 1e-3)) for axis in places]
        first, last = [max(v, 0) for v in first], [min(v, s) for v, s in zip(last, shape, strict=True)]
        if last[0] <= first[0] or last[1] <= first[1]:
            raise BadGrid(f"the bounds {job.bounds} miss the scene, which covers {info.grid.bounds}.")
        part = Window(first[0], first[1], last[0] - first[0], last[1] - first[1])
    plan = plan_tiles((shape[0], shape[1]), part, spec.side, job.overlap)
    return plan, factor, info.grid.coarsened(factor, part)


def _fingerprint(job: MapJob, scene: str, spec: MapSpec, limits: Any) -> str:
    """Says whether half-made work belongs to this job: settings, scene and model, by content."""
    model = files_hash(map_files(job.model)) if map_files(job.model) else job.model
    said = [job.bounds, job.gsd, job.bands, limits, job.overlap, job.heat, spec.to_json(), model]
    said.append(image_hash(resolve_image(scene)))
    if not job.reading.is_plain:
        said.append(job.reading)
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()


class _Work:
    """The folder of a map in the making, and the sums of the tile row at hand."""

    def __init__(self, folder: Path, spec: MapSpec, plan: TilePlan, heat: bool) -> None:
        self.folder, self.spec, self.plan = folder, spec, plan
        shape = (plan.part.rows, plan.part.cols)
        self.classes = RowFile(folder / "classes.raw", 1, shape)
        self.confidence = RowFile(folder / "confidence.raw", 1, shape)
        self.heat = RowFile(folder / "heat.raw", len(spec.classes) if heat else 0, shape)
        self.planes = len(spec.classes) * (2 if heat else 1)
        self.done_rows = 0
        self.sums = np.zeros((self.planes, plan.side, plan.part.cols), np.float32)
        self.valid = np.zeros((plan.side, plan.part.cols), np.bool_)

    def claim(self, fingerprint: str, resume: bool, overwrite: bool) -> None:
        """Start the folder, or take up what an interrupted run of the same job left. Raises BadConfig."""
        journal = self.folder / "journal.json"
        if journal.is_file() and resume:
            said = self._read(journal)
            if said["fingerprint"] != fingerprint:
                raise BadConfig(
                    f"{self.folder} holds another run's work (other scene, model or settings): delete it, or leave "
                    "--resume out and pass --overwrite."
                )
            self.done_rows = int(said["done_rows"])
            if self.done_rows:
                with np.load(self.folder / f"carry_{self.done_rows}.npz") as carried:
                    rest = len(carried["valid"])
                    self.sums[:, :rest], self.valid[:rest] = carried["sums"], carried["valid"]
            return
        if self.folder.exists() and not overwrite:
            raise BadConfig(
                f"{self.folder} holds the work of an interrupted run: pass --resume to go on with it, or --overwrite."
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        with writing(self.folder):
            try:
                self.folder.mkdir()
                for file in (self.classes, self.confidence, self.heat):
                    file.create()
                self._note(fingerprint)
            except OSError:
                self.remove()
                raise

    def _read(self, journal: Path) -> dict[str, Any]:
        """What the journal says. Raises BadConfig if it is damaged."""
        try:
            said = json.loads(journal.read_text(encoding="utf-8"))
            carry = self.folder / f"carry_{int(said['done_rows'])}.npz"
            if not isinstance(said["fingerprint"], str) or (said["done_rows"] and not carry.is_file()):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise BadConfig(f"{self.folder} is damaged: leave --resume out and pass --overwrite.") from None
        return dict(said)

    def _note(self, fingerprint: str) -> None:
        part = self.folder / "journal.part"
        part.write_text(json.dumps({"fingerprint": fingerprint, "done_rows": self.done_rows}))
        os.replace(part, self.folder / "journal.json")

    def run(
        self, spread: Callable[[list[Window]], Iterator[tuple[Window, Any]]], progress: Progress
    ) -> Iterator[Window]:
        """Compute, add up and finish what is not done yet; yields the tiles as they are added."""
        fingerprint = json.loads((self.folder / "journal.json").read_text(encoding="utf-8"))["fingerprint"]
        plan = self.plan
        rows, cols = plan.needed(0), plan.needed(1)
        windows = [Window(r, c, plan.side, plan.side) for r in rows[self.done_rows :] for c in cols]
        total, done = len(rows) * len(cols), self.done_rows * len(cols)
        progress(done, total)
        share = np.outer(plan.ramp(), plan.ramp())
        for window, answer in spread(windows):
            if answer is not None:
                self._add(window, answer, share)
            done += 1
            yield window
            progress(done, total)
            if window.col == cols[-1]:
                with writing(self.folder, folder=self.folder):
                    self._finish_row(rows.index(window.row), rows, fingerprint)

    def _add(self, window: Window, answer: tuple[Any, ...], share: FloatArray) -> None:
        """Add a tile's logits (and heat), weighted, to the sums of its row of tiles."""
        logits, heat, valid = answer
        part = self.plan.part
        # the answer covers the part of the tile inside the scene; of that, the wanted columns are kept
        left = max(window.col, 0)
        first, last = max(left, part.col), min(left + logits.shape[2], part.col + part.cols)
        inner, place = slice(first - left, last - left), slice(first - part.col, last - part.col)
        count = logits.shape[1]
        weight = share[:count, inner]
        names = len(self.spec.classes)
        self.sums[:names, :count, place] += logits[:, :, inner] * weight
        if heat is not None:
            self.sums[names:, :count, place] += heat[:, :, inner] * weight
        self.valid[:count, place] |= valid[:, inner]

    def _finish_row(self, index: int, rows: Sequence[int], fingerprint: str) -> None:
        """Write the rows that no later tile reaches, keep the rest for the next row of tiles, note both."""
        plan = self.plan
        start = rows[index]
        stop = rows[index + 1] if index + 1 < len(rows) else start + plan.side
        first, last = max(start, plan.part.row), min(stop, plan.part.row + plan.part.rows)
        if last > first:
            at = slice(first - start, last - start)
            weight = plan.weight(0)[first - plan.part.row : last - plan.part.row, None] * plan.weight(1)[None]
            self._write(first - plan.part.row, self.sums[:, at] / weight, self.valid[at])
        moved = stop - start
        rest = plan.side - moved
        self.sums[:, :rest] = self.sums[:, moved:].copy() if rest else 0
        self.sums[:, rest:] = 0
        self.valid[:rest] = self.valid[moved:].copy() if rest else False
        self.valid[rest:] = False
        before = self.folder / f"carry_{self.done_rows}.npz"
        self.done_rows = index + 1
        unfinished = self.folder / "carry.part.npz"
        np.savez(unfinished, sums=self.sums[:, :rest], valid=self.valid[:rest])
        os.replace(unfinished, self.folder / f"carry_{self.done_rows}.npz")
        self._note(fingerprint)
        before.unlink(missing_ok=True)

    def _write(self, row: int, means: FloatArray, valid: NDArray[np.bool_]) -> None:
        """Blended logits (planes, n, cols) → classes, confidence and heat of these rows, on disk."""
        names = len(self.spec.classes)
        logits = means[:names]
        best = logits.argmax(axis=0)
        ids = np.array([c.id for c in self.spec.classes], np.uint8)
        top = np.take_along_axis(logits, best[None], axis=0)[0]
        sure = np.rint(100 / np.exp(logits - top).sum(axis=0)).astype(np.uint8)
        self.classes.write(row, np.where(valid, ids[best], np.uint8(NO_DATA))[None])
        self.confidence.write(row, np.where(valid, sure, np.uint8(UNKNOWN))[None])
        if self.heat.bands:
            level = np.rint(100 / (1 + np.exp(-np.clip(means[names:], -30, 30)))).astype(np.uint8)
            self.heat.write(row, np.where(valid, level, np.uint8(UNKNOWN)))

    def counted(self) -> dict[str, int]:
        """Pixels of each class by name, from the finished rows."""
        counts = np.zeros(256, np.int64)
        for row in range(0, self.plan.part.rows, 512):
            levels = self.classes.read(row, min(512, self.plan.part.rows - row))
            counts += np.bincount(levels.ravel(), minlength=256)
        return {c.name: int(counts[c.id]) for c in self.spec.classes}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


# --- maps feed clicks ------------------------------------------------------------------------------------------------


def seed_objects(patches: Sequence[ClassPatch], legend: dict[int, str], job: MapJob, grid: Grid) -> list[MapObject]:
    """Every piece of a class map as an object to be looked at, least certain first."""
    order = sorted(range(len(patches)), key=lambda i: (patches[i].confidence is not None, patches[i].confidence or 0.0))
    scene = str(resolve_image(job.scene))
    model = Path(job.model).name
    made = files_hash(map_files(job.model)) if map_files(job.model) else ""
    return [
        MapObject(
            image=scene,
            class_name=legend.get(patch.value, str(patch.value)),
            score=patch.confidence,
            geometry=patch.polygon,
            area_m2=area_m2(patch.polygon, grid.crs),
            perimeter_m=perimeter_m(patch.polygon, grid.crs),
            model=model,
            model_hash=made,
            status="proposed",
        )
        for patch in (patches[i] for i in order)
    ]


def save_polygons(
    job: MapJob,
    classes: Path,
    grid: Grid,
    out: Path,
    *,
    confidence: Path | None = None,
    min_area_px: int = 64,
    simplify_m: float = 0.0,
    overwrite: bool = False,
) -> int:
    """The pieces of a class map as polygons with shared borders, in the format of `out`'s ending; returns how many.

    A GeoPackage becomes a session to go on clicking in: its classes carry the map's colours, and every piece is an
    object with status `proposed`, the least certain first. Raises BadOutput and what `export` raises.
    """
    legend = read_legend(classes)
    whole = None if job.gsd is None else read_info(job.scene, job.reading).grid
    patches = class_patches(classes, grid, min_area_px, simplify_m, confidence, whole)
    objects = seed_objects(patches, legend, job, grid)
    scene = resolve_image(job.scene)
    kinds = load_map(job.model, 1).spec.classes
    named = [MapClass(kind.name, kind.colour, kind="coverage", number=kind.id) for kind in kinds]
    objects = [replace(item, image=portable_name(scene, out.parent)) for item in objects]
    if format_of(out.name) != "gpkg":
        export(objects, out, source=grid.crs, grid=grid, overwrite=overwrite, classes=named)
        return len(objects)
    with replace_session(out, overwrite) as part, GeoPackageStore.create(part, grid.crs) as store:
        bounds = None if grid.crs is None else read_info(job.scene, job.reading).grid.bounds
        name = portable_name(scene, out.parent)
        store.add_image(StoredImage(name, image_hash(scene), grid.crs, bounds, job.reading))
        for kind in named:
            store.set_class(kind)
        store.add_many([(item, (), None) for item in objects], grid.crs)
    return len(objects)


def object_seed(geometry: BaseGeometry, grid: Grid, target: Target = Target.OBJECT) -> Session:
    """A session that starts from an object of a map: clicks correct it. grid: the view's; geometry in its crs."""
    return Session.from_mask(rasterize([geometry], grid), target)


def class_seed(classes: str | os.PathLike[str], name: str, grid: Grid) -> Session:
    """A class session that starts from all pixels the map gives to class `name` in the view of this grid.

    Raises BadConfig for a class the map does not have, BadGrid where the coordinate systems differ.
    """
    values = [value for value, known in read_legend(classes).items() if known == name]
    if not values:
        known = ", ".join(read_legend(classes).values())
        raise BadConfig(f"the map has no class {name!r}: it has {known}.")
    return Session.from_mask(read_classes(classes, grid) == values[0], Target.CLASS)


# --- why -------------------------------------------------------------------------------------------------------------


def explain(job: MapJob, heatmaps: Path, folder: Path, max_side: int = 2048) -> list[Path]:
    """A picture per class: the scene in grey under its heatmap, blue (no) over white to red (yes); returns the files.

    Drawn from the written heatmaps, at most `max_side` pixels a side. Raises BadOutput.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    view, _ = read_view(job.scene, job.bounds, None, job.bands, job.stretch, max_side, job.reading)
    grey = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    names = [c.name for c in load_map(job.model, 1).spec.classes]
    for band, name in enumerate(names, start=1):
        heat, _ = read_view(heatmaps, bands=(band,), stretch="none", max_side=max_side)
        level = np.asarray(cv2.resize(heat.image[..., 0], view.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
        towards, strength = heat_colours(level)
        picture = grey * (1 - strength[..., None]) + towards * strength[..., None]
        path = folder / f"{band:02d}_{_plain(name)}.png"
        write_bytes(path, bytes(cv2.imencode(".png", np.rint(picture[..., ::-1]).astype(np.uint8))[1]))
        written.append(path)
    return written


def heat_colours(level: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Percentages (H, W) → colours (H, W, 3) from blue (no) to red (yes), and how much they cover (H, W) in 0 … 1.

    The undecided middle is the most transparent.
    """
    share = np.clip(level.astype(np.float32) / 100, 0, 1)
    towards = np.array([40, 70, 200], np.float32) * (1 - share[..., None])
    towards = towards + np.array([235, 40, 30], np.float32) * share[..., None]
    return towards.astype(np.float32), (0.15 + 0.6 * np.abs(2 * share - 1)).astype(np.float32)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
