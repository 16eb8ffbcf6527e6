"""Classes of a session in a database, and their numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from terraclick.errors import Conflict, UnknownName
from terraclick.geo.colours import palette_colour
from terraclick.store.rows import (
    BadRow,
    colour_of,
    columns_of,
    json_object,
    text_of,
)
from terraclick.store.sql_base import SqlBase, shown
from terraclick.store.values import (
    MapClass,
)

__all__ = ["SqlClasses"]

_UNNAMED_KEY = "number_of_objects_without_class"


class SqlClasses(SqlBase):
    """The classes of a session."""

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name, which keeps its number."""
        row = (item.colour, item.key, item.kind, json.dumps(item.schema), item.name)
        change = 'UPDATE classes SET colour = ?, "key" = ?, kind = ?, schema = ? WHERE name = ?'
        with self._transaction() as db:
            if self._run(db, change, row).rowcount == 0:
                self._insert_class(db, item)
                self._run(db, change, row)  # another server may have been quicker
            self._classes_changed(db)

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        with self._reading() as db:
            rows = self._run(db, 'SELECT name, colour, "key", kind, schema, id FROM classes ORDER BY id').fetchall()
        self._outside.forget("classes")
        found = [self._class(*row) for row in rows]
        return tuple(item for item in found if item is not None)

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow, each object at a new revision.

        Raises UnknownName if there is no class of that name, Conflict if `new` is taken.
        """
        with self._transaction() as db:
            if self._run(db, "SELECT 1 FROM classes WHERE name = ?", (new,)).fetchone() is not None:
                raise Conflict(f"there is a class {new!r} already: choose another name, or move the objects to it.")
            if self._run(db, "UPDATE classes SET name = ? WHERE name = ?", (new, name)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self._place}.")
            self._run(db, 'UPDATE "references" SET class = ? WHERE class = ?', (new, name))
            self._run(
                db,
                "UPDATE objects SET class = ?, updated = ?, rev = rev + 1 WHERE class = ?",
                (new, self._time(), name),
            )
            self._classes_changed(db)

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if self._run(db, "DELETE FROM classes WHERE name = ?", (name,)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self._place}.")
            self._classes_changed(db)

    def unnamed_number(self) -> int:
        """The number kept for objects without a class; 0 as long as there was none."""
        with self._reading() as db:
            return self._unnamed_number(db)

    def keep_unnamed_number(self, number: int) -> None:
        """Take over the number of objects without a class from another session, in a new one."""
        with self._transaction() as db:
            if self._unnamed_number(db) == 0:
                self._keep_unnamed(db, number)

    def _insert_class(self, db: Any, item: MapClass) -> None:
        row = (item.name, item.colour, item.key, item.kind, json.dumps(item.schema))
        columns = 'classes (name, colour, "key", kind, schema)'
        self._run(db, f"INSERT INTO {columns} VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING", row)

    def _registered(self, db: Any, name: str) -> None:
        """See to it that a class that objects have is in the list, so that its number stays; "" gets a number too."""
        if name:
            known = self._run(db, "SELECT 1 FROM classes WHERE name = ?", (name,)).fetchone() is not None
            if not known and len(name) <= 200 and name.isprintable():
                (count,) = self._run(db, "SELECT count(*) FROM classes").fetchone()
                self._insert_class(db, MapClass(name, palette_colour(count + 1)))
                self._classes_changed(db)
        elif self._unnamed_number(db) == 0:
            stand_in = self._new_uuid()
            self._insert_class(db, MapClass(stand_in))
            (number,) = self._run(db, "SELECT id FROM classes WHERE name = ?", (stand_in,)).fetchone()
            self._run(db, "DELETE FROM classes WHERE name = ?", (stand_in,))
            self._keep_unnamed(db, number)

    def _registered_all(self, db: Any, names: Sequence[str]) -> None:
        """The same for the classes of many objects, in the order they come."""
        for name in dict.fromkeys(names):
            self._registered(db, name)

    def _keep_unnamed(self, db: Any, number: int) -> None:
        row = (_UNNAMED_KEY, str(number))
        self._run(db, 'INSERT INTO meta ("key", value) VALUES (?, ?) ON CONFLICT ("key") DO NOTHING', row)

    def _unnamed_number(self, db: Any) -> int:
        row = self._run(db, 'SELECT value FROM meta WHERE "key" = ?', (_UNNAMED_KEY,)).fetchone()
        return int(row[0]) if row is not None and str(row[0]).isdigit() else 0

    def _class(self, name: Any, colour: Any, key: Any, kind: Any, schema: Any, number: int) -> MapClass | None:
        """A class from its row: what another program left empty or cannot be used is the default; None without name."""
        plain = MapClass("")
        try:
            name = text_of(name, "name")
            if not name.strip() or len(name) > 200 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
                raise BadRow("its name is none")
        except BadRow as error:
            self._outside.note("classes", shown(name), f"{error}: the class is left out")
            return None
        if kind not in (None, "", "coverage", "discrete"):
            self._outside.note("classes", name, f"its kind {shown(kind)} is unknown: taken as {plain.kind}")
        if colour_of(colour, "") == "" and colour not in (None, ""):
            self._outside.note("classes", name, f"its colour {shown(colour)} is not #rrggbb: another is used")
        columns = None
        try:
            columns = json_object(schema, "schema") or None
            columns_of(columns or {})
        except BadRow as error:
            self._outside.note("classes", name, f"{error}: that is not used")
        usable_key = key if isinstance(key, str) and len(key) == 1 and key.isascii() and key.isalnum() else ""
        kind = kind if kind in ("coverage", "discrete") else plain.kind
        return MapClass(name, colour_of(colour, palette_colour(number)), usable_key, kind, columns, number)
