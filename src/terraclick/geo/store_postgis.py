"""The session in a PostGIS database, for teams: the same `Store` as the GeoPackage, several servers at once.

Tables live in one schema (`terraclick`, or the name after # in the address). Every change is committed
(synchronous_commit on) before the call returns. Geometry is kept in the CRS chosen when the schema was made. As in the
GeoPackage, rows that QGIS added or changed are adopted: a trigger raises `rev` on every change from outside.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import cv2
import numpy as np
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from terraclick.core.click import Reference
from terraclick.errors import BadConfig, BadData, BadOutput, Conflict, MissingExtra, NotGeoreferenced, UnknownName
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.geo.store import (
    VERSION,
    Bounds,
    MapClass,
    MapObject,
    StoredClick,
    StoredDraft,
    StoredImage,
    StoredReference,
    StoredView,
    check_geometry,
    new_uuid,
    png,
    reproject,
    utc_now,
)

__all__ = ["PostgisStore", "open_postgis"]

_TABLES = """
CREATE TABLE objects (
  fid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, geom geometry(MultiPolygon, {srid}),
  uuid text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text, image text, class text, label text,
  target text DEFAULT 'object', score double precision, area_m2 double precision, perimeter_m double precision,
  n_clicks integer DEFAULT 0, model text, model_hash text, status text DEFAULT 'accepted', author text DEFAULT user,
  rev bigint NOT NULL DEFAULT 1, created text, updated text, attributes text);
CREATE INDEX objects_geom ON objects USING gist (geom);
CREATE INDEX objects_image ON objects (image);
CREATE TABLE clicks (
  object text NOT NULL, "order" integer NOT NULL, "row" double precision NOT NULL, col double precision NOT NULL,
  x double precision NOT NULL, y double precision NOT NULL, positive boolean NOT NULL, time text,
  PRIMARY KEY (object, "order"));
CREATE TABLE views (object text PRIMARY KEY, content text NOT NULL);
CREATE TABLE classes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, colour text, "key" text, kind text,
  schema text);
CREATE TABLE "references" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid text NOT NULL UNIQUE, class text NOT NULL,
  positive boolean NOT NULL, crop bytea NOT NULL, mask bytea NOT NULL, created text);
CREATE TABLE images (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, path text NOT NULL UNIQUE, hash text, crs text, bounds text);
CREATE TABLE drafts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid text NOT NULL UNIQUE, author text NOT NULL,
  image text NOT NULL, content text NOT NULL, updated text);
CREATE TABLE meta ("key" text PRIMARY KEY, value text);
CREATE FUNCTION objects_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.rev = OLD.rev THEN
    NEW.rev = OLD.rev + 1;
    IF NOT NEW.geom = OLD.geom THEN NEW.area_m2 = NULL; NEW.perimeter_m = NULL; END IF;
  END IF;
  RETURN NEW; END $$;
