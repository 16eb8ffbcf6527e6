"""Shared fixtures. `shared` is the folder of development data; tests that need it skip where it is not."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data folder (setting TERRACLICK_SHARED, default ../shared beside the checkout)."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared"
    folder = Path(os.environ.get("TERRACLICK_SHARED", default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set TERRACLICK_SHARED to run this test")
    return folder
