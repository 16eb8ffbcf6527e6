"""The session in a PostGIS database, for teams: the same `Store` as the GeoPackage, several servers at once.

Tables live in one schema (`terraclick`, or the name after # in the address). Every change is committed
(synchronous_commit on) before the call returns. Geometry is kept in the CRS chosen when the schema was made. As in the
GeoPackage, rows that QGIS added or changed are adopted: a trigger raises `rev` on every change from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData, BadOutput, UnknownName, require_extra
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.store.geopackage_tables import VERSION
from terraclick.store.migrations import migrate_postgis
from terraclick.store.postgis_tables import tables
from terraclick.store.rows import box_of
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage, StoredView, new_uuid, utc_now
from terraclick.values import Bounds

__all__ = ["PostgisStore", "open_postgis"]

_FIRST_CUSTOM = 910000


class PostgisStore(Store):
    """A session in a PostGIS schema; see `Store`. Safe to share between threads and between servers."""

    _mark = "%s"
    _geometry_out = "ST_AsBinary(geom)"
    _row_lock = " FOR UPDATE"
    _elsewhere = "use another schema"

    def __init__(
        self,
        address: str,
        schema: str,
        crs: CRS | None,
        clock: Callable[[], datetime] = utc_now,
        make_uuid: Callable[[], str] = new_uuid,
        make: bool = True,
    ) -> None:
        super().__init__(None, clock, make_uuid)
        self._address, self._schema = address, schema
        self._depth = 0
        self._closed = False
        self._db: Any = None
        try:
            with self._transaction() as db:
                self._prepare(db, crs, make)
            self._looking = False
            self.look()
        except BaseException:
            self.close()
            raise

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""
        with self._reading() as db:
            row = db.execute("SELECT content FROM views WHERE object = %s", (uuid,)).fetchone()
        if row is None:
            return None
        try:
            image, bounds, gsd, bands, stretch, divisions, shape, *box = json.loads(row[0])
            return StoredView(
                str(image),
                None if bounds is None else tuple(bounds),
                gsd,
                None if bands is None else tuple(bands),
                stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
                tuple(divisions),
                tuple(shape),
                box_of(box[0]) if box and box[0] is not None else None,
            )
        except (ValueError, TypeError, RecursionError):
            self._outside.note("views", uuid, "a value in it cannot be used: the view is left out")
            return None

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        with self._reading() as db:
            rows = db.execute("SELECT path, hash, crs, bounds, reading FROM images ORDER BY id").fetchall()
        found = []
        self._outside.forget("images")
        for path, digest, wkt, text, reading in rows:
            try:
                bounds = json.loads(text or "null")
                crs = None if wkt is None else crs_of_wkt(wkt)
                box = None if bounds is None else tuple(bounds)
                found.append(StoredImage(path, digest or "", crs, box, self._reading_of(path, reading)))
            except (ValueError, TypeError, RecursionError, BadData) as error:
                self._outside.note("images", path, f"{str(error).rstrip('.')}: the image is left out")
        return tuple(found)

    # -- the connection

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    # -- within

    @property
    def _place(self) -> str:
        return "the database"

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        psycopg = _psycopg()
        with self._lock:
            if self._closed:
                raise BadConfig("the database session was closed: open it again.")
            try:
                if self._db is None or self._db.closed:
                    self._db = psycopg.connect(self._address, autocommit=True, connect_timeout=10)
                    self._db.execute("SET synchronous_commit = on")
                    self._db.execute(f'SET search_path = "{self._schema}", public')
                    self._db.execute("SET terraclick.session = 'own'")
                yield self._db
            except psycopg.Error as error:
                if self._depth == 0 and self._db is not None and self._db.broken:
                    self._db.close()
                reason = " ".join(str(error).split())[:300]
                raise BadOutput(f"the database cannot be used ({reason}): check its address and your rights.") from None

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._reading() as db:
            if self._depth:
                yield db
                return
            self._depth += 1
            try:
                with db.transaction():
                    yield db
            finally:
                self._depth -= 1

    def _prepare(self, db: Any, crs: CRS | None, make: bool) -> None:
        """Make the schema where it is not there and `make` allows it, then read what it is."""
        db.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"terraclick {self._schema}",))
        there = db.execute("SELECT to_regclass(%s)", (f'"{self._schema}".meta',)).fetchone()[0]
        if there is None and not make:
            raise UnknownName(f"the database holds no session in the schema {self._schema}: check the name after #.")
        if there is None:
            if db.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
                db.execute("CREATE EXTENSION postgis")
            db.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            srid = _srid_of(db, crs)
            db.execute(tables(srid))
            rows = [("terraclick_session", str(VERSION)), ("srid", str(srid))]
            rows.append(("crs", "" if crs is None else crs.to_wkt()))
            for row in rows:
                db.execute('INSERT INTO meta ("key", value) VALUES (%s, %s)', row)
        meta = dict(db.execute('SELECT "key", value FROM meta').fetchall())
        version = str(meta.get("terraclick_session", ""))
        if not version.isdigit() or int(version) > VERSION:
            raise BadData(f"the schema {self._schema} was made by a newer TerraClick: upgrade to open it.")
        migrate_postgis(db, self._schema)
        self._srid = int(meta["srid"])
        self._geometry_in = f"ST_GeomFromWKB(?, {self._srid})"
        self._crs = crs_of_wkt(meta["crs"]) if meta["crs"] else None

    def _stamp(self, db: Any) -> Any:
        return tuple(
            db.execute("SELECT count(*), coalesce(sum(rev), 0), coalesce(max(fid), 0) FROM objects").fetchone()
        )

    def _insert_view(self, db: Any, uuid: str, view: StoredView) -> None:
        parts = (view.image, view.bounds, view.gsd, view.bands, view.stretch, view.divisions, view.shape, view.box)
        db.execute(
            "INSERT INTO views (object, content) VALUES (%s, %s) ON CONFLICT (object) "
            "DO UPDATE SET content = excluded.content",
            (uuid, json.dumps(parts)),
        )

    def _put_image(self, db: Any, item: StoredImage) -> None:
        wkt = None if item.crs is None else item.crs.to_wkt()
        db.execute(
            "INSERT INTO images (path, hash, crs, bounds, reading) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (path) "
            "DO UPDATE SET hash = excluded.hash, crs = excluded.crs, bounds = excluded.bounds, "
            "reading = excluded.reading",
            (item.path, item.hash, wkt, json.dumps(item.bounds), item.reading.to_text() or None),
        )

    def _pack(self, geometry: BaseGeometry) -> bytes:
        return bytes(shapely.to_wkb(geometry))

    def _any_kind(self, db: Any) -> bool:
        query = (
            "SELECT type FROM geometry_columns "
            "WHERE f_table_schema = %s AND f_table_name = 'objects' AND f_geometry_column = 'geom'"
        )
        return str(db.execute(query, (self._schema,)).fetchone()[0]).upper() == "GEOMETRY"

    def _take_any_kind(self, db: Any) -> None:
        db.execute(f"ALTER TABLE objects ALTER COLUMN geom TYPE geometry(Geometry, {self._srid})")

    def _unpack(self, value: bytes) -> BaseGeometry:
        return shapely.from_wkb(bytes(value))

    def _meets(self, bbox: Bounds) -> tuple[str, tuple[float, ...]]:
        left, bottom, right, top = bbox
        box = (left, min(bottom, top), right, max(bottom, top))
        return f"geom && ST_MakeEnvelope(?, ?, ?, ?, {self._srid})", box


def open_postgis(
    address: str,
    crs: CRS | None = None,
    clock: Callable[[], datetime] = utc_now,
    make_uuid: Callable[[], str] = new_uuid,
    make: bool = True,
) -> PostgisStore:
    """Open the session at postgresql://user@host/database#schema, or create it with geometry in `crs`.

    Raises BadConfig for another kind of address, BadOutput if the database cannot be reached or has no PostGIS,
    UnknownName if there is no session and `make` is False, MissingExtra.
    """
    base, _, schema = address.partition("#")
    schema = schema or "terraclick"
    if not re.match(r"postgres(ql)?://", base) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise BadConfig("--store takes postgresql://user@host/database, and after a # a schema of small letters.")
    _psycopg()
    return PostgisStore(base, schema, crs, clock, make_uuid, make)


def _psycopg() -> Any:
    with require_extra("postgis"):
        import psycopg
    return psycopg


def _srid_of(db: Any, crs: CRS | None) -> int:
    """PostGIS's number for a CRS; one of our own is registered where it has none. 0 for pixels."""
    if crs is None:
        return 0
    code = crs.to_epsg(min_confidence=100)
    if code is not None and db.execute("SELECT 1 FROM spatial_ref_sys WHERE srid = %s", (code,)).fetchone():
        return int(code)
    try:
        wkt = crs.to_wkt("WKT1_GDAL")
    except CRSError:
        return 0
    row = db.execute("SELECT srid FROM spatial_ref_sys WHERE srtext = %s", (wkt,)).fetchone()
    if row is not None:
        return int(row[0])
    (free,) = db.execute(
        "SELECT greatest(max(srid) + 1, %s) FROM spatial_ref_sys WHERE srid < 998999", (_FIRST_CUSTOM,)
    ).fetchone()
    db.execute(
        "INSERT INTO spatial_ref_sys (srid, auth_name, srtext, proj4text) VALUES (%s, NULL, %s, '')", (free, wkt)
    )
    return int(free)
