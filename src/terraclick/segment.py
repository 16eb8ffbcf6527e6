"""Many clicks on one image to a file: what `terraclick segment` does once its words are understood."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from terraclick.api import MapClick, Outline, outlines
from terraclick.catalogue import NETWORKS, PREDICTORS, load, readers_of_references, spec_of
from terraclick.console import is_plain, printable
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick, BadConfig, BadData, UnknownName
from terraclick.exchange.export import check_target, export
from terraclick.exchange.references import read_reference
from terraclick.exchange.registry import FORMATS, format_of
from terraclick.files import check_output, copy_file
from terraclick.geo.affine import through
from terraclick.geo.carrying import accuracy_note, check_carried
from terraclick.geo.crs_text import crs_of_text, parse_crs
from terraclick.geo.grid import Grid
from terraclick.geo.lonlat import WGS84, check_lonlat
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.raster import read_info, read_view, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.suspicion import suspicions
from terraclick.predictors.progress import reporting
from terraclick.predictors.spec import WEIGHTS
from terraclick.predictors.variants import base_name
from terraclick.preview import around, draw, write_png
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store
from terraclick.store.identity import files_hash, image_hash, portable_name, session_key
from terraclick.store.readings import readings_of
from terraclick.store.session_files import check_session_output, new_session
from terraclick.store.sqlite_file import remove_session
from terraclick.store.values import StoredClick, StoredImage, StoredReference, StoredView

__all__ = [
    "Report",
    "Request",
    "copy_sample",
    "read_points",
    "run",
    "save_session",
]

POINTS_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """One thing to outline: its name in the points file, its class, its clicks (x, y, positive)."""

    name: str
    class_name: str
    clicks: tuple[MapClick, ...]


# --- what to outline -------------------------------------------------------------------------------------------------


def read_points(path: Path, crs: CRS | None, class_name: str = "") -> list[Request]:
    """Clicks of many objects from a CSV or GeoJSON file, in the order of their first appearance.

    CSV: columns x, y and, if wanted, object, positive (1/0, true/false, +/-), class; coordinates are the image's (or
    pixels). GeoJSON: points with the same properties, longitude and latitude unless the file names another crs; `crs`
    is the image's, None for pixels. Without `object` every row is an object of its own. Raises BadData.
    """
    try:
        if path.stat().st_size > POINTS_BYTES:
            raise BadData(f"{path} is larger than {POINTS_BYTES >> 20} MiB: split the points over several files.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise BadData(f"{path} is not a text file: expected a CSV or GeoJSON file of points.") from None
    rows = _geojson_rows(text, path, crs) if text.lstrip()[:1] == "{" else _csv_rows(text, path)
    groups: dict[str, tuple[str, list[MapClick]]] = {}
    for number, (x, y, fields) in enumerate(rows, 1):
        name = str(fields.get("object") or f"row {number}")
        kind = str(fields.get("class") or class_name)
        if not is_plain(kind):
            raise BadData(f"{path}, point {number}: the class {printable(kind)[:80]} holds control characters.")
        _, clicks = groups.setdefault(name, (kind, []))
        clicks.append((x, y, _is_positive(fields.get("positive"), f"{path}, point {number}")))
    if not groups:
        raise BadData(f"{path} holds no points: expected columns x, y and, if wanted, object, positive, class.")
    for name, (_, clicks) in groups.items():
        if not any(positive for _, _, positive in clicks):
            raise BadData(f"{path}: object {name} has no including click; set positive to 1 on one of its points.")
    return [Request(name, kind, tuple(clicks)) for name, (kind, clicks) in groups.items()]


_Row = tuple[float, float, dict[str, Any]]


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text))
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if not {"x", "y"} <= set(names):
        raise BadData(f"{path} has the columns {', '.join(names)[:80] or 'none'}: expected at least x and y.")
    reader.fieldnames = names
    try:
        for fields in reader:
            yield (*_place(fields["x"], fields["y"], f"{path}, line {reader.line_num}"), fields)
    except csv.Error as error:
        raise BadData(f"{path}, line {reader.line_num}: {error}; expected comma-separated x, y.") from None


def _geojson_rows(text: str, path: Path, crs: CRS | None) -> Iterator[_Row]:
    try:
        found = json.loads(text)
        features = found["features"] if found["type"] == "FeatureCollection" else [found]
        named = (found.get("crs") or {}).get("properties", {}).get("name")
        source = crs_of_text(named) if named else CRS.from_epsg(4326)
        move = None if crs is None else Transformer.from_crs(source, crs, always_xy=True).transform
        for number, feature in enumerate(features, 1):
            x, y = feature["geometry"]["coordinates"][:2]
            x, y = _place(x, y, f"{path}, feature {number}", strict=True)
            if move is not None and source.is_geographic:
                check_lonlat([(x, y)], f"{path}, feature {number}")
            if feature["geometry"]["type"] != "Point":
                raise TypeError
            yield (*(move(x, y) if move else (x, y)), dict(feature.get("properties") or {}))
    except (ValueError, KeyError, TypeError, AttributeError, CRSError, RecursionError):
        raise BadData(f"{path} is not a GeoJSON file of points: expected features of type Point.") from None


def _place(x: Any, y: Any, where: str, strict: bool = False) -> tuple[float, float]:
    """Two numbers; with `strict` numbers only, no texts and no booleans. Raises BadData."""
    if strict and not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (x, y)):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two numbers were expected.")
    try:
        place = float(x), float(y)
    except (TypeError, ValueError):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two numbers were expected.") from None
    if not all(map(math.isfinite, place)):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two finite numbers were expected.")
    return place


def _is_positive(value: Any, where: str) -> bool:
    text = str("" if value is None else value).strip().lower()
    if text in ("", "1", "1.0", "true", "yes", "+"):
        return True
    if text in ("0", "0.0", "false", "no", "-", "-1"):
        return False
    raise BadData(f"{where}: positive is {value!r}; expected 1 (include) or 0 (exclude).")


# --- what it looks like ----------------------------------------------------------------------------------------------


def read_references(pairs: Iterable[tuple[Path, Path]], positive: bool, class_name: str) -> list[StoredReference]:
    """References from (image, mask) files. Raises BadImage or BadData."""
    return [StoredReference(class_name, read_reference(image, mask, positive)) for image, mask in pairs]


def saved_references(path: Path | None, class_name: str) -> tuple[StoredReference, ...]:
    """The references of a session file, of one class or with "" of all. Raises BadData if there are none."""
    if path is None:
        return ()
    with GeoPackageStore.open(path) as store:
        found = store.references(class_name or None)
    if not found:
        of = f" of class {class_name!r}" if class_name else ""
        raise BadData(f"{path} holds no references{of}: add some with --reference, or leave --references out.")
    return found


# --- what to keep ----------------------------------------------------------------------------------------------------


def to_object(found: Outline, request: Request, image: str, model: str, model_hash: str = "") -> MapObject:
    """An outline as an object of a session or an export, measured on the ground."""
    return MapObject(
        image=image,
        class_name=request.class_name,
        target=found.session.target.value,
        score=round(found.score, 4),
        geometry=found.geometry,
        area_m2=area_m2(found.geometry, found.crs),
        perimeter_m=perimeter_m(found.geometry, found.crs),
        n_clicks=len(found.clicks),
        model=model,
        model_hash=model_hash,
    )


def save_session(
    path: Path,
    image: Path,
    results: Iterable[tuple[MapObject, Outline]],
    crs: CRS | None,
    bands: Sequence[int] | None,
    stretch: Any,
    *,
    append: bool = False,
    overwrite: bool = False,
    references: Sequence[StoredReference] = (),
    reading: Reading = PLAIN,
) -> list[MapObject]:
    """Stop 7: keep each object, its clicks and its view in a GeoPackage as soon as it is answered.

    The file comes into being with the first object, so a run that finds none leaves none; whatever stops a longer run,
    the objects answered before it are on disk. An earlier session is replaced when the run is through: until then the
    new one lies beside it as STEM.unfinished.gpkg. `crs` is that of the file (None: pixels). References that the file
    does not hold yet are added. Raises BadOutput.
    """
    results = iter(results)
    first = next(results, None)
    if first is None:
        return []
    with new_session(path, append, overwrite) as place:
        there = place.exists()
        kept: list[MapObject] = []
        try:
            with open_store(place, crs) as store:
                digest = image_hash(image)
                image_crs = first[1].crs  # None when the session keeps pixels
                bounds = None if image_crs is None else read_info(image, reading).grid.bounds
                key = session_key(store.images(), image, digest, bounds, path.parent)
                store.add_image(StoredImage(key, digest, image_crs, bounds, reading))
                known = {_content(held) for held in store.references()}
                for reference in references:
                    if _content(reference) not in known:
                        store.add_reference(reference)
                for item, found in itertools.chain([first], results):
                    view = _stored_view(found, key, bands, stretch)
                    kept.append(store.add(replace(item, image=key, uuid=""), _stored_clicks(found), view))
        finally:
            if not kept and not there:
                remove_session(place)
    return kept


def _content(item: StoredReference) -> tuple[str, bool, bytes, bytes]:
    """What makes two saved references the same one."""
    example = item.reference
    return item.class_name, example.positive, example.image.tobytes(), example.mask.tobytes()


def _stored_clicks(found: Outline) -> list[StoredClick]:
    pairs = zip(found.session.clicks, found.clicks, strict=True)
    return [StoredClick(click.row, click.col, x, y, click.positive) for click, (x, y, _) in pairs]


def _stored_view(found: Outline, image: str, bands: Sequence[int] | None, stretch: Any) -> StoredView:
    chosen = None if bands is None else tuple(bands)
    return StoredView(image, found.bounds, found.gsd, chosen, stretch, (), found.grid.shape)


# --- the whole run ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """What a run did: text is the GeoJSON when nothing was written to a file, summary is for programs."""

    text: str
    summary: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The summary in words."""
        objects, clicks = (_counted(self.summary[noun], noun) for noun in ("objects", "clicks"))
        missed = f", nothing found for {len(self.summary['missed'])}" if self.summary["missed"] else ""
        return f"{objects} from {clicks} in {self.summary['out']}{missed}"


