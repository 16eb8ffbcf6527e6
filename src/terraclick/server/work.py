"""What is told of an image, and how far the work on it is."""

from __future__ import annotations

from terraclick.geo.lonlat import lonlat_bounds
from terraclick.server.depends import Json
from terraclick.server.features import crs_name
from terraclick.server.images import TILE, Scene
from terraclick.server.workspace import Workspace

__all__ = ["Work", "image_json"]


class Work:
    """How far the work on the images is, read once for all of them."""

    def __init__(self, workspace: Workspace) -> None:
        self.objects = workspace.objects.counts()["image"]
        self.marks = workspace.store.image_marks()
        self.drafts = {draft.image for draft in workspace.store.drafts()}

    def of(self, scene: Scene) -> Json:
        """Objects of an image, and its state: done as somebody said, else work where something is on it."""
        objects = self.objects.get(scene.key, 0)
        begun = "work" if objects or scene.key in self.drafts else "untouched"
        return {"objects": objects, "state": self.marks.get(scene.key) or begun}


def image_json(workspace: Workspace, scene: Scene, work: Work) -> Json:
    """An image as the routes tell it."""
    grid = scene.grid
    rows, cols = scene.shape
    around = None if grid.crs is None else lonlat_bounds(grid.bounds, grid.crs)
    lonlat = None if around is None else [round(value, 7) for value in around]
    return {
        "id": scene.id,
        "name": scene.name,
        "width": cols,
        "height": rows,
        "version": scene.hash,
        "crs": crs_name(grid.crs),
        "crs_name": None if grid.crs is None else grid.crs.name,
        "gsd": grid.metres_per_pixel,
        "transform": list(tuple(grid.transform)[:6]),
        "bounds": list(grid.bounds),
        "lonlat_bounds": lonlat,
        "bands": [{"index": band.number, "name": band.name, "dtype": band.dtype} for band in scene.bands],
        "default_bands": list(scene.default_bands),
        "nodata": scene.info.nodata if scene.info.nodata is not None and abs(scene.info.nodata) < 1e300 else None,
        "tile_size": TILE,
        "max_zoom": scene.max_zoom,
        "notes": [f"{note}." for note in scene.notes],
    } | work.of(scene)
