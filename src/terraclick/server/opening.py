"""Which session file or database goes with which images: found, made anew, or another one beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from terraclick.errors import (
    BadConfig,
    NotGeoreferenced,
    TerraClickError,
    UnknownName,
)
from terraclick.geo.carrying import TRUE_AREA, area_factor, check_carried
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import resolve_image
from terraclick.server.images import Scene
from terraclick.store.geopackage import open_store
from terraclick.store.identity import session_key
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage

__all__ = ["beside", "existing_store", "named", "store_for"]


def named(images: Sequence[str]) -> set[Path]:
    """The images that were named one by one, not found in a folder."""
    return {resolve_image(name) for name in images if name == "sample" or not Path(name).is_dir()}


def existing_store(session: Path | None, address: str | None, out: Path) -> Store | None:
    """The session to go on with; None where a new one will be made."""
    if address is None:
        path = _session_file(session, out)
        return open_store(path) if path.exists() else None
    if session is not None:
        raise BadConfig("--session and --store contradict each other: give one of them.")
    from terraclick.store.postgis import open_postgis

    try:
        return open_postgis(address, make=False)
    except UnknownName:
        return None


def _session_file(session: Path | None, out: Path) -> Path:
    path = session or out / "terraclick.gpkg"
    if path.suffix.lower() != ".gpkg":
        raise BadConfig(f"--session {path} does not end in .gpkg: a session is a GeoPackage.")
    return path


def store_for(
    known: Store | None,
    scenes: dict[str, Scene],
    named: set[Path],
    session: Path | None,
    address: str | None,
    out: Path,
    warn: Callable[[str], None],
) -> tuple[Store, str, dict[str, Scene]]:
    """(the store, its name, the scenes that can be kept in it). A new session is made last, when all else fits.

    Without a session that is there, images with a coordinate system decide it and plain pictures are left aside.
    """
    path = _session_file(session, out)
    name = path.name if address is None else "postgis"
    if known is not None:
        return known, name, _fitting(scenes, named, known.crs, name, warn)
    crs = next((scene.grid.crs for scene in scenes.values() if scene.grid.crs is not None), None)
    if not scenes or (crs is not None and any(_far_off(scene, crs) for scene in scenes.values())):
        crs = WGS84  # images from anywhere: degrees are right for all of them
    fitting = _fitting(scenes, named, crs, name, warn)
    if address is None:
        return open_store(path, crs), name, fitting
    from terraclick.store.postgis import open_postgis

    return open_postgis(address, crs), name, fitting


def _far_off(scene: Scene, crs: Any) -> bool:
    """Whether planar areas of an image's objects would be wrong in a coordinate system."""
    return abs(area_factor(scene.grid, crs) - 1) > TRUE_AREA


def _key_of(images: Sequence[StoredImage], scene: Scene, folder: Path) -> str:
    return session_key(images, scene.path, scene.hash, scene.grid.bounds if scene.grid.crs else None, folder)


def beside(known: Store | None, scenes: Mapping[str, Scene], session: Path | None, out: Path) -> Path | None:
    """The session file for images that the one lying in the folder by chance knows none of; None where it fits."""
    if session is not None or known is None or not scenes:
        return None
    images = known.images()
    names, folder = {image.path for image in images}, Path(known.path).parent  # type: ignore[attr-defined]
    if not images or any(_key_of(images, one, folder) in names for one in scenes.values()):
        return None
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in next(iter(scenes.values())).path.stem)
    return out / f"terraclick-{stem[:80]}.gpkg"


def _fitting(
    scenes: dict[str, Scene], named: set[Path], crs: Any, session: str, warn: Callable[[str], None]
) -> dict[str, Scene]:
    """The scenes whose objects a session in `crs` (None: pixels) can keep; `warn` hears of the others.

    Raises NotGeoreferenced or BadConfig where an image that was named does not fit, or none does.
    """
    found: dict[str, Scene] = {}
    last: TerraClickError | None = None
    for key, scene in scenes.items():
        try:
            if crs is not None and scene.grid.crs is not None:
                check_carried(scene.grid, crs, scene.name)
                if _far_off(scene, crs):
                    raise BadConfig(
                        f"{scene.name} lies where areas in {crs.name}, which the session {session} keeps, are "
                        f"{area_factor(scene.grid, crs):.3g} times those on the ground: start another --session for it."
                    )
            elif crs is not None:
                raise NotGeoreferenced(
                    f"{scene.name} {scene.info.unplaced}, but the session {session} keeps {crs.name}: georeference it, "
                    "or serve it by itself with another --session."
                )
            elif scene.grid.crs is not None:
                raise NotGeoreferenced(
                    f"{scene.name} has a coordinate system, but the session {session} keeps plain pixels: give another "
                    "--session for it."
                )
            found[key] = scene
        except TerraClickError as error:
            if scene.path in named:
                raise
            last = error
            warn(f"left out: {error}")
    if not found and last is not None:
        raise last
    return found
