"""Well-known text: an outline a line."""

from __future__ import annotations

from pathlib import Path

from terraclick.formats.common.collection import Collection
from terraclick.formats.common.declaration import Format, expect

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    path.write_text("".join(f"{item.geometry.wkt}\n" for item in job.items), encoding="utf-8")
    expect(len(path.read_text(encoding="utf-8").splitlines()), job)


FORMAT = Format(
    name="wkt", label="Well-known text", note="an outline a line", endings=(".wkt",), write=_write, may_be_empty=True
)
