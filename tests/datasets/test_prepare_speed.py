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


def test_killed_resumed_and_the_same_bytes(tmp_path):
    path = Path(__file__).parents[2] / "benchmarks" / "prepare_speed.py"
    spec = spec_from_file_location("prepare_speed", path)
    measured = module_from_spec(spec)
    sys.modules["prepare_speed"] = measured
    spec.loader.exec_module(measured)
    found = measured.main(tmp_path, 12, 1200)
    assert found["crops"] == 1200 and found["same bytes"] is True
    assert 6 <= found["pictures done when killed"] < 12
    assert found["of these not written again"] == found["their crops"] == 100 * found["pictures done when killed"]
    assert 20 < found["one process: peak MB"] < 1500 and found["two processes: peak MB together"] < 1500
