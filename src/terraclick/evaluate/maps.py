"""How good is a map model? It names every pixel of labelled pictures, and the answers are counted class by class."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapModel, MapSpec, load_map
from terraclick.classmap.picture import name_picture
from terraclick.classmap.scores import Scores, confusion
from terraclick.classmap.turns import turns_of
from terraclick.data.datasets import IGNORE, Dataset, Picture
from terraclick.data.pictures import read_picture
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.sources import IMAGES, files_below
from terraclick.errors import BadConfig, BadData
from terraclick.files import write_bytes

__all__ = ["MapJudgement", "MapProtocol", "MapReport", "answers_of", "check_pairs", "judge_map", "write_masks"]

Numbers = NDArray[np.uint16]


@dataclass(frozen=True)
class MapProtocol:
    """Everything that decides the figures of a class map; printed with them."""

    augmentation: str = "none"
    """Test-time augmentation: none, lr, d4 or scales, see `classmap.turns`."""
    overlap: float = 0.25
    """Share of a tile that its neighbour sees too."""
    limit: int | None = None
    """Pictures drawn per dataset; None for all."""
    seed: int = 0
    """Seed of that draw."""
    uncounted: tuple[str, ...] = ("clutter",)
    """Classes left out of the means."""
    same: tuple[tuple[str, str], ...] = ()
    """(class of the model, class of the dataset) where the names differ."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise BadConfig(f"an overlap of {self.overlap} was given: a share of the tile in 0 … 0.5 was expected.")
        turns_of(self.augmentation, whole_picture=True)

    def lines(self) -> list[str]:
        """The protocol as text, one setting a line."""
        return [f"{name}: {value}" for name, value in asdict(self).items()]


@dataclass(frozen=True, eq=False)
class MapJudgement:
    """One dataset judged: its scores, how many pictures and pixels were named, and in how many seconds."""

    dataset: str
    scores: Scores
    pictures: int
    pixels: int
    seconds: float
    left_out: tuple[str, ...] = ()
    """Classes of the dataset that the model does not know; their pixels count nowhere."""

    def row(self) -> dict[str, Any]:
        """All figures, plain."""
        figures = self.scores.figures()
        return {
            "dataset": self.dataset,
            "pictures": self.pictures,
            **{name: None if math.isnan(value) else value for name, value in figures.items()},
            "fps": self.pictures / self.seconds if self.seconds else None,
            "megapixels_per_second": self.pixels / 1e6 / self.seconds if self.seconds else None,
            "iou": self.scores.by_class(self.scores.iou),
            "f1": self.scores.by_class(self.scores.f1),
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, eq=False)
class MapReport:
    """A map model judged on some datasets."""

    model: str
    protocol: MapProtocol
    judged: tuple[MapJudgement, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Everything a program would want."""
        return {
            "model": self.model,
            "protocol": asdict(self.protocol),
            "rows": [one.row() for one in self.judged],
        }

    def to_markdown(self) -> str:
        """The tables with the protocol beneath them, figures in percent."""
        lines = ["| dataset | pictures | mIoU | mF1 | OA | FPS | MP/s |", "|" + "---|" * 7]
        rows = [one.row() for one in self.judged]
        for row in rows:
            cells = [row["dataset"], str(row["pictures"]), *(_percent(row[key]) for key in ("miou", "mf1", "oa"))]
            cells += [_number(row["fps"]), _number(row["megapixels_per_second"])]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", "| dataset | class | IoU | F1 |", "|" + "---|" * 4]
        for row in rows:
            for name, value in row["iou"].items():
                lines.append(f"| {row['dataset']} | {name} | {_percent(value)} | {_percent(row['f1'][name])} |")
        for row in rows:
            if row["left_out"]:
                said = ", ".join(row["left_out"])
                lines += ["", f"{row['dataset']}: {self.model} has no class {said}; their pixels count nowhere."]
        return "\n".join(
            [*lines, "", f"{self.model}, class maps. Protocol: " + "; ".join(self.protocol.lines()) + ".", ""]
        )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def judge_map(
    name: str,
    datasets: Sequence[Dataset],
    protocol: MapProtocol,
    masks: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> MapReport:
    """Let a map model name the pictures of some datasets; `masks` receives its answers in the datasets' numbers.

    FPS counts the naming alone, not the reading of files. Raises BadData, BadConfig where no class is shared.
    """
    model = load_map(name, None)
    drawn = [(dataset, _drawn(dataset, protocol)) for dataset in datasets]
    total, done, judged = sum(len(pictures) for _, pictures in drawn), 0, []
    for dataset, pictures in drawn:
        numbers = answers_of(model.spec, dataset.classes, protocol.same, dataset.name)
        known = sorted({number for number in numbers if number is not None})
        counts = np.zeros((len(known), len(known) + 1), np.int64)
        pixels, seconds = 0, 0.0
        for picture in pictures:
            view = picture.view()
            if model.spec.bands > 3:
                view = replace(view, image=picture.deep(model.spec.bands))
            begun = clock()
            best = name_picture(model, view, protocol.overlap, protocol.augmentation).argmax(axis=0)
            seconds += clock() - begun
            pixels += best.size
            answer = _in_numbers(best, numbers)
            truth = picture.classes()
            if view.valid is not None:
                truth[~view.valid] = IGNORE
            counts += confusion(_places(answer, known), _places(truth, known), len(known), len(known) + 1)
            if masks is not None:
                _write_mask(masks / dataset.name / f"{picture.id}.png", answer, max(dataset.classes))
            done += 1
            progress(done, total)
        names = tuple(dataset.classes[number] for number in known)
        left_out = tuple(kind for number, kind in dataset.classes.items() if number not in known)
        scores = Scores(counts, names, protocol.uncounted)
        judged.append(MapJudgement(dataset.name, scores, len(pictures), pixels, seconds, left_out))
    return MapReport(name, protocol, tuple(judged))


def _drawn(dataset: Dataset, protocol: MapProtocol) -> list[Picture]:
    pictures = list(dataset.pictures)
    if protocol.limit is None or len(pictures) <= protocol.limit:
        return pictures
    chosen = np.random.default_rng(protocol.seed).choice(len(pictures), protocol.limit, replace=False)
    return [pictures[index] for index in sorted(chosen)]


def answers_of(
    spec: MapSpec, classes: Mapping[int, str], same: Sequence[tuple[str, str]], where: str
) -> list[int | None]:
    """The dataset's number of each class of a model, in the order of its logits; None where it has no such class.

    Names are the same but for case, spaces and underscores; `same` holds pairs that differ otherwise, of which those
    that the dataset lacks are passed over. Raises BadConfig where no class is shared.
    """
    by_name = {_plain(kind): number for number, kind in classes.items()}
    renamed = {_plain(ours): _plain(theirs) for ours, theirs in same if _plain(theirs) in by_name}
    found = [by_name.get(renamed.get(_plain(kind.name), _plain(kind.name))) for kind in spec.classes]
    if all(number is None for number in found):
        known = ", ".join(kind.name for kind in spec.classes)
        raise BadConfig(
            f"{where} has none of the model's classes ({known}): name pairs with --same-class MODEL=DATASET."
        )
    return found


def check_pairs(same: Sequence[tuple[str, str]], specs: Sequence[MapSpec], tables: Sequence[Mapping[int, str]]) -> None:
    """Raise BadConfig where a pair names a class that none of some models, or none of some datasets, has."""
    models = list(dict.fromkeys(kind.name for spec in specs for kind in spec.classes))
    datasets = list(dict.fromkeys(name for table in tables for name in table.values()))
    for pair in same:
        for name, known, whose in zip(pair, (models, datasets), ("model", "dataset"), strict=True):
            if _plain(name) not in map(_plain, known):
                raise BadConfig(f"no {whose} has a class {name!r}: give one of {', '.join(known)}.")


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _in_numbers(best: NDArray[Any], numbers: Sequence[int | None]) -> Numbers:
    """Places of the logits (H, W) → the dataset's class numbers; `IGNORE` for a class that it does not have."""
    table = np.array([IGNORE if number is None else number for number in numbers], np.uint16)
    return np.asarray(table[best])


def _places(numbers: Numbers, known: Sequence[int]) -> NDArray[np.int64]:
    """Class numbers (H, W) → their places among the known ones; their count for all others."""
    table = np.full(IGNORE + 1, len(known), np.int64)
    table[list(known)] = np.arange(len(known))
    return np.asarray(table[numbers])


def _write_mask(path: Path, numbers: Numbers, largest: int) -> None:
    kept = numbers if largest >= 255 else np.where(numbers == IGNORE, 255, numbers).astype(np.uint8)
    done, coded = cv2.imencode(".png", kept)
    assert done
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, coded.tobytes())


