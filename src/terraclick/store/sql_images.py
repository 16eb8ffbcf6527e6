"""Images of a session in a database, and what people say of them."""

from __future__ import annotations

from typing import Any

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData, NotGeoreferenced, UnknownName
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.reproject import reproject
from terraclick.store.outside import image_at
from terraclick.store.rows import (
    BadRow,
    json_object,
)
from terraclick.store.sql_base import SqlBase, shown
from terraclick.store.values import (
    StoredImage,
)

__all__ = ["SqlImages"]

_MARK = "image_state "
"""Begins the key of what a person said of an image; its path follows."""


class SqlImages(SqlBase):
    """The images of a session, where they lie, and what people say of them."""

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path.

        Raises NotGeoreferenced if the image has a CRS and the session keeps pixels, or the other way round.
        """
        if (item.crs is None) != (self._crs is None):
            if item.crs is None:
                way = f"has no coordinate system but {self._place} keeps {self._crs.name if self._crs else ''}"
            else:
                way = f"has a coordinate system but {self._place} keeps plain pixel coordinates"
            raise NotGeoreferenced(f"{item.path} {way}: georeference the image, or {self._elsewhere} for it.")
        with self._transaction() as db:
            self._put_image(db, item)
        with self._lock:
            self._image_crs.pop(item.path, None)
            self._present.append(item.path)
            self._outside.again = True  # rows without an image may lie on it

    def mark_image(self, path: str, state: str) -> None:
        """Keep what a person says of an image (a state such as `done`); "" forgets it."""
        with self._transaction() as db:
            self._run(db, 'DELETE FROM meta WHERE "key" = ?', (_MARK + path,))
            if state:
                self._run(db, 'INSERT INTO meta ("key", value) VALUES (?, ?)', (_MARK + path, state))

    def image_marks(self) -> dict[str, str]:
        """What people said of images, by path."""
        with self._reading() as db:
            rows = self._run(db, 'SELECT "key", value FROM meta').fetchall()
        return {str(key)[len(_MARK) :]: str(value) for key, value in rows if str(key).startswith(_MARK) and value}

    def image_of(self, geometry: BaseGeometry) -> str:
        """The image (by its path) that holds most of a geometry in the store's CRS; "" if none does."""
        with self._reading():
            return image_at(geometry, self.footprints(), self._present) or ""

    def footprints(self) -> dict[str, BaseGeometry]:
        """Where each image lies in the store's CRS; in pixels, where it is the only one, everywhere."""
        images = self.images()
        if self._crs is None:
            keys = self._present or [item.path for item in images]
            return {keys[0]: shapely.box(-1e9, -1e9, 1e9, 1e9)} if len(set(keys)) == 1 else {}
        found: dict[str, BaseGeometry] = {}
        for item in images:
            if item.bounds is None or item.crs is None:
                continue
            box = shapely.box(*item.bounds)
            side = max(item.bounds[2] - item.bounds[0], item.bounds[3] - item.bounds[1])
            try:
                found[item.path] = shapely.make_valid(
                    reproject(shapely.segmentize(box, side / 16), item.crs, self._crs)
                )
            except (BadData, NotGeoreferenced, shapely.errors.GEOSException):
                continue
        return found

    def _reading_of(self, path: Any, text: Any) -> Reading:
        """How an image is read, from its column; plainly where another program left something in it."""
        try:
            return Reading.of_stored(json_object(text, "reading"))
        except (BadRow, BadConfig) as error:
            self._outside.note("images", shown(path), f"{str(error).rstrip('.')}: the image is read as its file says")
            return PLAIN

    def _crs_of_image(self, db: Any, image: str) -> CRS | None:
        if image not in self._image_crs:
            row = self._run(db, "SELECT crs FROM images WHERE path = ?", (image,)).fetchone()
            if row is None:
                raise UnknownName(f"no image {image!r} in {self._place}: add the image before its objects.")
            self._image_crs[image] = None if row[0] is None else crs_of_wkt(row[0])
        return self._image_crs[image]

    def _crs_of_clicks(self, db: Any, image: str) -> CRS | None:
        try:
            return self._crs_of_image(db, image) if image else self._crs
        except UnknownName:
            return self._crs
