"""`terraclick prepare`: a published dataset becomes folders that train, validate and benchmark.

Scenes are independent, so any number of processes writes the same bytes. A finished scene leaves a record in
`.prepare/`; a run that was killed goes on there. `meta.json` is written last: a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from terraclick.data.datasets import NO_TASK, open_dataset
from terraclick.datasets.crops import write_scene
from terraclick.datasets.declaration import Declaration, Scene, Settings
from terraclick.datasets.sources import IGNORE, nothing_found
from terraclick.errors import BadConfig, BadData, BadOutput
from terraclick.files import write_text, writing

__all__ = ["Prepared", "SplitCounts", "prepare"]

FOLDERS = ("images", "masks", "instances")


@dataclass(frozen=True)
class SplitCounts:
    """A finished split: its folder, pictures, objects, and what the paper prints for them."""

    split: str
    folder: Path
    pictures: int
    objects: int
    published: Mapping[str, int]

    def sentence(self) -> str:
        """What was written, and how it compares with the paper."""
        said = f"{self.folder}: {self.pictures} pictures with {self.objects} objects"
        compared = []
        for what, count in self.published.items():
            own = self.pictures if what == "pictures" else self.objects
            compared.append(f"{count} {what}" if own != count else f"the same {count} {what}")
        return said + (f" (the paper counts {' and '.join(compared)})" if compared else "")


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote."""

    dataset: str
    settings: Settings
    splits: tuple[SplitCounts, ...]
    notes: tuple[str, ...] = ()
    """What was found in the source that the user should know."""


