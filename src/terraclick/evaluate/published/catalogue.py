"""The tables of the papers, by name. A file of this folder holds those of a paper."""

from __future__ import annotations

from terraclick.errors import UnknownName
from terraclick.evaluate.published import bicor, crosscut, isrefiner, refcut, segmap
from terraclick.evaluate.published.table import Table

__all__ = ["TABLES", "table_of"]

TABLES: dict[str, Table] = {
    table.name: table for paper in (crosscut, isrefiner, segmap, refcut, bicor) for table in paper.TABLES
}
"""The tables by name. Numbers are those of the papers."""


def table_of(name: str) -> Table:
    """A table by name. Raises UnknownName with the list."""
    if name not in TABLES:
        raise UnknownName(f"no table {name!r}. Known: {', '.join(TABLES)}.")
    return TABLES[name]
