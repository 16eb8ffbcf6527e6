"""A whole scene named pixel by pixel: tiles of one lattice, overlapping, their logits blended in a fixed order.

Neither executor nor a pause changes a byte: tiles are added up in reading order, whoever computed them, each with one
engine thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from terraclick.classmap.explain import explain, heat_planes
from terraclick.classmap.model import MAP_MODELS, MapSpec, load_map, map_files
from terraclick.classmap.polygons import save_polygons
from terraclick.classmap.tiles import MapJob, TileMapper, layout
from terraclick.classmap.work import Progress, Work
from terraclick.errors import BadConfig, BadImage, BadOutput, BadWeights, TerraClickError
from terraclick.exchange.export import check_destination
from terraclick.exchange.registry import FORMATS, format_of
from terraclick.files import check_output
from terraclick.geo.carrying import accuracy_note, check_carried
from terraclick.geo.classmap import (
    HEAT_OF,
    NO_DATA,
    UNKNOWN,
    write_cog,
)
from terraclick.geo.grid import Grid
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import read_further, read_info, read_limits, resolve_image
from terraclick.geo.sidecars import stamp_of
from terraclick.geo.suspicion import suspicions
from terraclick.scale import map_tiles
from terraclick.store.identity import files_hash, image_hash
from terraclick.store.session_files import check_session_output

__all__ = ["MappedScene", "map_scene", "run_map"]


@dataclass(frozen=True)
class MappedScene:
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
) -> MappedScene:
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
    plan, factor, grid = layout(job, spec)
    bands, limits = read_limits(job.scene, job.bands, job.stretch, job.reading)
    further = read_further(job.scene, bands, spec.bands - 3, job.reading) if spec.bands > 3 else ()
    mapper = TileMapper(job, factor, bands, limits, further)
    stamp = stamp_of(Path(scene))
    planes = heat_planes(job, spec)
    work = Work(out.with_name(out.name + ".work"), spec, plan, heat=len(planes) // len(spec.classes))
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
        write_cog(work.heat, heatmaps, grid, UNKNOWN, [HEAT_OF.format(name) for name in planes], tags=tags)
    pixels = work.counted()
    work.remove()
    return MappedScene(grid, pixels, tiles, tuple(outputs))


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
) -> MappedScene:
    """`map_scene`, then polygons and pictures of the heatmaps if asked: what `terraclick map` does.

    Polygons need the confidence; where it is not wanted as a file it is made for a while. The folder of the pictures
    also gets their numbers, `heatmaps.tif`, unless `heatmaps` names another place: `terraclick serve` shows them.
    """
    _announce(job, polygons, min_area, warn)
    if polygons is not None:
        kind = format_of(polygons.name)
        if kind == "gpkg":
            check_session_output(polygons, False, overwrite)
        else:
            check_destination(polygons, kind, overwrite)
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
        mapped = map_scene(job, out, confidence=confidence, heatmaps=heatmaps, overwrite=overwrite, **running)
        files = [path for path in mapped.files if path not in for_a_while]
        count = None
        if polygons is not None:
            options: dict[str, Any] = {"min_area_px": min_area, "simplify_m": simplify_m, "overwrite": overwrite}
            count = save_polygons(job, out, mapped.grid, polygons, confidence=confidence, **options)
            files.append(polygons)
        if explained is not None and heatmaps is not None:
            files += explain(replace(job, heat=True), heatmaps, explained)
    finally:
        for path in for_a_while:
            path.unlink(missing_ok=True)
    return replace(mapped, files=tuple(files), polygons=count)


def _announce(job: MapJob, polygons: Path | None, min_area: int, warn: Callable[[str], None]) -> None:
    """Say how the scene is understood, and refuse polygons of which none can be, or that cannot be carried."""
    scene = resolve_image(job.scene)
    info = read_info(scene, job.reading)
    for note in (*info.notes, *suspicions(scene, job.reading, job.bands)):
        warn(f"Note on {scene.name}: {note}.")
    if polygons is not None:
        rows, cols = layout(job, load_map(job.model, 1).spec)[2].shape
        if min_area > rows * cols:
            raise BadConfig(
                f"--min-area {min_area} is more than the whole map of {cols} x {rows} px: give a smaller one."
            )
    if polygons is not None and info.grid.crs is not None and FORMATS[format_of(polygons.name)].lonlat:
        check_carried(info.grid, WGS84, scene.name)
        note = accuracy_note(info.grid, WGS84)
        if note:
            warn(f"Note on {scene.name}: {note}.")


def _check_output(path: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise BadOutput(f"{path} cannot be written: give the name of a .tif file in a folder that exists.")
    check_output(path, overwrite)


def _fingerprint(job: MapJob, scene: str, spec: MapSpec, limits: Any) -> str:
    """Says whether half-made work belongs to this job: settings, scene and model, by content."""
    model = files_hash(map_files(job.model)) if map_files(job.model) else job.model
    said = [job.bounds, job.gsd, job.bands, limits, job.overlap, job.heat, spec.to_json(), model]
    said += [value for value in (job.augmentation, job.every_layer) if value not in ("none", False)]
    said.append(image_hash(resolve_image(scene)))
    if not job.reading.is_plain:
        said.append(job.reading)
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()
