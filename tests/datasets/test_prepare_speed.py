"""The committed measurement of `prepare` on fewer crops: it really kills, goes on, and compares every byte."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc to read memory"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]


@pytest.fixture(scope="module")
def measured():
    path = Path(__file__).parents[2] / "benchmarks" / "prepare_speed.py"
    spec = spec_from_file_location("prepare_speed", path)
    module = module_from_spec(spec)
    sys.modules["prepare_speed"] = module
    spec.loader.exec_module(module)
    return module


def test_killed_resumed_and_the_same_bytes(measured, tmp_path):
    found = measured.main(tmp_path, 8, 1000)
    assert found["crops"] == 800 and found["same bytes"] is True
    assert 4 <= found["pictures done when killed"] < 8
    assert found["of these not written again"] == found["their crops"] == 100 * found["pictures done when killed"]


def test_two_processes_on_pictures_of_the_published_size_stay_small(measured, tmp_path):
    measured.make(tmp_path / "source", 2, 6000)
    _, _, peak = measured.run(tmp_path, "two", 2, 600)
    assert len(list((tmp_path / "two").rglob("images/*.png"))) == 200
    assert 100 < peak < 900  # MB, of the whole tree; 1,500 is what may be taken
