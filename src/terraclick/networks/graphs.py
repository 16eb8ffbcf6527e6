"""How a family's networks become graphs: `encode.onnx` before the clicks, `click.onnx` for each click, perhaps more.

`ClickGraphs` fits every network with `encode` and `answer` whose encoding is a dataclass of tensors. A family's
`onnx.py` declares EXPORT: one of these, or a class of its own that overrides what differs. No torch is imported here
before something is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terraclick.networks.exported import ExportedNetwork, read_exported

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ClickGraphs", "FurtherGraph", "ModulatedGraphs", "network_bands"]


def network_bands(network: Any) -> int:
    """How many bands of a picture a torch network reads: those of its patches' embedding, else three."""
    named = network.named_parameters()
    return next((int(weight.shape[1]) for name, weight in named if name.endswith("patch_embed.proj.weight")), 3)


@dataclass(frozen=True, eq=False)
class FurtherGraph:
    """A graph beside the two that every folder has."""

    file: str
    """Its file."""
    run: Callable[..., Tensor]
    """What is traced: tensors in the order of `inputs` → one tensor."""
    inputs: Mapping[str, Tensor]
    """An example of what it reads, by name."""
    output: str
    """Name of what it gives."""
    free: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """Axes whose length stays open."""


class ClickGraphs:
    """Networks that answer with `answer(encoded, previous, points)`."""

    asked: Sequence[str] = ("previous", "points")
    """What a click's graph reads beside what was kept: names of `inputs`."""
    answered: Sequence[str] = ("logits",)
    """Names of what it gives."""

    def check(self, size: tuple[int, int]) -> None:
        """Raises BadConfig for a size in pixels that the networks cannot read."""

    def prepared(self, network: Any) -> Any:
        """The network as it is exported."""
        return network

    def inputs(self, network: Any, size: tuple[int, int], slots: int, seed: int) -> dict[str, Tensor]:
        """Examples: image (1, bands, H, W), previous and modulated (1, 1, H, W), points (1, 2 · slots, 3)."""
        import torch

        rng = torch.Generator().manual_seed(seed)
        points = torch.full((1, 2 * slots, 3), -1.0)
        for order, slot in enumerate((0, slots)):
            points[0, slot, :2] = torch.rand(2, generator=rng) * torch.tensor([size[0] - 1.0, size[1] - 1.0])
            points[0, slot, 2] = order
        maps = {name: torch.rand(1, 1, *size, generator=rng) for name in ("previous", "modulated")}
        return {"image": torch.rand(1, network_bands(network), *size, generator=rng), **maps, "points": points}

    def kept(self, encoded: Any) -> dict[str, Tensor]:
        """The tensors that a network keeps of a picture, by name."""
        from torch import Tensor

        found = {part.name: getattr(encoded, part.name) for part in fields(encoded)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def filled(self, encoded: Any, kept: Mapping[str, Tensor]) -> Any:
        """The same encoding with other tensors."""
        return replace(encoded, **kept)

    def click(self, network: Any, encoded: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What a click's graph computes: the tensors that `answered` names, from those that `asked` names."""
        return (network.answer(encoded, given["previous"], given["points"]),)

    def further(self, network: Any, given: Mapping[str, Tensor], answers: Sequence[Tensor]) -> Sequence[FurtherGraph]:
        """More graphs, with examples made of a click's inputs and answers."""
        return ()

    def described(self, network: Any) -> dict[str, Any]:
        """What `network.json` says besides name, size and kept tensors; plain values."""
        return {}

    def export(
        self,
        name: str,
        out: str | Path,
        weights: str | Path | None = None,
        size: tuple[int, int] | None = None,
        random: int | None = None,
        config: Any = None,
    ) -> Path:
        """Write the folder, see `onnx_export.export_network`. Raises MissingExtra without torch."""
        from terraclick.networks.onnx_export import export_network

        return export_network(self, name, out, weights, size, random, config)

    def read(self, name: str, folder: str | Path, threads: int | None = None) -> ExportedNetwork:
        """The predictor of an exported folder. Raises BadWeights if it is damaged or of another network."""
        return read_exported(name, folder, threads)


class ModulatedGraphs(ClickGraphs):
    """Networks that look twice with `look(encoded, previous, modulated, points)`; numpy modulates between the looks."""

    asked: Sequence[str] = ("previous", "modulated", "points")

    def rule(self, network: Any) -> dict[str, Any]:
        """The rule of `core.modulation.MODULATIONS` as `rule`, and its settings."""
        raise NotImplementedError

    def click(self, network: Any, encoded: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """One look."""
        return (network.look(encoded, given["previous"], given["modulated"], given["points"]),)

    def described(self, network: Any) -> dict[str, Any]:
        """The modulation."""
        return {"modulation": self.rule(network)}
