"""Many clicks on one image to a file: what `terraclick segment` does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affine import Affine
from pyproj import CRS
from shapely.geometry import LineString

from terraclick.api import Outline, OutlineOptions, outlines
from terraclick.catalogue import NETWORKS, PREDICTORS, added_model, load, readers_of_references, spec_of
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick, BadConfig, UnknownName
from terraclick.exchange.export import check_destination, export
from terraclick.exchange.registry import FORMATS, format_of
from terraclick.files import check_output
from terraclick.geo.affine import through
from terraclick.geo.box_prompt import MapBox
from terraclick.geo.carrying import accuracy_note, check_carried
from terraclick.geo.crs_text import parse_crs
from terraclick.geo.grid import Grid
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import RasterInfo, read_info, read_view, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.suspicion import suspicions
from terraclick.predictors.progress import with_progress
from terraclick.predictors.spec import WEIGHTS
from terraclick.predictors.variants import base_name
from terraclick.preview import around, draw, write_png
from terraclick.segment.points import Request, read_points
from terraclick.segment.references import read_references, saved_references
from terraclick.segment.saving import save_session, to_object
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import files_hash, image_hash, portable_name
from terraclick.store.readings import readings_of
from terraclick.store.session_files import check_session_output
from terraclick.store.values import StoredReference
from terraclick.values import Bounds, Box, Reference, Stretch

__all__ = ["SegmentJob", "Segmented", "run"]


@dataclass(frozen=True)
class SegmentJob:
    """What is outlined, how, and where it goes; each field is an option of `terraclick segment`."""

    image: str
    """Path of an image, or `sample`."""
    clicks: Sequence[tuple[float, float]] = ()
    """Places (x, y) on the thing."""
    excludes: Sequence[tuple[float, float]] = ()
    """Places that are not part of it."""
    boxes: Sequence[MapBox] = ()
    """Boxes (x1, y1, x2, y2), each around one thing; the places go with a single one."""
    points: Path | None = None
    """File of clicks of many objects."""
    target: str = "object"
    """object or class."""
    out: str = "-"
    """File to write; - is GeoJSON text."""
    format_name: str | None = None
    """Format of `out`, where its ending does not say."""
    crs_text: str | None = None
    """Coordinate system of the output; None = the image's."""
    pixels: bool = False
    """Whether clicks, bounds and output are in pixels."""
    bounds: Bounds | None = None
    """Part of the image that is read; None = around the clicks."""
    gsd: float | None = None
    """Metres per pixel to read at; None = the image's own."""
    bands: Sequence[int] | None = None
    """Bands seen as red, green, blue."""
    stretch: Stretch = "auto"
    """How values become 0-255."""
    simplify_m: float | None = None
    """Tolerance of the outline in metres."""
    square: bool = False
    """Right angles."""
    model: str = "terra"
    """A name of `terraclick models`, perhaps with settings."""
    weights: Path | None = None
    """Weights or folder of that model."""
    class_name: str = ""
    """Class written with the objects."""
    likes: Sequence[tuple[Path, Path]] = ()
    """(image, mask) of examples of the thing."""
    unlikes: Sequence[tuple[Path, Path]] = ()
    """(image, mask) of examples of what it is not."""
    session_references: Path | None = None
    """A session whose references of `class_name` (of all classes without a name) count as well."""
    preview: Path | None = None
    """PNG of image, outlines and clicks."""
    overwrite: bool = False
    """Whether outputs are replaced."""
    append: bool = False
    """Whether `out` is a session that is added to."""
    reading: Reading = PLAIN
    """How the image is to be read where it does not say so itself."""

    def __post_init__(self) -> None:
        if self.crs_text and self.pixels:
            raise BadConfig("--crs and --pixels contradict each other: pixels have no coordinate system.")

    @property
    def kind(self) -> str:
        """The output's format. Raises UnknownName or BadConfig."""
        if self.format_name is not None and self.format_name not in FORMATS:
            raise UnknownName(f"no format {self.format_name!r}. Known: {', '.join(FORMATS)}.")
        if self.out == "-":
            if self.format_name not in (None, "geojson"):
                raise BadConfig(f"{self.format_name} cannot go to stdout: name a file with --out.")
            return "geojson"
        return format_of(Path(self.out).name, self.format_name)


