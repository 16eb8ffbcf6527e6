"""Predictors by name: the shipped model, the methods without weights and the papers' networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from inspect import Signature, signature
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from terraclick import methods
from terraclick.core.predictor import Predictor
from terraclick.errors import UnknownName
from terraclick.networks.families import FAMILIES, part
from terraclick.networks.spec import NetworkSpec
from terraclick.predictors.foreign import FromFolder, opening
from terraclick.predictors.installed import Installed, installed
from terraclick.predictors.spec import PredictorSpec
from terraclick.predictors.variants import base_name, varied
from terraclick.terra.models import TERRA

__all__ = ["NETWORKS", "PREDICTORS", "added_model", "load", "readers_of_references", "spec_of"]


def _methods() -> list[PredictorSpec]:
    """The methods without weights: what every file of `methods` calls its SPEC."""
    names = sorted(found.name for found in iter_modules(methods.__path__))
    return [import_module(f"{methods.__name__}.{name}").SPEC for name in names]


PREDICTORS: dict[str, PredictorSpec] = {spec.name: spec for spec in (*TERRA, *_methods())}
"""What clicks out of the box."""


@dataclass(frozen=True)
class BuiltBy:
    """Builds a network by its family's adapter, which is imported when it is called or its options are asked for."""

    family: str
    network: NetworkSpec

    @property
    def _build(self) -> Callable[..., Predictor]:
        return partial(part(self.family, "adapter").build, self.network.name, **self.network.options)

    @property
    def __signature__(self) -> Signature:
        return signature(self._build)

    def __call__(self, **options: Any) -> Predictor:
        return self._build(**options)


def _networks() -> list[PredictorSpec]:
    """The papers' networks: what every folder of `networks` declares and builds."""
    return [
        PredictorSpec(
            network.name,
            network.summary,
            family.licence,
            BuiltBy(folder, network),
            reads_references=family.reads_references,
            reads_box=family.reads_box,
            shows=family.shows,
            extra=family.extra,
            weights=family.weights,
        )
        for folder, family in FAMILIES.items()
        for network in family.networks
        if network.clicks
    ]


NETWORKS: dict[str, PredictorSpec] = {spec.name: spec for spec in _networks()}
"""The papers' networks: they need torch and a file of weights, or a folder of `terraclick export` alone."""


def added_model(name: str) -> Installed | None:
    """What `terraclick models add` put under a name, settings left aside; None where it added nothing that clicks."""
    known_as = base_name(name)
    found = None if known_as in PREDICTORS else installed(known_as)
    return found if found is not None and found.kind == "clicks" and found.network in NETWORKS else None


def spec_of(name: str) -> PredictorSpec:
    """What is said of a predictor, settings in its name included. Raises UnknownName with the list, BadConfig."""
    known_as, added = base_name(name), added_model(name)
    spec = PREDICTORS.get(known_as) or NETWORKS.get(known_as)
    if spec is None and added is not None:
        spec = replace(NETWORKS[added.network], name=known_as, licence=added.licence)
    if spec is None:
        known = ", ".join((*PREDICTORS, *NETWORKS))
        raise UnknownName(f"no model {known_as!r}. Known: {known} (see: terraclick models).")
    return varied(spec, name)


def readers_of_references() -> list[str]:
    """Names of the predictors whose answers references change."""
    return [name for name, spec in (PREDICTORS | NETWORKS).items() if spec.reads_references]


def load(name: str, **options: Any) -> Predictor:
    """A predictor by name, which may carry settings (`predictors.variants`).

    A paper's network is read from `weights`, or from what `terraclick models add` put under the name.
    Raises UnknownName with the list, BadConfig for a setting and TypeError for an option it does not have.
    """
    spec = spec_of(name)
    if options.get("weights") is None and options.get("random") is None:
        added = added_model(name)
        options = options if added is None else {**options, "weights": added.folder}
    weights = options.get("weights")
    if not isinstance(weights, str | Path) or not Path(weights).is_dir():
        return spec.build(**options)
    with opening(Path(weights)):
        return FromFolder(spec.build(**options), Path(weights))
