"""The SAM family on the CPU inference engine, from the folder that `terraclick export NAME` wrote: no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig, BadWeights, require_extra
from terraclick.inference.graph import Graph
from terraclick.networks.exported import DESCRIPTION, read_description, side_of
from terraclick.networks.sam.prompted import BEST, PromptedSam, ended

__all__ = ["EXPORT", "ExportedSam"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExportedSamFeatures:
    """What the mask decoder's graphs read of a view, by name."""

    arrays: Mapping[str, NDArray[np.float32]]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True, eq=False)
class ExportedSam(PromptedSam):
    """Answer clicks with exported graphs. Raises BadClick without a positive click or previous answer."""

    encoder: Graph
    """`encode.onnx`."""
    first: Graph
    """`first.onnx`: several masks, no mask prompt."""
    fresh: Graph
    """`fresh.onnx`: one mask, no mask prompt."""
    clicks: Graph
    """`click.onnx`: one mask, with a mask prompt."""
    kept: tuple[str, ...]
    """Names of what the encoder hands to the clicks."""
    square: int
    """Side of the input square in pixels."""
    stretch: bool
    """Whether the view is stretched to the input square (SAM 2) or padded (SAM, SAM-HQ)."""
    level: str = BEST
    """Which of the first answer's masks is taken, see `LEVELS`."""
    boxes: bool = False
    """Whether the graphs take the corners of a box; those of earlier releases do not."""
    marked: bool = False
    """Whether they are given the mark of the clicks' end."""

    @property
    def reads_box(self) -> bool:
        """Whether `Prompt.box` is read."""
        return self.boxes

    @property
    def side(self) -> int:
        """Side of the input square in pixels."""
        return self.square

    def features(self, square: FloatArray) -> ExportedSamFeatures:
        """The image encoder on (1, 3, S, S) in 0…1."""
        return ExportedSamFeatures(dict(zip(self.kept, self.encoder.outputs({"image": square}), strict=True)))

    def masks(
        self,
        kept: ExportedSamFeatures,
        points: FloatArray,
        labels: NDArray[np.int64],
        mask: FloatArray | None,
        several: bool,
    ) -> tuple[FloatArray, FloatArray]:
        """The mask decoder, see `PromptedSam`."""
        if self.marked:
            points, labels = ended(points, labels)
        asked: dict[str, NDArray[Any]] = {"points": points[None, None], "labels": labels[None, None]}
        if mask is not None:
            found = self.clicks.outputs({**kept.arrays, **asked, "mask": mask[None, None]})
        else:
            found = (self.first if several else self.fresh).outputs({**kept.arrays, **asked})
        return found[0], found[1]


class SamGraphs:
    """An image encoder, and the mask decoder three times: several masks, one, one from the previous answer."""

    def export(
        self,
        name: str,
        out: str | Path,
        weights: str | Path | None = None,
        size: tuple[int, int] | None = None,
        random: int | None = None,
        config: Any = None,
    ) -> Path:
        """Write the folder, see `onnx_export.export_sam`. Raises BadConfig for a size, MissingExtra."""
        if size is not None:
            raise BadConfig(f"{name} reads the square it was trained on: leave --size out.")
        with require_extra("sam"):
            from terraclick.networks.sam.network import load_sam
            from terraclick.networks.sam.onnx_export import export_sam
        return export_sam(name, out, load_sam(name, weights=weights, random=random, config=config))

    def read(self, name: str, folder: str | Path, threads: int | None = None) -> ExportedSam:
        """The predictor of an exported folder. Raises BadWeights if it is damaged or of another network."""
        folder = Path(folder)
        described = read_description(name, folder)
        try:
            kept = tuple(described["kept"])
            side, stretch = side_of(described["side"]), bool(described["stretch"])
            boxes, marked = bool(described.get("box", False)), bool(described.get("end", False))
        except (ValueError, KeyError, TypeError):
            raise BadWeights(f"{folder / DESCRIPTION} is damaged: export {name} again.") from None
        files = ("encode.onnx", "first.onnx", "fresh.onnx", "click.onnx")
        encoder, first, fresh, clicks = (Graph(folder / file, threads) for file in files)
        return ExportedSam(encoder, first, fresh, clicks, kept, side, stretch, BEST, boxes, marked)


EXPORT = SamGraphs()
