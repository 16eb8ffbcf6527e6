"""Servers on the made-up town."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))

from tests_app_help import HOUSES, Bright, draw

from terraclick.app.images import open_scenes
from terraclick.app.main import create_app
from terraclick.app.workspace import Model, Workspace
from terraclick.geo.store import open_store


@pytest.fixture
def town(tmp_path):
    return draw(tmp_path / "town.tif")


@pytest.fixture
def picture(tmp_path):
    image = np.full((600, 800, 3), 20, np.uint8)
    for row, col, rows, cols in HOUSES.values():
        image[row : row + rows, col : col + cols] = 200
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    return tmp_path / "photo.png"


def starter(folder):
    """A function that starts servers in a folder, and one that stops those still running."""
    opened = []

    def begin(*images, user="anna", users=("anna", "ben"), session="work.gpkg", predictor=None, opener=None):
        scenes = open_scenes([str(image) for image in images])
        crs = next(iter(scenes.values())).grid.crs
        store = open_store(folder / session, crs) if opener is None else opener(crs)
        space = Workspace(scenes, store, lambda: Model("bright", "b0", "sees bright things", predictor or Bright()))
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


@pytest.fixture
def serve(tmp_path):
    """Starts servers; call it again with the same session for a second start."""
    begin, end = starter(tmp_path)
    yield begin
    end()


@pytest.fixture(scope="session")
def same_client(tmp_path_factory):
    """One server for all tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("same")
    begin, end = starter(folder)
    yield begin(draw(folder / "town.tif"))
    end()


@pytest.fixture
def client(serve, town):
    return serve(town)
