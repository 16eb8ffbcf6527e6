"""Weights of the paper networks: published `.pth` layouts in, `.safetensors` + config `.json` out, strictly.

A published checkpoint is read as data (`stored.py`): its tensors and plain values are taken, every other object in it
becomes a named stub, and nothing of it runs. Every name must be accounted for: renamed by the family's table, or listed
as published but never used by its network. Nothing is left random in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig, BadWeights, UnknownName
from terraclick.files import replace_whole, writing
from terraclick.networks.families import FAMILIES, able_to, part
from terraclick.networks.plain_pickle import Damaged, Stub
from terraclick.networks.stored import open_stored
from terraclick.networks.stored_values import StoredArray, StoredTensor
from terraclick.networks.weights import PublishedWeights, Renames

__all__ = [
    "as_config",
    "build",
    "config_beside",
    "convert",
    "family_of",
    "fit",
    "left_out",
    "load_network",
    "load_published",
    "preset_of",
    "read_config",
    "read_published",
    "rename",
    "reshaped",
    "save_network",
    "weights_name",
    "weights_of",
]


def weights_of(family: str) -> PublishedWeights:
    """How a family's networks are built and its published weights are named. Raises UnknownName if it has none."""
    if family not in able_to("weights"):
        raise UnknownName(f"no family {family!r} has published weights here. Known: {', '.join(able_to('weights'))}.")
    found: PublishedWeights = part(family, "weights").WEIGHTS
    return found


def family_of(name: str) -> str:
    """The family of a network such as "simpleclick-b", or of its own name. Raises UnknownName with the list."""
    families = able_to("weights")
    if name in families:
        return name
    known = {network.name: family for family in families for network in FAMILIES[family].networks}
    if name not in known:
        raise UnknownName(f"no network {name!r} has published weights here. Known: {', '.join(known)}.")
    return known[name]


def preset_of(name: str) -> Any:
    """The config of a published size. Raises UnknownName."""
    return weights_of(family_of(name)).presets[name]


def build(name: str, config: Any = None) -> tuple[nn.Module, PublishedWeights, Any]:
    """An untrained network of a preset's or family's name → (network, how its weights are named, config used)."""
    published = weights_of(family_of(name))
    if config is None:
        if name not in published.presets:
            raise BadConfig(f"the family {name!r} has several sizes: name one of {', '.join(published.presets)}.")
        config = published.presets[name]
    return published.network(config), published, config