def run(
    image: str,
    *,
    clicks: Sequence[tuple[float, float]] = (),
    excludes: Sequence[tuple[float, float]] = (),
    points: Path | None = None,
    target: str = "object",
    out: str = "-",
    format_name: str | None = None,
    crs_text: str | None = None,
    pixels: bool = False,
    bounds: tuple[float, float, float, float] | None = None,
    gsd: float | None = None,
    bands: Sequence[int] | None = None,
    stretch: str = "auto",
    simplify_m: float | None = None,
    square: bool = False,
    model: str = "terra",
    weights: Path | None = None,
    class_name: str = "",
    likes: Sequence[tuple[Path, Path]] = (),
    unlikes: Sequence[tuple[Path, Path]] = (),
    session_references: Path | None = None,
    preview: Path | None = None,
    overwrite: bool = False,
    append: bool = False,
    reading: Reading = PLAIN,
    warn: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    patches: Callable[[int, int], None] | None = None,
) -> Report:
    """Outline every request on an image and write the file `out` names; "-" gives GeoJSON text in the report.

    likes and unlikes are (image, mask) of references; session_references is a .gpkg whose references of `class_name`
    (of all classes without a name) count as well. `warn` hears how the image was understood where that is not plain,
    `progress` of requests that were answered, `patches` of patches of a view that were encoded.
    An image that `append` adds to is read as the session keeps it where `reading` leaves that open. Everything that can
    be refused is refused before the first outline is made. Raises any TerraClickError.
    """
    path = resolve_image(image)
    heard: list[str] = []
    if append and Path(out).is_file():
        with GeoPackageStore.open(out) as store:
            reading = readings_of(store, reading).of_file(path, tell=heard.append)
    info = read_info(path, reading)
    crs = parse_crs(crs_text) if crs_text else None
    if crs is not None and pixels:
        raise BadConfig("--crs and --pixels contradict each other: pixels have no coordinate system.")
    kind = _format(out, format_name)
    session_file = kind == "gpkg"
    folder = Path.cwd() if out == "-" else Path(out).parent
    if append and not session_file:
        raise BadConfig(f"--append adds to a .gpkg session, not to {out}: choose an --out that ends in .gpkg.")
    if session_file:
        check_session_output(Path(out), append, overwrite)
    elif out != "-":
        check_target(out, kind, overwrite)
    if preview is not None:
        check_output(preview, overwrite)
    refused = info.grid.crs is None and not pixels  # said in one sentence, further down
    for note in () if refused else (*heard, *info.notes, *suspicions(path, reading, bands)):
        warn(f"Note on {path.name}: {note}.")
    if not pixels and info.grid.crs is not None:
        target_crs = _written_in(kind, crs, info.grid.crs)
        check_carried(info.grid, target_crs, path.name)
        for note in _accuracy(info.grid, target_crs, points):
            warn(f"Note on {path.name}: {note}.")
    requests = read_points(points, None if pixels else info.grid.crs, class_name) if points else []
    if clicks or excludes or not requests:
        both = (*((x, y, True) for x, y in clicks), *((x, y, False) for x, y in excludes))
        requests.insert(0, Request("the clicks", class_name, both))
    own = [*read_references(likes, True, class_name), *read_references(unlikes, False, class_name)]
    examples = tuple(item.reference for item in (*own, *saved_references(session_references, class_name)))
    if examples and not spec_of(model).reads_references:
        others = ", ".join(readers_of_references())
        raise BadConfig(f"{model} does not read references: choose one of {others} as --model, or leave them out.")
    predictor = reporting(load(model) if weights is None else _load_own(model, weights), patches)
    model_hash = _model_hash(model, weights)
    found: list[Outline] = []
    missed: list[str] = []

    def answers() -> Iterator[tuple[MapObject, Outline]]:
        how: dict[str, Any] = {"bounds": bounds, "gsd": gsd, "pixels": pixels, "bands": bands, "simplify_m": simplify_m}
        how |= {"stretch": parse_stretch(stretch), "square": square, "references": examples, "reading": reading}
        every = outlines(str(path), [r.clicks for r in requests], target, predictor, **how)
        for request, answer in zip(requests, every, strict=True):
            progress(len(found) + len(missed) + 1, len(requests))
            if answer.geometry.is_empty:
                missed.append(request.name)
                warn(f"Nothing found for {request.name}.")
                continue
            if not found and answer.view.image.std() == 0 and answer.view.image.size > 3:
                warn(
                    "The view is blank, all of one colour, and its outline means nothing: check --stretch and --bands."
                )
            found.append(answer)
            yield to_object(answer, request, portable_name(path, folder), model, model_hash), answer

    text = ""
    if session_file:
        kept = save_session(
            Path(out),
            path,
            answers(),
            None if pixels else crs or info.grid.crs,
            bands,
            parse_stretch(stretch),
            append=append,
            overwrite=overwrite,
            references=own,
            reading=reading,
        )
    else:
        kept = [item for item, _ in answers()]
    if not kept:
        raise BadClick(f"{model} found nothing under the clicks: click nearer to the middle of the thing.")
    source = None if pixels else info.grid.crs
    grid = Grid(Affine.identity(), None, info.grid.shape) if pixels else info.grid
    if out == "-":
        with tempfile.TemporaryDirectory() as scratch:
            written = Path(export(kept, Path(scratch) / "out.geojson", kind, crs, source=source, grid=grid))
            text = written.read_text(encoding="utf-8").rstrip()
    elif not session_file:
        export(kept, out, kind, crs, source=source, grid=grid, overwrite=overwrite)
    if preview is not None:
        picture(preview, image, found, pixels, bands, parse_stretch(stretch), reading)
    summary = {
        "out": out,
        "objects": len(kept),
        "clicks": sum(item.n_clicks for item in kept),
        "missed": missed,
        "area_m2": None if pixels else round(sum(item.area_m2 or 0.0 for item in kept), 3),
        "scores": [item.score for item in kept],
        "preview": None if preview is None else str(preview),
    }
    return Report(text, summary)