# --- pictures without labels -----------------------------------------------------------------------------------------


def write_masks(
    name: str,
    source: Path,
    masks: Path,
    numbering: str | None,
    protocol: MapProtocol,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Name every picture below a folder; a PNG of class numbers each, under the picture's name. Returns the files.

    numbering: the dataset whose class numbers are written, such as loveda, whose test server takes these files; None
    for the model's own. Raises BadData where there is no picture, or two bear one name; BadConfig for a class that
    the dataset lacks.
    """
    pictures = files_below(source, IMAGES)
    if not pictures:
        raise BadData(f"{source} holds no pictures: give the folder of the pictures to be named.")
    twice = [path for stem, path in _pairs_of_stems(pictures) if stem]
    if twice:
        raise BadData(f"two pictures below {source} are called {twice[0].stem}: give one of their folders at a time.")
    model = load_map(name, None)
    numbers: list[int | None] = [kind.id for kind in model.spec.classes]
    if numbering is not None:
        classes = declaration_of(numbering).classes
        numbers = answers_of(model.spec, classes, protocol.same, numbering)
        if None in numbers:
            lost = model.spec.classes[numbers.index(None)].name
            raise BadConfig(f"{numbering} has no class {lost!r}: name one with --same-class {lost}=CLASS.")
    return list(_named(model, pictures, masks, numbers, protocol, progress))


def _pairs_of_stems(paths: Sequence[Path]) -> Iterator[tuple[bool, Path]]:
    """(whether an earlier file has the same stem, file)."""
    seen = set()
    for path in paths:
        yield path.stem in seen, path
        seen.add(path.stem)


def _named(
    model: MapModel,
    pictures: Sequence[Path],
    masks: Path,
    numbers: Sequence[int | None],
    protocol: MapProtocol,
    progress: Callable[[int, int], None],
) -> Iterator[Path]:
    for done, path in enumerate(pictures, start=1):
        logits = name_picture(model, read_picture(path), protocol.overlap, protocol.augmentation)
        out = masks / f"{path.stem}.png"
        _write_mask(out, _in_numbers(logits.argmax(axis=0), numbers), max(number or 0 for number in numbers))
        yield out
        progress(done, len(pictures))
