"""Examples of what is looked for: pairs of image and mask, or those that a session keeps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from terraclick.errors import BadData
from terraclick.exchange.references import read_reference
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.values import StoredReference

__all__ = ["read_references", "saved_references"]


def read_references(pairs: Iterable[tuple[Path, Path]], positive: bool, class_name: str) -> list[StoredReference]:
    """References from (image, mask) files. Raises BadImage or BadData."""
    return [StoredReference(class_name, read_reference(image, mask, positive)) for image, mask in pairs]


def saved_references(path: Path | None, class_name: str) -> tuple[StoredReference, ...]:
    """The references of a session file, of one class or with "" of all. Raises BadData if there are none."""
    if path is None:
        return ()
    with GeoPackageStore.open(path) as store:
        found = store.references(class_name or None)
    if not found:
        of = f" of class {class_name!r}" if class_name else ""
        raise BadData(f"{path} holds no references{of}: add some with --reference, or leave --references out.")
    return found