CREATE TRIGGER objects_touched BEFORE UPDATE ON objects FOR EACH ROW EXECUTE FUNCTION objects_touched();
"""

_FIELDS = (
    "uuid image class label target score area_m2 perimeter_m n_clicks model model_hash status author rev created "
    "updated attributes"
).split()
_COLUMNS = ", ".join(_FIELDS)
_FIRST_CUSTOM = 910000


class PostgisStore:
    """A session in a PostGIS schema; see `Store`. Safe to share between threads and between servers."""

    def __init__(
        self,
        address: str,
        schema: str,
        crs: CRS | None,
        clock: Callable[[], datetime] = utc_now,
        make_uuid: Callable[[], str] = new_uuid,
    ) -> None:
        self._address, self._schema = address, schema
        self._clock, self._make_uuid = clock, make_uuid
        self._lock = threading.RLock()
        self._depth = 0
        self._closed = False
        self._image_crs: dict[str, CRS | None] = {}
        self._db: Any = None
        self._crs: CRS | None = None
        self._srid = 0
        with self._transaction() as db:
            self._prepare(db, crs)

    @property
    def crs(self) -> CRS | None:
        """The CRS of every geometry that comes out; None means image pixels."""
        return self._crs

    # -- objects

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view, and give it back as stored. Raises as the GeoPackage's `add`."""
        (stored,) = self.add_many([(item, clicks, view)], crs)
        return stored

    def add_many(
        self,
        items: Iterable[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None = None,
    ) -> list[MapObject]:
        """`add` for many objects in one transaction: all are kept, or none."""
        with self._transaction() as db:
            now = self._time()
            return [self._insert(db, item, clicks, view, crs, now) for item, clicks, view in items]

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one, else Conflict; `crs` is by default the store's."""
        geometry = check_geometry(reproject(item.geometry, crs or self._crs, self._crs))
        with self._transaction() as db:
            theirs = self._find(db, item.uuid, " FOR UPDATE")
            if theirs is None or theirs.rev != item.rev:
                fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {item.rev}"
                raise Conflict(f"object {item.uuid} {fate}: reload it and apply your change again.", item, theirs)
            now = self._time()
            fresh = replace(item, geometry=geometry, rev=item.rev + 1, updated=now, created=theirs.created)
            stored = self._measured(fresh)
            marks = ", ".join(f"{name} = %s" for name in _FIELDS)
            db.execute(
                f"UPDATE objects SET geom = ST_GeomFromWKB(%s, {self._srid}), {marks} WHERE uuid = %s",
                (shapely.to_wkb(geometry), *_values(stored), item.uuid),
            )
            if clicks is not None:
                db.execute("DELETE FROM clicks WHERE object = %s", (item.uuid,))
                self._insert_clicks(db, item.uuid, clicks, now)
            if view is not None:
                self._insert_view(db, item.uuid, view)
        return stored

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute("DELETE FROM objects WHERE uuid = %s", (uuid,)).rowcount == 0:
                raise UnknownName(f"no object {uuid!r} in the database: it may have been deleted.")
            db.execute("DELETE FROM clicks WHERE object = %s", (uuid,))
            db.execute("DELETE FROM views WHERE object = %s", (uuid,))

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid. Raises UnknownName if there is none."""
        with self._reading() as db:
            item = self._find(db, uuid)
        if item is None:
            raise UnknownName(f"no object {uuid!r} in the database: it may have been deleted.")
        return item

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox is in the store's CRS and meets their boxes."""
        wanted = [("image", image), ("class", class_name), ("status", status)]
        conditions = ["geom IS NOT NULL", *(f"{name} = %s" for name, value in wanted if value is not None)]
        values: list[Any] = [value for _, value in wanted if value is not None]
        if bbox is not None:
            left, bottom, right, top = bbox
            conditions.append(f"geom && ST_MakeEnvelope(%s, %s, %s, %s, {self._srid})")
            values += [left, min(bottom, top), right, max(bottom, top)]
        query = f"SELECT {_COLUMNS}, ST_AsBinary(geom) FROM objects WHERE {' AND '.join(conditions)} ORDER BY fid"
        with self._reading() as db:
            return [self._object(row) for row in db.execute(query, values).fetchall()]

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are, without reading them."""
        names = "coalesce(image, ''), coalesce(class, ''), coalesce(status, '')"
        query = f"SELECT {names}, count(*) FROM objects WHERE geom IS NOT NULL GROUP BY 1, 2, 3"
        with self._reading() as db:
            return [(image, name, status, number) for image, name, status, number in db.execute(query).fetchall()]

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given."""
        query = 'SELECT "row", col, x, y, positive, time FROM clicks WHERE object = %s ORDER BY "order"'
        with self._reading() as db:
            return tuple(StoredClick(*row) for row in db.execute(query, (uuid,)).fetchall())

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""
        with self._reading() as db:
            row = db.execute("SELECT content FROM views WHERE object = %s", (uuid,)).fetchone()
        if row is None:
            return None
        image, bounds, gsd, bands, stretch, divisions, shape = json.loads(row[0])
        return StoredView(
            image,
            None if bounds is None else tuple(bounds),
            gsd,
            None if bands is None else tuple(bands),
            stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
            tuple(divisions),
            tuple(shape),
        )

    # -- classes and examples

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name."""
        with self._transaction() as db:
            db.execute(
                'INSERT INTO classes (name, colour, "key", kind, schema) VALUES (%s, %s, %s, %s, %s) '
                'ON CONFLICT (name) DO UPDATE SET colour = excluded.colour, "key" = excluded."key", '
                "kind = excluded.kind, schema = excluded.schema",
                (item.name, item.colour, item.key, item.kind, json.dumps(item.schema)),
            )

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        with self._reading() as db:
            rows = db.execute('SELECT name, colour, "key", kind, schema FROM classes ORDER BY id').fetchall()
        return tuple(MapClass(name, colour, key, kind, json.loads(schema)) for name, colour, key, kind, schema in rows)

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow. Raises UnknownName, Conflict."""
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM classes WHERE name = %s", (new,)).fetchone() is not None:
                raise Conflict(f"there is a class {new!r} already: choose another name, or move the objects to it.")
            if db.execute("UPDATE classes SET name = %s WHERE name = %s", (new, name)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in the database.")
            db.execute('UPDATE "references" SET class = %s WHERE class = %s', (new, name))
            db.execute("UPDATE objects SET class = %s, updated = %s WHERE class = %s", (new, self._time(), name))

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute("DELETE FROM classes WHERE name = %s", (name,)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in the database.")

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class and give it back with its uuid and time; crop and mask are stored losslessly."""
        stored = replace(item, uuid=item.uuid or self._make_uuid(), created=item.created or self._time())
        crop = png(np.ascontiguousarray(item.reference.image[..., ::-1]))
        mask = png(item.reference.mask.astype(np.uint8) * np.uint8(255))
        with self._transaction() as db:
            db.execute(
                'INSERT INTO "references" (uuid, class, positive, crop, mask, created) VALUES (%s, %s, %s, %s, %s, %s)',
                (stored.uuid, item.class_name, item.reference.positive, crop, mask, stored.created),
            )
        return stored

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples in the order added, of one class or of all."""
        query = 'SELECT uuid, class, positive, crop, mask, created FROM "references"'
        query += " ORDER BY id" if class_name is None else " WHERE class = %s ORDER BY id"
        with self._reading() as db:
            rows = db.execute(query, () if class_name is None else (class_name,)).fetchall()
        return tuple(_reference(*row) for row in rows)

    def delete_reference(self, uuid: str) -> None:
        """Remove an example. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute('DELETE FROM "references" WHERE uuid = %s', (uuid,)).rowcount == 0:
                raise UnknownName(f"no example {uuid!r} in the database: it may have been deleted.")

    # -- images and drafts

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path. Raises NotGeoreferenced as the GeoPackage does."""
        if (item.crs is None) != (self._crs is None):
            kept = "plain pixel coordinates" if self._crs is None else self._crs.name
            raise NotGeoreferenced(
                f"{item.path} and the database do not go together, which keeps {kept}: use another schema for it."
            )
        with self._transaction() as db:
            db.execute(
                "INSERT INTO images (path, hash, crs, bounds) VALUES (%s, %s, %s, %s) ON CONFLICT (path) "
                "DO UPDATE SET hash = excluded.hash, crs = excluded.crs, bounds = excluded.bounds",
                (item.path, item.hash, None if item.crs is None else item.crs.to_wkt(), json.dumps(item.bounds)),
            )
        with self._lock:
            self._image_crs.pop(item.path, None)

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        with self._reading() as db:
            rows = db.execute("SELECT path, hash, crs, bounds FROM images ORDER BY id").fetchall()
        found = []
        for path, digest, wkt, text in rows:
            bounds = json.loads(text)
            crs = None if wkt is None else CRS.from_wkt(wkt)
            found.append(StoredImage(path, digest, crs, None if bounds is None else tuple(bounds)))
        return tuple(found)

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO drafts (uuid, author, image, content, updated) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT (uuid) DO UPDATE SET author = excluded.author, image = excluded.image, "
                "content = excluded.content, updated = excluded.updated",
                (item.uuid, item.author, item.image, json.dumps(item.content), item.updated or self._time()),
            )

    def delete_draft(self, uuid: str) -> None:
        """Forget a click session, if it is there."""
        with self._transaction() as db:
            db.execute("DELETE FROM drafts WHERE uuid = %s", (uuid,))

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All click sessions that are not accepted yet, in the order begun."""
        with self._reading() as db:
            rows = db.execute("SELECT uuid, author, image, content, updated FROM drafts ORDER BY id").fetchall()
        return tuple(
            StoredDraft(uuid, author, image, _attributes(content), updated)
            for uuid, author, image, content, updated in rows
        )

    # -- the connection

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one: all are kept when it ends, or none."""
        with self._transaction():
            yield

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

    def _prepare(self, db: Any, crs: CRS | None) -> None:
        """Make the schema where it is not there, then read what it is."""
        db.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"terraclick {self._schema}",))
        there = db.execute("SELECT to_regclass(%s)", (f'"{self._schema}".meta',)).fetchone()[0]
        if there is None:
            if db.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
                db.execute("CREATE EXTENSION postgis")
            db.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            srid = _srid_of(db, crs)
            db.execute(_TABLES.replace("{srid}", str(srid)))
            rows = [("terraclick_session", str(VERSION)), ("srid", str(srid))]
            rows.append(("crs", "" if crs is None else crs.to_wkt()))
            for row in rows:
                db.execute('INSERT INTO meta ("key", value) VALUES (%s, %s)', row)
        meta = dict(db.execute('SELECT "key", value FROM meta').fetchall())
        version = str(meta.get("terraclick_session", ""))
        if not version.isdigit() or int(version) > VERSION:
            raise BadData(f"the schema {self._schema} was made by a newer TerraClick: upgrade to open it.")
        self._srid = int(meta["srid"])
        self._crs = CRS.from_wkt(meta["crs"]) if meta["crs"] else None

    # -- within

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def _crs_of_image(self, db: Any, image: str) -> CRS | None:
        if image not in self._image_crs:
            row = db.execute("SELECT crs FROM images WHERE path = %s", (image,)).fetchone()
            if row is None:
                raise UnknownName(f"no image {image!r} in the database: add the image before its objects.")
            self._image_crs[image] = None if row[0] is None else CRS.from_wkt(row[0])
        return self._image_crs[image]

    def _insert(
        self,
        db: Any,
        item: MapObject,
        clicks: Sequence[StoredClick],
        view: StoredView | None,
        crs: CRS | None,
        now: str,
    ) -> MapObject:
        image_crs = self._crs_of_image(db, item.image) if item.image else self._crs
        stored = self._measured(
            replace(
                item,
                uuid=item.uuid or self._make_uuid(),
                geometry=check_geometry(reproject(item.geometry, crs or image_crs, self._crs)),
                n_clicks=item.n_clicks or len(clicks),
                rev=item.rev + 1,
                created=item.created or now,
                updated=item.updated or now,
            )
        )
        if db.execute("SELECT 1 FROM objects WHERE uuid = %s", (stored.uuid,)).fetchone() is not None:
            theirs = self._find(db, stored.uuid)
            raise Conflict(f"object {stored.uuid} is already stored: update it instead.", item, theirs)
        marks = ", ".join(["%s"] * len(_FIELDS))
        db.execute(
            f"INSERT INTO objects (geom, {_COLUMNS}) VALUES (ST_GeomFromWKB(%s, {self._srid}), {marks})",
            (shapely.to_wkb(stored.geometry), *_values(stored)),
        )
        self._insert_clicks(db, stored.uuid, clicks, now)
        if view is not None:
            self._insert_view(db, stored.uuid, view)
        return stored

    def _insert_clicks(self, db: Any, uuid: str, clicks: Sequence[StoredClick], now: str) -> None:
        query = (
            'INSERT INTO clicks (object, "order", "row", col, x, y, positive, time) '
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        )
        for i, c in enumerate(clicks):
            db.execute(query, (uuid, i, c.row, c.col, c.x, c.y, c.positive, c.time or now))

    def _insert_view(self, db: Any, uuid: str, view: StoredView) -> None:
        parts = (view.image, view.bounds, view.gsd, view.bands, view.stretch, view.divisions, view.shape)
        db.execute(
            "INSERT INTO views (object, content) VALUES (%s, %s) ON CONFLICT (object) "
            "DO UPDATE SET content = excluded.content",
            (uuid, json.dumps(parts)),
        )

    def _measured(self, item: MapObject) -> MapObject:
        if self._crs is None:
            return replace(item, area_m2=None, perimeter_m=None)
        area, perimeter = area_m2(item.geometry, self._crs), perimeter_m(item.geometry, self._crs)
        return replace(item, area_m2=area, perimeter_m=perimeter)

    def _find(self, db: Any, uuid: str, lock: str = "") -> MapObject | None:
        query = f"SELECT {_COLUMNS}, ST_AsBinary(geom) FROM objects WHERE uuid = %s AND geom IS NOT NULL{lock}"
        row = db.execute(query, (uuid,)).fetchone()
        return None if row is None else self._object(row)

    def _object(self, row: Sequence[Any]) -> MapObject:
        """An object from its row; what another program left empty is filled with the plain default."""
        values = dict(zip(_FIELDS, row, strict=False))
        texts = ("image", "class", "label", "model", "model_hash", "status", "author", "created", "updated")
        found = {name: values[name] or "" for name in texts}
        item = MapObject(
            uuid=values["uuid"],
            class_name=found.pop("class"),
            target=values["target"] or "object",
            score=values["score"],
            area_m2=values["area_m2"],
            perimeter_m=values["perimeter_m"],
            n_clicks=values["n_clicks"] or 0,
            rev=values["rev"],
            attributes=_attributes(values["attributes"]),
            geometry=shapely.from_wkb(bytes(row[-1])),
            **found,
        )
        return self._measured(item) if item.area_m2 is None else item


