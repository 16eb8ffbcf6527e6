"""Shared fixtures. `shared` is the folder of development data; tests that need it skip where it is not."""

import importlib.util
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


def _make(folder: Path) -> Path:
    spec = importlib.util.spec_from_file_location("make_dataset", Path(__file__).parent / "data" / "make_dataset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_dataset(folder)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """A dataset of two tiny pictures; tests only read it."""
    return _make(tmp_path_factory.mktemp("datasets") / "tiny")


@pytest.fixture
def own_dataset(tmp_path) -> Path:
    """The same, for one test to change."""
    return _make(tmp_path / "tiny")
