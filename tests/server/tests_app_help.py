"""A made-up town of bright houses on dark ground, and a predictor that sees exactly that."""

from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from starlette.testclient import TestClient

from terraclick.core.masks import clicked_components
from terraclick.errors import BadClick
from terraclick.server.answering import Model
from terraclick.server.application import create_app
from terraclick.server.images import open_scenes
from terraclick.server.workspace import Workspace
from terraclick.store.geopackage import open_store
from terraclick.values import Prediction, Target

HOUSES = {"a": (100, 120, 40, 60), "b": (100, 300, 40, 60), "c": (300, 200, 80, 30), "d": (420, 500, 20, 20)}
"""Row, column, rows, columns."""
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 4_650_000)


@dataclass(frozen=True)
class Bright:
    """Bright pixels are the class; the bright part under a click is the object; an excluding click cuts a disk out."""

    def encode(self, view):
        return view.image.max(axis=2) > 127

    def predict(self, encoded, prompt, previous):
        if not prompt.clicks and not prompt.references:
            raise BadClick("nothing to go by.")
        mask = encoded.copy()
        rows, cols = np.ogrid[: mask.shape[0], : mask.shape[1]]
        for click in prompt.negatives:
            mask &= (rows - click.row) ** 2 + (cols - click.col) ** 2 > 36
        if prompt.target is Target.OBJECT:
            if not any(mask[round(c.row), round(c.col)] for c in prompt.positives) and previous is None:
                mask[:] = False
            mask = clicked_components(mask, prompt.positives) if prompt.positives else mask & previous.mask
        return Prediction(np.where(mask, np.float32(0.9), np.float32(0.1)))


def draw(path, transform=NORTH_UP, crs="EPSG:32633", dtype="uint8", bands=3, houses=HOUSES, shape=(600, 800)):
    top = 200 if dtype == "uint8" else 3000
    image = np.full((bands, *shape), top // 10, dtype=dtype)
    for row, col, rows, cols in houses.values():
        image[:, row : row + rows, col : col + cols] = top
    size = {"height": shape[0], "width": shape[1], "count": bands, "dtype": dtype}
    with rasterio.open(path, "w", driver="GTiff", transform=transform, crs=crs, **size) as file:
        file.write(image)
    return path


def ring(col, row, cols, rows):
    """A rectangle as GeoJSON in pixels."""
    corners = [[col, row], [col + cols, row], [col + cols, row + rows], [col, row + rows], [col, row]]
    return {"type": "Polygon", "coordinates": [corners]}


def area(geometry):
    from shapely.geometry import shape

    return shape(geometry).area


def outline_house(client, x=150, y=120, **more):
    """A click on a house and its acceptance; gives the feature."""
    name = client.post("/api/sessions", json={"image": "town", **more}).json()["id"]
    assert client.post(f"/api/sessions/{name}/clicks", json={"x": x, "y": y}).status_code == 200
    answer = client.post(f"/api/sessions/{name}/accept", json={})
    assert answer.status_code == 201, answer.text
    return answer.json()


def starter(folder):
    """A function that starts servers in a folder, and one that stops those still running."""
    opened = []

    def begin(
        *images, user="anna", users=("anna", "ben"), session="work.gpkg", predictor=None, opener=None, model="bright"
    ):
        scenes = open_scenes([str(image) for image in images])
        crs = next(iter(scenes.values())).grid.crs
        store = open_store(folder / session, crs) if opener is None else opener(crs)
        space = Workspace(scenes, store, lambda: Model(model, "b0", "sees bright things", predictor or Bright()))
        tokens = {f"token-{name}": name for name in users}
        out = folder / "out"
        out.mkdir(exist_ok=True)
        app = create_app(space, tokens, out, session_name=session)
        client = TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer token-{user}"})
        client.__enter__()
        client.space = space
        opened.append(client)
        return client

    def stop(client):
        client.__exit__(None, None, None)
        client.space.close()
        opened.remove(client)

    begin.stop = stop
    return begin, lambda: [stop(client) for client in list(opened)]