def open_postgis(
    address: str,
    crs: CRS | None = None,
    clock: Callable[[], datetime] = utc_now,
    make_uuid: Callable[[], str] = new_uuid,
) -> PostgisStore:
    """Open the session at postgresql://user@host/database#schema, or create it with geometry in `crs`.

    Raises BadConfig for another kind of address, BadOutput if the database cannot be reached or has no PostGIS,
    MissingExtra.
    """
    base, _, schema = address.partition("#")
    schema = schema or "terraclick"
    if not re.match(r"postgres(ql)?://", base) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise BadConfig("--store takes postgresql://user@host/database, and after a # a schema of small letters.")
    _psycopg()
    return PostgisStore(base, schema, crs, clock, make_uuid)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("a PostGIS store needs psycopg: pip install 'terraclick[postgis]'.") from None
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


def _values(item: MapObject) -> tuple[Any, ...]:
    values = (getattr(item, "class_name" if name == "class" else name) for name in _FIELDS)
    return tuple(json.dumps(value) if isinstance(value, dict) else value for value in values)


def _attributes(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reference(uuid: str, class_name: str, positive: bool, crop: bytes, mask: bytes, created: str) -> StoredReference:
    image = cv2.imdecode(np.frombuffer(bytes(crop), np.uint8), cv2.IMREAD_COLOR)
    levels = cv2.imdecode(np.frombuffer(bytes(mask), np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None or levels is None:
        raise BadData(f"reference {uuid} in the database cannot be decoded: it is damaged.")
    picture = np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
    return StoredReference(class_name, Reference(picture, np.asarray(levels) > 127, positive), uuid, created)