def prepare(
    declaration: Declaration,
    source: Path,
    out: Path,
    settings: Settings,
    *,
    protocol: str | None = None,
    splits: Sequence[str] = (),
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Write OUT/SPLIT/NAME in the dataset layout; goes on where an interrupted run with the same settings stopped.

    `progress` is told of finished scenes and their number. Raises BadData for a source that is incomplete or damaged,
    BadConfig for settings that the dataset does not offer, BadOutput where something else lies.
    """
    declaration.check(settings)
    source = Path(source)
    if not source.exists():
        raise nothing_found(source, declaration.layout)
    scan = declaration.scan(source, settings)
    classes = dict(scan.classes or declaration.classes)
    scenes = _chosen(declaration, scan.scenes, splits)
    asked = _asked(declaration, classes, settings)
    name = declaration.name + (f"_{settings.bands.lower()}" if settings.bands else "")
    folders = {split: out / split / name for split in dict.fromkeys(scene.split for scene in scenes)}
    claim = _claim_text(declaration, settings, scenes, classes)
    complete = {split for split, folder in folders.items() if _claim(folder, claim, overwrite)}
    ignore = 255 if max(classes) < 255 else IGNORE
    jobs = [_Job(declaration.name, scene, settings, asked, folders[scene.split], ignore) for scene in scenes]
    left = [job for job in jobs if job.scene.split not in complete and _entries(job.folder, job.scene) is None]
    progress(len(jobs) - len(left), len(jobs))
    for done, _ in enumerate(_run(declaration, left, workers), start=len(jobs) - len(left) + 1):
        progress(done, len(jobs))
    for split, folder in folders.items():
        if split not in complete:
            own = [scene for scene in scenes if scene.split == split]
            entries = [entry for scene in own for entry in _entries(folder, scene) or []]
            _finish(declaration, split, folder, classes, settings, entries, claim)
    counts = []
    for split, folder in folders.items():
        shutil.rmtree(folder / ".prepare", ignore_errors=True)
        counts.append(_counted(declaration, split, folder, protocol))
    return Prepared(name, settings, tuple(counts), scan.notes)


def _chosen(declaration: Declaration, scenes: Sequence[Scene], splits: Sequence[str]) -> list[Scene]:
    known = list(dict.fromkeys(scene.split for scene in scenes))
    for split in splits:
        if split not in known:
            raise BadConfig(f"{declaration.name} has no split {split!r} here: give one of {', '.join(known)}.")
    chosen = [scene for scene in scenes if not splits or scene.split in splits]
    names = [(scene.split, scene.name) for scene in chosen]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadData(f"two pictures of {declaration.name} are called {twice[1]}: give one copy of the dataset.")
    return chosen


def _asked(declaration: Declaration, classes: Mapping[int, str], settings: Settings) -> tuple[int, ...]:
    """Class numbers whose objects are kept. Raises BadConfig for a class that the dataset does not have."""
    unknown = set(settings.classes) - set(classes.values())
    if unknown:
        known = ", ".join(list(classes.values())[:20])
        raise BadConfig(f"{declaration.name} has no class {sorted(unknown)[0]!r}: give some of {known}.")
    wanted = settings.classes or tuple(name for name in classes.values() if name not in NO_TASK)
    return tuple(number for number, name in classes.items() if name in wanted)


# --- records ---------------------------------------------------------------------------------------------------------


def _claim_text(
    declaration: Declaration, settings: Settings, scenes: Sequence[Scene], classes: Mapping[int, str]
) -> str:
    """What must be the same for a run to be gone on with."""
    names = hashlib.sha256(repr([(s.split, s.name, s.note, s.bands) for s in scenes]).encode()).hexdigest()
    told = {"dataset": declaration.name, "settings": asdict(settings), "scenes": names, "classes": len(classes)}
    return json.dumps(told, indent=1) + "\n"


def _claim(folder: Path, claim: str, overwrite: bool) -> bool:
    """Make a folder this run's own; whether it is complete already. Raises BadOutput where it holds something else."""
    begun, meta = folder / ".prepare" / "settings.json", folder / "meta.json"
    if _claimed(begun) == claim and not meta.is_file():
        return False
    if meta.is_file() and not overwrite and _made_by(meta) == _digest(claim):
        return True
    if folder.exists() and any(folder.iterdir()):
        if not (meta.is_file() or begun.is_file()):
            raise BadOutput(f"{folder} holds files that were not prepared here: choose another OUT.")
        if not overwrite:
            what = "a prepared dataset" if meta.is_file() else "an unfinished run with other settings or another source"
            raise BadOutput(f"{folder} holds {what}: choose another OUT, or replace it with --overwrite.")
        meta.unlink(missing_ok=True)
        for part in (*FOLDERS, ".prepare"):
            shutil.rmtree(folder / part, ignore_errors=True)
    with writing(folder):
        for part in (*FOLDERS, ".prepare"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    write_text(begun, claim)
    return False


def _claimed(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _made_by(meta: Path) -> str | None:
    try:
        return str(json.loads(meta.read_text(encoding="utf-8"))["prepared"]["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(claim: str) -> str:
    return hashlib.sha256(claim.encode()).hexdigest()[:16]


def _record(folder: Path, scene: Scene) -> Path:
    return folder / ".prepare" / f"{scene.name}.json"


def _entries(folder: Path, scene: Scene) -> list[dict[str, Any]] | None:
    """The entries of a finished scene, or None where it must be done (again)."""
    path = _record(folder, scene)
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        whole = all((folder / f).stat().st_size == size for entry in entries for f, size in entry["bytes"].items())
    except (OSError, ValueError, KeyError):
        return None
    return entries if whole else None


# --- work ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """One scene to be written: by whose declaration, how, and where."""

    dataset: str
    scene: Scene
    settings: Settings
    asked: tuple[int, ...]
    folder: Path
    ignore: int


def _run(declaration: Declaration, jobs: Sequence[_Job], workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            _work(declaration, job)
            yield
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        waiting = [pool.submit(_work_by_name, job) for job in jobs]
        try:
            for future in as_completed(waiting):
                future.result()
                yield
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _work_by_name(job: _Job) -> None:
    """One scene in a process of its own, where only the dataset's name can be sent."""
    from terraclick.datasets.catalogue import declaration_of

    _work(declaration_of(job.dataset), job)


def _work(declaration: Declaration, job: _Job) -> None:
    """Write the crops of a scene, then its record."""
    labelling = declaration.read(job.scene)
    with writing(job.folder):
        entries = write_scene(job.scene, labelling, job.settings, job.asked, job.folder, job.ignore)
    write_text(_record(job.folder, job.scene), json.dumps(entries))


def _finish(
    declaration: Declaration,
    split: str,
    folder: Path,
    classes: Mapping[int, str],
    settings: Settings,
    entries: list[dict[str, Any]],
    claim: str,
) -> None:
    """Write meta.json, one picture a line. Raises BadData where nothing is to be asked."""
    if not entries:
        raise BadData(f"no object of {declaration.name} was found in split {split}: check --class and --min-area.")
    told = {key: value for key, value in asdict(settings).items() if value not in ("", ())}
    meta = {
        "dataset": folder.name,
        "classes": {str(number): name for number, name in classes.items()},
        "true_instances": declaration.true_instances,
        "source": declaration.source,
        "prepared": {"dataset": declaration.name, "split": split, "run": _digest(claim), **told},
        "images": [],
    }
    images = [{key: value for key, value in entry.items() if key != "bytes"} for entry in entries]
    lines = ",\n".join(json.dumps(image) for image in images)
    text = json.dumps(meta, indent=1, ensure_ascii=False)
    write_text(folder / "meta.json", text.removesuffix("[]\n}") + f"[\n{lines}\n]\n}}\n")


def _counted(declaration: Declaration, split: str, folder: Path, protocol: str | None) -> SplitCounts:
    """Pictures and objects of a finished split, beside what a paper prints for them."""
    table = protocol or next(iter(declaration.protocols))
    published = {
        what.split()[1]: count
        for (name, what), count in declaration.counts.items()
        if name == table and what.split()[0] == split
    }
    dataset = open_dataset(folder)
    objects = sum(len(picture.objects) for picture in dataset.pictures)
    return SplitCounts(split, folder, len(dataset.pictures), objects, published)
