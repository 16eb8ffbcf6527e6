"""Shared fixtures. `shared` is the folder of development data; tests that need it skip where it is not."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from glob import glob
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


@pytest.fixture(scope="session")
def postgis():
    """The address of a database of this run; TERRACLICK_POSTGIS names one that is there already."""
    if "TERRACLICK_POSTGIS" in os.environ:
        yield os.environ["TERRACLICK_POSTGIS"]
        return
    found = sorted(glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found or not glob("/usr/share/postgresql/*/extension/postgis.control"):
        pytest.skip("postgresql with postgis is not installed here")
    bin_folder = os.path.dirname(found[-1])
    folder = Path(tempfile.mkdtemp(prefix="terraclick-postgres-"))  # pytest shuts its own folders at every other run
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data = folder / "data"
    run = {"check": True, "capture_output": True, "timeout": 120}
    subprocess.run([*as_user, f"{bin_folder}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N"], **run)
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c port=5499"
    start = [*as_user, f"{bin_folder}/pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"]
    subprocess.run(start, check=True, timeout=120, stdout=subprocess.DEVNULL)
    yield f"postgresql://postgres@/postgres?host={folder}&port=5499"
    subprocess.run([*as_user, f"{bin_folder}/pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    shutil.rmtree(folder, ignore_errors=True)
