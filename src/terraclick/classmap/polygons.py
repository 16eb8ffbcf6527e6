"""Pieces of a class map as polygons and as seeds of click sequences: maps feed clicks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from terraclick.classmap.model import load_map, map_files
from terraclick.classmap.tiles import MapJob
from terraclick.core.click_sequence import ClickSequence
from terraclick.errors import BadConfig
from terraclick.exchange.export import export
from terraclick.exchange.registry import format_of
from terraclick.geo.classmap import (
    ClassPatch,
    class_patches,
    read_classes,
    read_legend,
)
from terraclick.geo.grid import Grid
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_info, resolve_image
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import files_hash, image_hash, portable_name
from terraclick.store.session_files import replace_session
from terraclick.store.values import MapClass, StoredImage
from terraclick.values import Target

__all__ = ["class_seed", "object_seed", "save_polygons", "seed_objects"]


def seed_objects(patches: Sequence[ClassPatch], legend: dict[int, str], job: MapJob, grid: Grid) -> list[MapObject]:
    """Every piece of a class map as an object to be looked at, least certain first."""
    order = sorted(range(len(patches)), key=lambda i: (patches[i].confidence is not None, patches[i].confidence or 0.0))
    scene = str(resolve_image(job.scene))
    model = Path(job.model).name
    made = files_hash(map_files(job.model)) if map_files(job.model) else ""
    return [
        MapObject(
            image=scene,
            class_name=legend.get(patch.value, str(patch.value)),
            score=patch.confidence,
            geometry=patch.polygon,
            area_m2=area_m2(patch.polygon, grid.crs),
            perimeter_m=perimeter_m(patch.polygon, grid.crs),
            model=model,
            model_hash=made,
            status="proposed",
        )
        for patch in (patches[i] for i in order)
    ]


def save_polygons(
    job: MapJob,
    classes: Path,
    grid: Grid,
    out: Path,
    *,
    confidence: Path | None = None,
    min_area_px: int = 64,
    simplify_m: float = 0.0,
    overwrite: bool = False,
) -> int:
    """The pieces of a class map as polygons with shared borders, in the format of `out`'s ending; returns how many.

    A GeoPackage becomes a session to go on clicking in: its classes carry the map's colours, and every piece is an
    object with status `proposed`, the least certain first. Raises BadOutput and what `export` raises.
    """
    legend = read_legend(classes)
    whole = None if job.gsd is None else read_info(job.scene, job.reading).grid
    patches = class_patches(classes, grid, min_area_px, simplify_m, confidence, whole)
    objects = seed_objects(patches, legend, job, grid)
    scene = resolve_image(job.scene)
    kinds = load_map(job.model, 1).spec.classes
    named = [MapClass(kind.name, kind.colour, kind="coverage", number=kind.id) for kind in kinds]
    objects = [replace(item, image=portable_name(scene, out.parent)) for item in objects]
    if format_of(out.name) != "gpkg":
        export(objects, out, source=grid.crs, grid=grid, overwrite=overwrite, classes=named)
        return len(objects)
    with replace_session(out, overwrite) as part, GeoPackageStore.create(part, grid.crs) as store:
        bounds = None if grid.crs is None else read_info(job.scene, job.reading).grid.bounds
        name = portable_name(scene, out.parent)
        store.add_image(StoredImage(name, image_hash(scene), grid.crs, bounds, job.reading))
        for kind in named:
            store.set_class(kind)
        store.add_many([(item, (), None) for item in objects], grid.crs)
    return len(objects)


def object_seed(geometry: BaseGeometry, grid: Grid, target: Target = Target.OBJECT) -> ClickSequence:
    """A click sequence that starts from an object of a map, in the crs of `grid`, the view's: clicks correct it."""
    return ClickSequence.from_mask(rasterize([geometry], grid), target)


def class_seed(classes: str | os.PathLike[str], name: str, grid: Grid) -> ClickSequence:
    """A click sequence for a class that starts from all pixels the map gives to class `name` in the view of this grid.

    Raises BadConfig for a class the map does not have, BadGrid where the coordinate systems differ.
    """
    values = [value for value, known in read_legend(classes).items() if known == name]
    if not values:
        known = ", ".join(read_legend(classes).values())
        raise BadConfig(f"the map has no class {name!r}: it has {known}.")
    return ClickSequence.from_mask(read_classes(classes, grid) == values[0], Target.CLASS)
