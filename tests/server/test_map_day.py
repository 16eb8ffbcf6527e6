"""A day's work in the map on real mosaics: nothing is lost, whatever is undone, reloaded or killed (dev/map_day.py)."""

import os
import runpy
from pathlib import Path

import pytest
from map_driver import chromium

SCRIPT = Path(__file__).parents[2] / "dev" / "map_day.py"


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    chromium()
    if not os.environ.get("TERRACLICK_SHARED"):
        pytest.skip("set TERRACLICK_SHARED to the folder of the development data")
    return runpy.run_path(str(SCRIPT))["others"](tmp_path_factory.mktemp("others"))


@pytest.mark.slow
def test_a_day_of_work_loses_nothing(tmp_path):
    chromium()
    if not os.environ.get("TERRACLICK_SHARED"):
        pytest.skip("set TERRACLICK_SHARED to the folder of the development data")
    facts = runpy.run_path(str(SCRIPT))["georeferenced"](tmp_path)
    before, after = facts["session before and after"]
    assert before == after and facts["acts undone"] == facts["acts done again"] > 50
    assert facts["objects after undoing everything"] == 0
    assert facts["fields are a valid coverage"] is True
    assert facts["imports after moving: least and mean IoU"][0] > 0.95
    assert facts["outlines finished after a reload and after kill -9"] == 2
    assert int(facts["buildings that reach IoU .85"].split(" of ")[0]) >= 12
    clicks = [row["clicks"] for row in facts["rows"] if row["task"] == "building"]
    assert len(clicks) == 15 and sum(clicks) / 15 < 4


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["drone, by touch", "COG"])
def test_a_day_on_other_pictures_loses_nothing(others, picture):
    facts = others[picture]
    before, after = facts["session before and after"]
    assert before == after and facts["acts undone"] == facts["acts done again"] >= 8
    assert facts["objects after undoing everything"] == 0 and facts["everything kept is there"]
    assert facts["outlines finished after a reload and after kill -9"] == 2
    fits = [row["iou"] for row in facts["rows"]]
    assert len(fits) == 4 and sorted(fits)[1] > 0.6, fits
