"""Stop 7: each object with its clicks and its view goes into a session as soon as it is answered."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyproj import CRS

from terraclick.api import Outline
from terraclick.geo.box_prompt import corners_of
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.raster import read_info
from terraclick.geo.reading import PLAIN, Reading
from terraclick.segment.points import Request
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store
from terraclick.store.identity import image_hash, session_key
from terraclick.store.session_files import new_session
from terraclick.store.sqlite_file import remove_session
from terraclick.store.values import StoredClick, StoredImage, StoredReference, StoredView
from terraclick.values import Stretch

__all__ = ["save_session", "to_object"]


def to_object(found: Outline, request: Request, image: str, model: str, model_hash: str = "") -> MapObject:
    """An outline as an object of a session or an export, measured on the ground."""
    return MapObject(
        image=image,
        class_name=request.class_name,
        target=found.sequence.target.value,
        score=round(found.score, 4),
        geometry=found.geometry,
        area_m2=area_m2(found.geometry, found.crs),
        perimeter_m=perimeter_m(found.geometry, found.crs),
        n_clicks=len(found.clicks) + (found.sequence.box is not None),
        model=model,
        model_hash=model_hash,
    )


def save_session(
    path: Path,
    image: Path,
    results: Iterable[tuple[MapObject, Outline]],
    crs: CRS | None,
    bands: Sequence[int] | None,
    stretch: Stretch,
    *,
    append: bool = False,
    overwrite: bool = False,
    references: Sequence[StoredReference] = (),
    reading: Reading = PLAIN,
) -> list[MapObject]:
    """Stop 7: keep each object, its clicks and its view in a GeoPackage as soon as it is answered.

    The file comes into being with the first object, so a run that finds none leaves none; whatever stops a longer run,
    the objects answered before it are on disk. An earlier session is replaced when the run is through: until then the
    new one lies beside it as STEM.unfinished.gpkg. `crs` is that of the file (None: pixels). References that the file
    does not hold yet are added. Raises BadOutput.
    """
    results = iter(results)
    first = next(results, None)
    if first is None:
        return []
    with new_session(path, append, overwrite) as place:
        there = place.exists()
        kept: list[MapObject] = []
        try:
            with open_store(place, crs) as store:
                digest = image_hash(image)
                image_crs = first[1].crs  # None when the session keeps pixels
                bounds = None if image_crs is None else read_info(image, reading).grid.bounds
                key = session_key(store.images(), image, digest, bounds, path.parent)
                store.add_image(StoredImage(key, digest, image_crs, bounds, reading))
                known = {_content(held) for held in store.references()}
                for reference in references:
                    if _content(reference) not in known:
                        store.add_reference(reference)
                for item, found in itertools.chain([first], results):
                    view = _stored_view(found, key, bands, stretch)
                    kept.append(store.add(replace(item, image=key, uuid=""), _stored_clicks(found), view))
        finally:
            if not kept and not there:
                remove_session(place)
    return kept


def _content(item: StoredReference) -> tuple[str, bool, bytes, bytes]:
    """What makes two saved references the same one."""
    example = item.reference
    return item.class_name, example.positive, example.image.tobytes(), example.mask.tobytes()


def _stored_clicks(found: Outline) -> list[StoredClick]:
    pairs = zip(found.sequence.clicks, found.clicks, strict=True)
    return [StoredClick(click.row, click.col, x, y, click.positive) for click, (x, y, _) in pairs]


def _stored_view(found: Outline, image: str, bands: Sequence[int] | None, stretch: Any) -> StoredView:
    chosen = None if bands is None else tuple(bands)
    box = None if found.sequence.box is None else corners_of(found.sequence.box, found.grid)
    return StoredView(image, found.bounds, found.gsd, chosen, stretch, (), found.grid.shape, box)