def read_published(path: str | Path, tell: Callable[[Mapping[str, int]], object] | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint, from under `state_dict`, `model` … or its top level; runs no code of the file.

    PyTorch's, Jittor's and Lightning's files are read, pickles of arrays, and `.safetensors`. `tell` hears which
    objects of which name were left out as stubs. Raises BadWeights if the file is missing, damaged, or has no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise BadWeights(f"no weights file at {path}: give the path of a .pth or .safetensors file.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        found = open_stored(path)
        tensors = {name: stored.read() for name, stored in _state_of(found.value).items()}
    except Damaged as error:
        raise BadWeights(f"{path.name} is damaged or no checkpoint: {error}; download it again.") from None
    except (OSError, MemoryError) as error:
        raise BadWeights(f"{path.name} cannot be read: {error or 'not enough memory'}.") from None
    if tell is not None:
        tell(found.stubs)
    if not tensors:
        said = f"{path.name} holds no tensors: give a checkpoint with a state dict. {left_out(found.stubs)}"
        raise BadWeights(said.rstrip())
    for shared in ("module.", "net."):  # of a network in a wrapper: data-parallel, or a training module
        if all(key.startswith(shared) for key in tensors):
            tensors = {key.removeprefix(shared): value for key, value in tensors.items()}
    return tensors


STATES = ("state_dict", "model", "teacher", "net", "model_state_dict", "model_state", "ema_state_dict")
"""Where checkpoints keep their state dict, in the order in which it is looked for."""


def _state_of(content: Any) -> dict[str, StoredTensor | StoredArray]:
    """The tensors of a checkpoint: of a state dict in it, or of its top level."""
    content = _entries(content)
    for key in STATES:
        inner = _entries(content.get(key))
        if any(isinstance(value, StoredTensor | StoredArray) for value in inner.values()):
            content = inner
            break
    return {str(key): value for key, value in content.items() if isinstance(value, StoredTensor | StoredArray)}


def _entries(value: Any) -> Mapping[Any, Any]:
    """A dict's content, or that of an object that is a kind of dict."""
    if isinstance(value, Stub):
        value = value.entries or value.state
    return value if isinstance(value, Mapping) else {}


SHOWN = 12
"""Names of stubs that a sentence lists."""


def left_out(stubs: Mapping[str, int]) -> str:
    """What was left out of a checkpoint, as one sentence; "" for nothing."""
    if not stubs:
        return ""
    shown = [name if count < 2 else f"{name} ({count})" for name, count in sorted(stubs.items())]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"Left out, not imported and not run: {', '.join(shown[:SHOWN])}{more}."


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"{path.name} is damaged or no safetensors file ({error}): write it again.") from None


def rename(state: Mapping[str, Tensor], renames: Renames, unused: tuple[str, ...]) -> dict[str, Tensor]:
    """Published names → ours; names that match no rule stay, names listed as unused go."""
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        if any(re.match(pattern, name) for pattern in unused):
            continue
        for pattern, replacement in renames:
            if re.match(pattern, name):
                name = re.sub(rf"^(?:{pattern})", replacement, name)
                break
        ours[name] = value
    return ours


def fit(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load strictly, or say in one sentence what does not fit."""
    expected = network.state_dict()
    state = reshaped(state, expected)
    counters = {name for name in expected if name.endswith("num_batches_tracked") and name not in state}
    missing = sorted(set(expected) - set(state) - counters)
    extra = sorted(set(state) - set(expected))
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    complaints = [
        f"{len(names)} {kind} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"
        for kind, names in (("missing", missing), ("unknown", extra), ("of another shape", shapes))
        if names
    ]
    if complaints:
        raise BadWeights(
            f"{what} does not fit this network: of {len(expected)} arrays {'; '.join(complaints)}; "
            "name the network it was trained as."
        )
    network.load_state_dict({**{name: expected[name] for name in counters}, **state}, strict=True)


def reshaped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays whose shape differs from the expected one by sides of one alone (a layer scale (C, 1, 1)) get that."""

    def same(one: Tensor, other: Tensor) -> bool:
        return [side for side in one.shape if side > 1] == [side for side in other.shape if side > 1]

    return {
        name: value.reshape(expected[name].shape) if name in expected and same(value, expected[name]) else value
        for name, value in state.items()
    }


def load_published(name: str, state: Mapping[str, Tensor], config: Any = None, what: str = "the checkpoint") -> Any:
    """A network with the weights of a published state dict; strict. Returns it in eval mode."""
    network, published, config = build(name, config)
    renames, unused = published.by_config(config)
    fit(network, rename(state, published.renames + renames, published.unused + unused), what)
    return network.eval()


def save_network(network: nn.Module, family: str, config: Any, path: str | Path) -> Path:
    """Write `path` (.safetensors) and the config beside it (.json); returns the path. Raises BadOutput."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    path = weights_name(Path(path))
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}

    def check(part: Path) -> None:
        with safe_open(part, "pt") as file:
            if set(file.keys()) != set(state):
                raise OSError(None, "arrays are missing in the written file")

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replace_whole(path, errors=(SafetensorError,), check=check) as part:
        save_file(state, part)
        part.with_suffix(".json").write_text(
            json.dumps({"family": family, "config": asdict(config)}, indent=2) + "\n", "utf-8"
        )
    return path


def weights_name(path: Path) -> Path:
    """The path with the ending of converted weights, whatever points its name has."""
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def as_config(kind: type, values: Mapping[str, Any]) -> Any:
    """A config dataclass from what JSON kept of it; lists become tuples, nested objects nested configs.

    Raises BadWeights on names the config does not have or values it refuses.
    """
    known = {field.name for field in fields(kind)}
    if set(values) - known:
        raise BadWeights(f"the config names {sorted(set(values) - known)}, which {kind.__name__} does not have.")
    hints = get_type_hints(kind)
    return kind(**{name: _as_value(hints[name], value) for name, value in values.items()})


def _as_value(hint: Any, value: Any) -> Any:
    options = [hint, *get_args(hint)]
    nested = next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)
    if nested is not None and isinstance(value, Mapping):
        return as_config(nested, value)
    if isinstance(value, list) and any(option is tuple or get_origin(option) is tuple for option in options):
        return tuple(_as_value(Any, item) for item in value)
    if isinstance(value, list):
        return tuple(_as_value(Any, item) for item in value)
    return value


def load_network(name: str, weights: str | Path | None = None, random: int | None = None, config: Any = None) -> Any:
    """A network by preset name with weights from a file (ours or published), or random ones from a seed; eval mode.

    Raises BadWeights without either, or when the file does not fit.
    """
    if weights is None and random is None:
        raise BadWeights(
            f"{name} needs weights, which are not shipped: download the published checkpoint and give its path "
            f"(--weights PATH, or load({name!r}, weights=PATH))."
        )
    if weights is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random or 0))
            return build(name, config)[0].eval()
    path = Path(weights)
    if path.suffix != ".safetensors":
        return load_published(name, read_published(path), config, path.name)
    network, _, _ = build(name, config or config_beside(path, name))
    fit(network, read_published(path), path.name)
    return network.eval()


def config_beside(weights: str | Path | None, name: str) -> Any:
    """The config that `save_network` wrote beside converted weights; None for other files. Raises BadWeights."""
    described = None if weights is None else Path(weights).with_suffix(".json")
    if described is None or Path(str(weights)).suffix != ".safetensors" or not described.is_file():
        return None
    return read_config(described, name)


def read_config(path: Path, name: str) -> Any:
    """The config that `save_network` wrote beside weights; it must describe the network `name`. Raises BadWeights."""
    wanted = family_of(name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        family, values = content["family"], content["config"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadWeights(f"{path.name} does not describe a network: convert the checkpoint again.") from None
    if family != wanted:
        raise BadWeights(f"{path.name} describes a {family} network, not {wanted}: name the network it was trained as.")
    try:
        return as_config(weights_of(family).config, values)
    except TypeError as error:
        raise BadWeights(f"{path.name} holds an incomplete config ({error}): convert the checkpoint again.") from None


def convert(
    source: str | Path,
    destination: str | Path,
    name: str,
    config: Any = None,
    tell: Callable[[Mapping[str, int]], object] | None = None,
) -> Path:
    """A published checkpoint → our `.safetensors` and `.json`; returns the path written.

    `tell` hears what was left out, see `read_published`. Raises BadWeights when the checkpoint holds no weights, is
    damaged, or is of another network.
    """
    path = Path(source)
    network = load_published(name, read_published(path, tell), config, path.name)
    return save_network(network, family_of(name), config or preset_of(name), destination)
