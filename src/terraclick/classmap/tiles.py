"""The lattice of tiles over a scene, and what the model says of one tile.

The lattice starts at the image's first corner, so a part of the scene gets the classes that the whole would give it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapModel, MapSpec, load_map
from terraclick.classmap.turns import Turned, turns_of
from terraclick.errors import BadConfig
from terraclick.geo.grid import Grid
from terraclick.geo.lattice import factor_of, lattice_shape, window_of
from terraclick.geo.raster import FurtherBand, read_info, read_tile
from terraclick.geo.reading import PLAIN, Reading
from terraclick.values import Bounds, Stretch, Window

__all__ = ["GREY", "MapJob", "TileMapper", "TilePlan", "layout", "mirrored", "plan_tiles"]

GREY = 127
"""What the model sees where there is no data."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class MapJob:
    """What is mapped and how; together with the files behind it this decides every byte of the result."""

    scene: str
    """Path of an image, or `sample`."""
    model: str
    """A map model's name, or the folder of an exported one."""
    bounds: Bounds | None = None
    """Part of the scene, in its own coordinates; None = all of it."""
    gsd: float | None = None
    """Metres per pixel to map at; None = the scene's own."""
    bands: tuple[int, ...] | None = None
    """Bands seen as red, green, blue."""
    stretch: Stretch = "auto"
    """How values become 0–255, see `read_view`."""
    reading: Reading = PLAIN
    """What the user says of the file: nodata, page, alpha, coordinate system."""
    overlap: float = 0.25
    """Share of a tile's side that it has in common with its neighbour, 0 … 0.5."""
    heat: bool = False
    """Whether heatmaps are kept."""
    every_layer: bool = False
    """Whether heatmaps are those of all layers instead of the last."""
    augmentation: str = "none"
    """How often each tile is looked at: none, lr or d4, see `classmap.turns`."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise BadConfig(f"an overlap of {self.overlap} was given: a share of the tile in 0 … 0.5 was expected.")
        turns_of(self.augmentation, whole_picture=False)

    def model_at_work(self) -> MapModel:
        """The model as it looks at a tile."""
        model = load_map(self.model, 1, self.heat, self.every_layer)
        turns = turns_of(self.augmentation, whole_picture=False)
        return model if len(turns) == 1 else Turned(model, turns)


@dataclass(frozen=True)
class TileMapper:
    """Window → what the model says of it; small and picklable, the model is loaded where it runs."""

    job: MapJob
    factor: float
    bands: tuple[int, ...]
    limits: tuple[tuple[float, float], ...]
    further: tuple[FurtherBand, ...] = ()
    """Bands after red, green and blue, for models that read more."""

    def __call__(self, window: Window) -> tuple[FloatArray, FloatArray | None, NDArray[np.bool_]] | None:
        """Logits (N, rows, cols), heat or None, and where there is data, of the part inside; None without any data."""
        view = read_tile(self.job.scene, window, self.factor, self.bands, self.limits, self.job.reading, self.further)
        valid = np.ones(view.shape, np.bool_) if view.valid is None else view.valid
        if not valid.any():
            return None
        model = self.job.model_at_work()
        top, left = max(-window.row, 0), max(-window.col, 0)
        rows, cols = view.shape
        image = np.full((window.rows, window.cols, view.image.shape[2]), GREY, np.uint8)
        image[top : top + rows, left : left + cols] = np.where(valid[..., None], view.image, np.uint8(GREY))
        if (rows, cols) != (window.rows, window.cols):
            image = mirrored(image, (top, left, rows, cols))
        logits, heat = model(image)
        inner = (slice(None), slice(top, top + rows), slice(left, left + cols))
        if heat is None or not self.job.heat:
            return logits[inner], None, valid
        size = (window.cols, window.rows)
        grown = np.stack([cv2.resize(h, size, interpolation=cv2.INTER_LINEAR) for h in heat])
        return logits[inner], grown[inner], valid


def mirrored(image: NDArray[np.uint8], place: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A tile that hangs over the scene's edge: the picture mirrored outwards, as far as it reaches."""
    top, left, rows, cols = place
    below, right = image.shape[0] - top - rows, image.shape[1] - left - cols
    inner = image[top : top + rows, left : left + cols]
    kind = cv2.BORDER_REFLECT_101 if min(rows, cols) > 1 else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(inner, top, below, left, right, kind), np.uint8)


@dataclass(frozen=True)
class TilePlan:
    """The lattice over a scene of `shape` (rows, cols) output pixels, and the part of it that is wanted."""

    shape: tuple[int, int]
    part: Window
    side: int
    overlap: int

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side - self.overlap

    def starts(self, axis: int) -> list[int]:
        """First pixel of every tile along an axis of the whole scene (0 = rows)."""
        length = self.shape[axis]
        count = max(1, -(-(length - self.overlap) // self.step))
        return [index * self.step for index in range(count)]

    def needed(self, axis: int) -> list[int]:
        """Those that reach into the wanted part."""
        first, length = (self.part.row, self.part.rows) if axis == 0 else (self.part.col, self.part.cols)
        return [start for start in self.starts(axis) if start < first + length and start + self.side > first]

    def ramp(self) -> FloatArray:
        """Weight along a tile's side: raised cosine over the overlap at both ends, never zero."""
        ramp = np.ones(self.side, np.float32)
        if self.overlap:
            rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self.overlap) + 0.5) / self.overlap)
            ramp[: self.overlap] *= rise.astype(np.float32)
            ramp[-self.overlap :] *= rise[::-1].astype(np.float32)
        return ramp

    def weight(self, axis: int) -> FloatArray:
        """Sum of the weights of all tiles of the scene at each wanted row (axis 0) or column (axis 1)."""
        total = np.zeros(self.shape[axis] + self.side, np.float32)
        for start in self.starts(axis):
            total[start : start + self.side] += self.ramp()
        first, length = (self.part.row, self.part.rows) if axis == 0 else (self.part.col, self.part.cols)
        return total[first : first + length]


def plan_tiles(shape: tuple[int, int], part: Window, side: int, overlap: float) -> TilePlan:
    """The plan of a scene of `shape` for a model of this side."""
    return TilePlan(shape, part, side, round(side * overlap))


def layout(job: MapJob, spec: MapSpec) -> tuple[TilePlan, float, Grid]:
    """The tiles, image pixels per output pixel, and the grid of the output."""
    info = read_info(job.scene, job.reading)
    factor = 1.0 if job.gsd is None else factor_of(job.gsd, info.grid.metres_per_pixel)
    shape = lattice_shape(info.grid.shape, factor)
    part = Window(0, 0, *shape)
    if job.bounds is not None:
        part = window_of(info.grid, job.bounds, factor, "the scene")
    plan = plan_tiles(shape, part, spec.side, job.overlap)
    return plan, factor, info.grid.coarsened(factor, part)
