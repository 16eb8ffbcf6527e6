"""The verbs `models add` and `models remove`: published weights, exported once, click from then on under a name."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from terraclick.commands.models import models
from terraclick.commands.output import print_answer, tell, warn
from terraclick.commands.parameters import EXISTING, Numbers
from terraclick.errors import BadConfig, BadOutput, BadWeights, UnknownName, require_extra

__all__ = ["add_model", "remove_model"]


@models.command("add", short_help="Make published weights click under a name, without torch.")
@click.argument("network", metavar="NAME")
@click.argument("file", type=EXISTING)
@click.option("--as", "name", metavar="NAME", help="Another name for it, to keep several files of one network.")
@click.option("--licence", metavar="TEXT", help="Licence of the weights, kept with them (default: what is known).")
@click.option("--size", type=Numbers(2, "rows,cols", int), metavar="ROWS,COLS", help="Pixels it shall read.")
@click.option("--config", "config_file", type=EXISTING, help="Sizes as JSON, for networks of other sizes.")
@click.option("--overwrite", is_flag=True, help="Replace the model that has this name.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")
def add(network: str, file: Path, as_json: bool, **words: Any) -> None:
    """Read the published FILE of the network NAME, check it, export it once, and keep it under its name.

    From then on --model NAME clicks without torch (a map network: terraclick map --model NAME). FILE is read as data,
    nothing in it is run. NAME is one of `terraclick models`.
    """
    from terraclick.predictors.installed import models_folder

    found = add_model(network, file, models_folder(), say=warn, **words)
    lines = [
        f"{found.name}: {found.network}, {found.nbytes / 1e6:.1f} MB in {found.folder}",
        f"licence: {found.licence}",
        f"made of {found.source.name}, sha256 {found.source.sha256}",
    ]
    print_answer({**found.to_json(), "folder": str(found.folder)}, as_json, lines)


@models.command("remove", short_help="Remove a model that was added.")
@click.argument("name", metavar="NAME")
def remove(name: str) -> None:
    """Delete the files of the added model NAME; the file it was made of stays where it is."""
    from terraclick.predictors.installed import models_folder

    tell(f"removed {remove_model(name, models_folder())}")


def add_model(
    network: str,
    file: Path,
    folder: Path,
    name: str | None = None,
    licence: str | None = None,
    size: tuple[int, int] | None = None,
    config_file: Path | None = None,
    config: Any = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Any:
    """Export the weights in `file` into a folder of their own below `folder` → `installed.Installed`.

    config: the network's sizes, where they are not the published ones. The model appears whole or not at all.
    Raises UnknownName, BadConfig, BadWeights for a file that does not fit, BadOutput, MissingExtra.
    """
    from terraclick.catalogue import PREDICTORS
    from terraclick.classmap.model import MAP_MODELS
    from terraclick.networks.families import FAMILIES, family_of, network_of
    from terraclick.predictors.installed import CARD, Installed, InstalledFile, checked_name, hash_of, installed

    family = family_of(network_of(network).name)
    name = checked_name(network if name is None else name)
    taken = name in PREDICTORS or name in MAP_MODELS or (name != network and _is_network(name))
    if taken:
        raise BadConfig(f"{name} is a model already: give another name with --as NAME.")
    place = folder / name
    if place.exists() and not overwrite:
        raise BadOutput(f"{place} holds a model {name}: pass --overwrite, or give another name with --as NAME.")
    licence = licence or FAMILIES[family].weights_licence
    say(f"weights of {network}, {licence}")
    _tell_stubs(file, say)
    with _made(folder) as made:
        with require_extra(FAMILIES[family].extra):
            kind = _export(network, family, file, made, size, _config_of(network, config_file, config))
        names = sorted(path.name for path in made.iterdir())
        files = tuple(InstalledFile(n, (made / n).stat().st_size, hash_of(made / n)) for n in names)
        source = InstalledFile(file.name, _bytes_of(file), hash_of(file) if file.is_file() else "")
        card = Installed(name, network, kind, licence, source, files, place)
        (made / CARD).write_text(json.dumps(card.to_json(), indent=1) + "\n", encoding="utf-8")
        _put(made, place)
    found = installed(name, folder)
    assert found is not None
    return found


def remove_model(name: str, folder: Path) -> Path:
    """Delete an added model → the folder that is gone. Raises UnknownName with the list of those there are."""
    from terraclick.predictors.installed import CARD, checked_name, installed_models

    place = folder / checked_name(name)
    if not (place / CARD).is_file():
        known = ", ".join(installed_models(folder)) or "none so far"
        raise UnknownName(f"no model {name!r} was added. Added: {known} (in {folder}).")
    try:
        (place / CARD).unlink()  # from here on it is no model, whatever comes
        shutil.rmtree(place)
    except OSError as error:
        raise BadOutput(f"{place} cannot be removed: {error.strerror}.") from None
    return place


def _is_network(name: str) -> bool:
    from terraclick.networks.families import declared

    return declared(name)


def _tell_stubs(file: Path, say: Callable[[str], None]) -> None:
    """Tell which objects of a checkpoint are left out, if any."""
    if not file.is_file() or file.suffix == ".safetensors":
        return
    with require_extra("torch"):
        from terraclick.networks.checkpoint import left_out
        from terraclick.networks.plain_pickle import Damaged
        from terraclick.networks.stored import open_stored
    try:
        stubs: Mapping[str, int] = open_stored(file).stubs
    except (Damaged, OSError):
        return  # said when its tensors are read
    if stubs:
        say(f"{file.name} holds more than weights. {left_out(stubs)}")


def _config_of(network: str, config_file: Path | None, config: Any) -> Any:
    if config_file is None:
        return config
    with require_extra("torch"):
        from terraclick.networks.checkpoint import read_config
    return read_config(config_file, network)


def _export(network: str, family: str, file: Path, made: Path, size: Any, config: Any) -> str:
    """The files of a network into an empty folder → whether it clicks or maps."""
    from terraclick.networks.families import has, part

    if not has(family, "onnx"):
        with require_extra("torch"):
            from terraclick.train.export_map import export_published
        if size is not None:
            raise BadConfig(f"{network} reads the tiles it was trained on: leave --size out.")
        export_published(network, file, made)
        return "map"
    if (file / "network.json").is_file():
        raise BadWeights(f"{file} is an exported folder, not published weights: give it as --weights PATH.")
    part(family, "onnx").EXPORT.export(network, made, file, size, config=config)
    return "clicks"


def _bytes_of(file: Path) -> int:
    if file.is_file():
        return file.stat().st_size
    return sum(path.stat().st_size for path in file.rglob("*") if path.is_file())


class _made:
    """A folder to fill beside the models; what is left of it at the end is deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(dir=self.folder, prefix=".adding-"))
        except OSError as error:
            raise BadOutput(
                f"models cannot be kept in {self.folder}: {error.strerror}; name another folder in TERRACLICK_MODELS."
            ) from None
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _put(made: Path, place: Path) -> None:
    """Move a finished folder to its place; an older one there goes."""
    from terraclick.files import sync, writing

    with writing(place):
        for path in sorted(made.iterdir()):
            sync(path)
        os.chmod(made, 0o755)
        if place.exists():
            old = Path(tempfile.mkdtemp(dir=place.parent, prefix=".adding-"))
            os.replace(place, old / "old")
            os.replace(made, place)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(made, place)
        sync(place.parent)