@dataclass(frozen=True)
class Segmented:
    """What a run did: text is the GeoJSON when nothing was written to a file, summary is for programs."""

    text: str
    summary: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The summary in words."""
        objects = _counted(self.summary["objects"], "objects")
        said = [_counted(self.summary[noun], noun) for noun in ("boxes", "clicks") if self.summary[noun]]
        clicks = " and ".join(said)
        missed = f", nothing found for {len(self.summary['missed'])}" if self.summary["missed"] else ""
        return f"{objects} from {clicks} in {self.summary['out']}{missed}"


@dataclass(frozen=True)
class _Ready:
    """A job whose every refusal is behind it: the image as it is read, what is asked, who answers."""

    path: Path
    info: RasterInfo
    crs: CRS | None
    kind: str
    reading: Reading
    requests: Sequence[Request]
    own: Sequence[StoredReference]
    examples: tuple[Reference, ...]
    predictor: Predictor
    model_hash: str


def run(
    job: SegmentJob,
    warn: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    patches: Callable[[int, int], None] | None = None,
) -> Segmented:
    """Outline every request on an image and write the file the job names; "-" gives GeoJSON text.

    `warn` hears how the image was understood where that is not plain, `progress` of requests that were answered,
    `patches` of patches of a view that were encoded. An image that `append` adds to is read as the session keeps it
    where the job leaves that open. Everything that can be refused is refused before the first outline is made. Raises
    any TerraClickError.
    """
    ready = _prepared(job, warn, patches)
    found: list[Outline] = []
    missed: list[str] = []
    answers = _answers(job, ready, found, missed, warn, progress)
    if ready.kind == "gpkg":
        crs = None if job.pixels else ready.crs or ready.info.grid.crs
        how: dict[str, Any] = {"append": job.append, "overwrite": job.overwrite}
        how |= {"references": ready.own, "reading": ready.reading}
        kept = save_session(Path(job.out), ready.path, answers, crs, job.bands, job.stretch, **how)
    else:
        kept = [item for item, _ in answers]
    if not kept:
        raise BadClick(f"{job.model} found nothing under the clicks: click nearer to the middle of the thing.")
    text = "" if ready.kind == "gpkg" else _exported(job, ready, kept)
    if job.preview is not None:
        picture(job.preview, job.image, found, job.pixels, job.bands, job.stretch, ready.reading)
    summary = {
        "out": job.out,
        "objects": len(kept),
        "boxes": sum(outline.sequence.box is not None for outline in found),
        "clicks": sum(len(outline.clicks) for outline in found),
        "missed": missed,
        "area_m2": None if job.pixels else round(sum(item.area_m2 or 0.0 for item in kept), 3),
        "scores": [item.score for item in kept],
        "preview": None if job.preview is None else str(job.preview),
    }
    return Segmented(text, summary)


def _prepared(job: SegmentJob, warn: Callable[[str], None], patches: Callable[[int, int], None] | None) -> _Ready:
    """Everything that is known and may be refused before the slow work."""
    path, reading = resolve_image(job.image), job.reading
    heard: list[str] = []
    if job.append and Path(job.out).is_file():
        with GeoPackageStore.open(job.out) as store:
            reading = readings_of(store, reading).of_file(path, tell=heard.append)
    info = read_info(path, reading)
    crs = parse_crs(job.crs_text) if job.crs_text else None
    kind = job.kind
    _check_outputs(job, kind)
    refused = info.grid.crs is None and not job.pixels  # said in one sentence, further down
    for note in () if refused else (*heard, *info.notes, *suspicions(path, reading, job.bands)):
        warn(f"Note on {path.name}: {note}.")
    if not job.pixels and info.grid.crs is not None:
        target_crs = _written_in(kind, crs, info.grid.crs)
        check_carried(info.grid, target_crs, path.name)
        for note in _accuracy(info.grid, target_crs, job.points):
            warn(f"Note on {path.name}: {note}.")
    requests = _requests(job, info)
    own, examples = _examples(job)
    model = load(job.model) if job.weights is None else _load_own(job.model, job.weights)
    digest = _model_hash(job.model, job.weights)
    return _Ready(path, info, crs, kind, reading, requests, own, examples, with_progress(model, patches), digest)


def _check_outputs(job: SegmentJob, kind: str) -> None:
    """Raise what writing the outputs would raise."""
    if job.append and kind != "gpkg":
        raise BadConfig(f"--append adds to a .gpkg session, not to {job.out}: choose an --out that ends in .gpkg.")
    if kind == "gpkg":
        check_session_output(Path(job.out), job.append, job.overwrite)
    elif job.out != "-":
        check_destination(job.out, kind, job.overwrite)
    if job.preview is not None:
        check_output(job.preview, job.overwrite)


def _requests(job: SegmentJob, info: RasterInfo) -> list[Request]:
    """The clicks of the command line, if any, then those of the points file."""
    crs = None if job.pixels else info.grid.crs
    requests = read_points(job.points, crs, job.class_name) if job.points else []
    both = (*((x, y, True) for x, y in job.clicks), *((x, y, False) for x, y in job.excludes))
    if len(job.boxes) > 1:
        if both:
            raise BadConfig(
                f"{len(job.boxes)} boxes and {len(both)} clicks were given, and nothing says which click goes with "
                "which box: give one box, or write them to a file for --points."
            )
        return [*(Request(f"box {n}", job.class_name, (box,)) for n, box in enumerate(job.boxes, 1)), *requests]
    if both or job.boxes or not requests:
        requests.insert(0, Request("the clicks" if both else "the box", job.class_name, (*job.boxes, *both)))
    return requests


def _examples(job: SegmentJob) -> tuple[list[StoredReference], tuple[Reference, ...]]:
    """References that are given in files, which the session will keep, and all that the model is shown."""
    own = [
        *read_references(job.likes, True, job.class_name),
        *read_references(job.unlikes, False, job.class_name),
    ]
    saved = saved_references(job.session_references, job.class_name)
    examples = tuple(item.reference for item in (*own, *saved))
    if examples and not spec_of(job.model).reads_references:
        others = ", ".join(readers_of_references())
        raise BadConfig(f"{job.model} does not read references: choose one of {others} as --model, or leave them out.")
    return own, examples


def _answers(
    job: SegmentJob,
    ready: _Ready,
    found: list[Outline],
    missed: list[str],
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Iterator[tuple[MapObject, Outline]]:
    """Each request's object and outline as soon as it is made; `found` and `missed` are filled on the way."""
    how: OutlineOptions = {"bounds": job.bounds, "gsd": job.gsd, "pixels": job.pixels, "bands": job.bands}
    how |= {"stretch": job.stretch, "simplify_m": job.simplify_m, "square": job.square}
    how |= {"references": ready.examples, "reading": ready.reading}
    every = outlines(str(ready.path), [r.clicks for r in ready.requests], job.target, ready.predictor, **how)
    folder = Path.cwd() if job.out == "-" else Path(job.out).parent
    for request, answer in zip(ready.requests, every, strict=True):
        progress(len(found) + len(missed) + 1, len(ready.requests))
        if answer.geometry.is_empty:
            missed.append(request.name)
            warn(f"Nothing found for {request.name}.")
            continue
        if not found and answer.view.image.std() == 0 and answer.view.image.size > 3:
            warn("The view is blank, all of one colour, and its outline means nothing: check --stretch and --bands.")
        found.append(answer)
        yield to_object(answer, request, portable_name(ready.path, folder), job.model, ready.model_hash), answer


