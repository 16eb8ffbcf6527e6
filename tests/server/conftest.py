"""Servers on the made-up town."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tests_app_help import HOUSES, draw, starter


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
