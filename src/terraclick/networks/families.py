"""The papers' networks that there are: every folder beside this file that declares itself in `spec.py`.

A folder's files are its abilities: `adapter.py` answers clicks, `weights.py` reads published checkpoints, `onnx.py`
exports, `recipe.py` trains. They are imported when asked for; nothing here imports torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from terraclick.errors import UnknownName
from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["FAMILIES", "able_to", "declared", "family_of", "has", "network_of", "part"]


def part(family: str, file: str) -> Any:
    """A file of a family, imported, such as part("ritm", "weights"). Raises ModuleNotFoundError if there is none."""
    return import_module(f"terraclick.networks.{family}.{file}")


def _found() -> dict[str, FamilySpec]:
    folders = sorted(entry.name for entry in iter_modules([str(Path(__file__).parent)]) if entry.ispkg)
    return {name: part(name, "spec").SPEC for name in folders}


FAMILIES: dict[str, FamilySpec] = _found()
"""Every family by the name of its folder."""


def has(family: str, file: str) -> bool:
    """Whether a family's folder has a file, such as has("ritm", "recipe")."""
    return find_spec(f"terraclick.networks.{family}.{file}") is not None


def able_to(file: str) -> list[str]:
    """The families whose folder has a file."""
    return [family for family in FAMILIES if has(family, file)]


def declared(name: str) -> bool:
    """Whether a folder declares a network of this name."""
    return any(network.name == name for spec in FAMILIES.values() for network in spec.networks)


def network_of(name: str) -> NetworkSpec:
    """What is declared of a network. Raises UnknownName with the list."""
    known = [network for spec in FAMILIES.values() for network in spec.networks]
    for network in known:
        if network.name == name:
            return network
    raise UnknownName(f"no network {name!r}. Known: {', '.join(n.name for n in known)} (see: terraclick models).")


def family_of(name: str) -> str:
    """The family of a network such as "simpleclick-b". Raises UnknownName with the list."""
    network = network_of(name)
    return next(family for family, spec in FAMILIES.items() if network in spec.networks)