def _exported(job: SegmentJob, ready: _Ready, kept: Sequence[MapObject]) -> str:
    """Write the objects to the job's file; for stdout the text that goes there."""
    own = ready.info.grid
    source, grid = (None, Grid(Affine.identity(), None, own.shape)) if job.pixels else (own.crs, own)
    if job.out != "-":
        export(kept, job.out, ready.kind, ready.crs, source=source, grid=grid, overwrite=job.overwrite)
        return ""
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(export(kept, Path(scratch) / "out.geojson", ready.kind, ready.crs, source=source, grid=grid))
        return written.read_text(encoding="utf-8").rstrip()


def _written_in(kind: str, crs: CRS | None, own: CRS) -> CRS:
    """The coordinate system that outlines will be written in."""
    return crs or (WGS84 if FORMATS[kind].lonlat else own)


def _accuracy(grid: Grid, destination: CRS, points: Path | None) -> list[str]:
    """What to say of outlines carried into `destination`, and of points that come as longitude and latitude."""
    others = [destination, *([WGS84] if points is not None and points.suffix.lower() in (".json", ".geojson") else [])]
    return [note for note in dict.fromkeys(accuracy_note(grid, other) for other in others) if note]


def _load_own(model: str, weights: Path) -> Predictor:
    own = PREDICTORS.get(base_name(model))
    if own is not None and not own.files:
        raise BadConfig(f"{model} has no weights: leave --weights out, or choose another --model.")
    return load(model, weights=weights)


def _model_hash(model: str, weights: Path | None) -> str:
    """Says which weights answered: the start of a hash over the model's files; "" without any."""
    added = None if weights is not None else added_model(model)
    if added is not None:
        return added.hash
    if base_name(model) in NETWORKS:
        return image_hash(weights)[:16] if weights is not None and weights.is_file() else ""
    return files_hash([(weights or WEIGHTS) / name for name in PREDICTORS[base_name(model)].files])


def _counted(count: int, nouns: str) -> str:
    return f"{count} {nouns if count != 1 else {'boxes': 'box'}.get(nouns, nouns[:-1])}"


def picture(
    out: Path,
    image: str,
    found: Sequence[Outline],
    pixels: bool,
    bands: Sequence[int] | None,
    stretch: Stretch,
    reading: Reading = PLAIN,
) -> None:
    """Write a PNG of the image around the outlines, with the outlines and their clicks drawn on it."""
    info = read_info(resolve_image(image), reading)
    back = _moved_back(info.grid) if pixels else None
    drawings = [(back(o.geometry) if back else o.geometry, o.clicks) for o in found]
    boxes = [_frame(o.sequence.box, o.grid) for o in found if o.sequence.box is not None]
    shown = [*drawings, *((box, ()) for box in boxes)]
    view, grid = read_view(info.path, around(shown, info.grid), None, bands, stretch, 1600, reading)
    write_png(draw(view.image, grid, drawings, max(1, 900 // max(grid.shape)), boxes), out)


def _frame(box: Box, grid: Grid) -> LineString:
    """The edges of a box of a view on the map."""
    corners = [(box.top, box.left), (box.top, box.right), (box.bottom, box.right), (box.bottom, box.left)]
    return LineString([grid.to_map(*corner) for corner in (*corners, corners[0])])


def _moved_back(grid: Grid) -> Callable[[Any], Any]:
    return lambda geometry: through(geometry, grid.transform)
