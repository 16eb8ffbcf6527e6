"""Routes of images: their list, statistics, tiles, layers, and where a coordinate lies on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as ApiPath
from pydantic import Field, FiniteFloat
from shapely import Point

from terraclick.errors import BadInput, UnknownName
from terraclick.geo.affine import apply
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import read_statistics
from terraclick.geo.reproject import reproject
from terraclick.server.asking import StrictRoute
from terraclick.server.clicking import PixelClick
from terraclick.server.depends import CurrentWorkspace, Json, User
from terraclick.server.images import Look, Scene, TilePlace
from terraclick.server.map_tiles import map_tile
from terraclick.server.routes.clicks import click_settings_of
from terraclick.server.schemas import PrefetchBody
from terraclick.server.work import Work, image_json
from terraclick.values import Target

__all__ = ["router"]

Level = Annotated[int, ApiPath(ge=-(2**31), lt=2**31)]
Band = Annotated[int, Field(ge=1, le=100_000)]

router = APIRouter(route_class=StrictRoute)


@router.get("/api/images", tags=["images"])
def images(workspace: CurrentWorkspace, user: User) -> Json:
    """All images of this server."""
    work = Work(workspace)
    return {"images": [image_json(workspace, scene, work) for scene in workspace.scenes.values()]}


@router.get("/api/images/{image}", tags=["images"])
def image(image: str, workspace: CurrentWorkspace, user: User) -> Json:
    """One image."""
    return image_json(workspace, workspace.scene(image), Work(workspace))


@router.get("/api/images/{image}/statistics", tags=["images"])
def statistics(
    image: str, workspace: CurrentWorkspace, user: User, bidx: Annotated[list[Band] | None, Query()] = None
) -> Json:
    """Minimum, maximum and percentiles of bands."""
    scene = workspace.scene(image)
    scene.check()
    found = read_statistics(scene.path, bidx, scene.reading)
    names = ("index", "min", "max", "p2", "p98")
    return {"bands": [dict(zip(names, values, strict=True)) for values in found]}


def _look(
    bidx: Annotated[list[Band] | None, Query(max_length=3)] = None,
    rescale: Annotated[list[str] | None, Query(max_length=3)] = None,
    stretch: Literal["auto", "percent", "none"] = "auto",
    gamma: Annotated[FiniteFloat, Query(ge=0.1, le=10)] = 1.0,
) -> Look:
    ranges = tuple(_range_of(text) for text in rescale) if rescale else None
    return Look(bidx, ranges or stretch, gamma)


AskedLook = Annotated[Look, Depends(_look)]


@dataclass(frozen=True, eq=False)
class _Tile:
    """Which tile of a scene is asked for, and in which kind of file ("" where that is not said)."""

    scene: Scene
    place: TilePlace
    kind: str
    kept: dict[str, str]
    """How long a browser may keep it: a week where the address names the file's version."""

    def check_png(self, what: str) -> None:
        """Raises BadInput where another kind of file is asked for."""
        if self.kind not in ("", "png"):
            raise BadInput(f"tiles of kind {self.kind!r} were asked for: {what} are png.")


def _tile(
    image: str, z: Level, x: Level, place: str, workspace: CurrentWorkspace, user: User, v: str | None = None
) -> _Tile:
    """The last part of a tile's path is its row, with .png or .jpg behind it where the kind is said."""
    row, _, kind = place.partition(".")
    if not (row.isascii() and row.isdigit() and len(row) < 10):
        raise UnknownName(f"no tile {place[:40]!r}: give a number, and .png or .jpg if you wish.")
    kept = {"Cache-Control": f"private, max-age={604800 if v else 60}"}
    return _Tile(workspace.scene(image), TilePlace(z, x, int(row)), kind, kept)


Tile = Annotated[_Tile, Depends(_tile)]


@router.get("/api/images/{image}/tiles/pixels/{z}/{x}/{place}", tags=["images"])
def tile(at: Tile, workspace: CurrentWorkspace, look: AskedLook) -> Response:
    """A tile of the image's own pixels: y, y.png or y.jpg."""
    data, media = workspace.tiles.tile(at.scene, at.place, look, at.kind)
    return Response(data, media_type=media, headers=at.kept)


@router.get("/api/images/{image}/tiles/map/{z}/{x}/{place}", tags=["images"])
def tile_on_map(at: Tile, workspace: CurrentWorkspace, look: AskedLook) -> Response:
    """A tile in Web Mercator, as XYZ layers of map programs ask for it: y or y.png."""
    at.check_png("map tiles")
    data = map_tile(workspace.tiles, at.scene, at.place, look)
    return Response(data, media_type="image/png", headers=at.kept)


def _range_of(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"rescale={text[:40]} was given; MIN,MAX was expected.") from None
    return low, high


@router.get("/api/images/{image}/layers", tags=["images"])
def layers(image: str, workspace: CurrentWorkspace, user: User, request: Request) -> Json:
    """Heatmaps that `terraclick map` wrote for this image, a layer per class."""
    found = request.app.state.heatmaps.of(workspace.scene(image))
    return {
        "layers": [
            {"id": layer.id, "name": layer.name, "file": layer.path.name, "version": layer.version} for layer in found
        ]
    }


@router.get("/api/images/{image}/layers/{layer}/tiles/pixels/{z}/{x}/{place}", tags=["images"])
def layer_tile(layer: str, at: Tile, request: Request) -> Response:
    """A tile of a layer, on the image's own pixels: y or y.png."""
    at.check_png("layers")
    shown = request.app.state.heatmaps
    data = shown.tile(at.scene, shown.heatmap(at.scene, layer), at.place)
    return Response(data, media_type="image/png", headers=at.kept)


@router.get("/api/images/{image}/place", tags=["images"])
def place(
    image: str,
    workspace: CurrentWorkspace,
    user: User,
    lon: Annotated[FiniteFloat, Query(ge=-180, le=180)],
    lat: Annotated[FiniteFloat, Query(ge=-90, le=90)],
) -> Json:
    """Where on an image a longitude and latitude (WGS 84) lie, in its pixels; it may be beside the image."""
    scene = workspace.scene(image)
    at = reproject(Point(lon, lat), WGS84, scene.grid.crs)
    x, y = apply(~scene.grid.transform, at.x, at.y)
    return {"x": round(x, 3), "y": round(y, 3)}


@router.post("/api/images/{image}/prefetch", status_code=202, tags=["images"])
def prefetch(image: str, body: PrefetchBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Read and encode ahead what a click there will need."""
    scene = workspace.scene(image)
    click = PixelClick(body.x, body.y)
    if not scene.grid.holds(scene.grid.to_click(*scene.grid.to_map(body.y - 0.5, body.x - 0.5))):
        return {"wanted": False}
    workspace.answering.prefetch(user, scene, click_settings_of(Target(body.target), (), body.view), click)
    return {"wanted": True}