def copy_sample(out: Path, overwrite: bool = False) -> None:
    """Copy the packaged scene to a file. Raises BadOutput."""
    copy_file(resolve_image("sample"), out, overwrite)


def _format(out: str, name: str | None) -> str:
    """The output's format: as given, GeoJSON on stdout, else by the ending. Raises UnknownName or BadConfig."""
    if name is not None and name not in FORMATS:
        raise UnknownName(f"no format {name!r}. Known: {', '.join(FORMATS)}.")
    if out == "-":
        if name not in (None, "geojson"):
            raise BadConfig(f"{name} cannot go to stdout: name a file with --out.")
        return "geojson"
    return format_of(Path(out).name, name)


def _written_in(kind: str, crs: CRS | None, own: CRS) -> CRS:
    """The coordinate system that outlines will be written in."""
    return crs or (WGS84 if FORMATS[kind].lonlat else own)


def _accuracy(grid: Grid, target: CRS, points: Path | None) -> list[str]:
    """What to say of outlines carried into `target`, and of points that come as longitude and latitude."""
    others = [target, *([WGS84] if points is not None and points.suffix.lower() in (".json", ".geojson") else [])]
    return [note for note in dict.fromkeys(accuracy_note(grid, other) for other in others) if note]


def _load_own(model: str, weights: Path) -> Predictor:
    own = PREDICTORS.get(base_name(model))
    if own is not None and not own.files:
        raise BadConfig(f"{model} has no weights: leave --weights out, or choose another --model.")
    return load(model, weights=weights)


