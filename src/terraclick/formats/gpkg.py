"""GeoPackage: a session like the one the objects come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from terraclick.formats.common.collection import UNNAMED, Collection, own_columns
from terraclick.formats.common.declaration import Format, expect
from terraclick.formats.common.ogr import read_with_ogr
from terraclick.geo.kinds import KINDS
from terraclick.store.values import StoredImage

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """A session like the one the objects come from: classes with numbers and colours, clicks, views, examples."""
    from terraclick.store.geopackage import GeoPackageStore

    named = {item.class_name for item in job.items}
    with GeoPackageStore.create(path, job.crs) as store, store.transaction():
        for image in job.images:
            store.add_image(image if (image.crs is None) == (job.crs is None) else replace(image, crs=job.crs))
        for name in sorted(job.image_keys - {image.path for image in job.images} - {""}):
            store.add_image(StoredImage(name, "", job.crs))
        for kind in job.classes:
            if kind.name != UNNAMED or UNNAMED in named or "" not in named:
                store.set_class(kind)
        if job.unnamed:
            store.keep_unnamed_number(job.unnamed)
        rows = [(replace(item, rev=max(item.rev - 1, 0)), *job.kept.get(item.uuid, ((), None))) for item in job.items]
        store.add_many(rows, job.crs)
        for reference in job.references:
            store.add_reference(reference)
        store.add_columns({item.uuid: item for item in job.items}, own_columns(job.items))
    with GeoPackageStore.open(path) as store:
        expect(len(store.objects()), job)


FORMAT = Format(
    name="gpkg",
    label="GeoPackage",
    note="for QGIS and any GIS",
    endings=(".gpkg",),
    carries=KINDS,
    write=_write,
    read=read_with_ogr,
)