def _model_hash(model: str, weights: Path | None) -> str:
    """Says which weights answered: the start of a hash over the model's files; "" without any."""
    if base_name(model) in NETWORKS:
        return image_hash(weights)[:16] if weights is not None and weights.is_file() else ""
    return files_hash([(weights or WEIGHTS) / name for name in PREDICTORS[base_name(model)].files])


def parse_stretch(text: str) -> Any:
    """auto, percent and none as they are, MIN,MAX as two numbers."""
    if "," not in text:
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadConfig(f"--stretch {text}: give auto, percent, none or MIN,MAX.") from None
    return low, high


def _counted(count: int, nouns: str) -> str:
    return f"{count} {nouns if count != 1 else nouns[:-1]}"


def picture(
    out: Path,
    image: str,
    found: Sequence[Outline],
    pixels: bool,
    bands: Sequence[int] | None,
    stretch: Any,
    reading: Reading = PLAIN,
) -> None:
    """Write a PNG of the image around the outlines, with the outlines and their clicks drawn on it."""
    info = read_info(resolve_image(image), reading)
    back = _moved_back(info.grid) if pixels else None
    drawings = [(back(o.geometry) if back else o.geometry, o.clicks) for o in found]
    view, grid = read_view(info.path, around(drawings, info.grid), None, bands, stretch, 1600, reading)
    write_png(draw(view.image, grid, drawings, max(1, 900 // max(grid.shape))), out)


def _moved_back(grid: Grid) -> Callable[[Any], Any]:
    return lambda geometry: through(geometry, grid.transform)
