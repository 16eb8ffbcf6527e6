"""Lines and points beside the plug-in: it says that clicks make areas, and leaves what is there as it is."""

import subprocess
from dataclasses import replace

import pytest
from qgis_play import SAMPLE, buildings, needs_qgis
from shapely.geometry import LineString, Point

from terraclick.store.geopackage import GeoPackageStore


@pytest.fixture
def session(tmp_path, program):
    """A session with an area, a line and a point."""
    path, places = tmp_path / "session.gpkg", buildings(2)
    at = ",".join(str(value) for value in places[0])
    subprocess.run([program, "segment", SAMPLE, "--click", at, "--out", path], check=True, capture_output=True)
    with GeoPackageStore.open(path) as store:
        store.look()
        (area,) = store.objects()
        x, y = places[1]
        road = LineString([(x - 40, y - 3), (x + 40, y + 3)])
        for shape, name in ((road, "road"), (Point(x + 30, y + 30), "tree")):
            store.add(replace(area, geometry=shape, class_name=name, uuid=""))
    return path


@needs_qgis
@pytest.mark.parametrize("part", ["", "|geometrytype=Polygon"])
def test_a_session_that_holds_lines_and_points_keeps_them(qgis, session, part):
    def told():
        with GeoPackageStore.open(session) as store:
            store.look()
            return {
                item.uuid: (item.geometry.geom_type, item.geometry.wkb, item.class_name) for item in store.objects()
            }

    before = told()
    found = qgis("kinds", str(SAMPLE), buildings(4)[3], str(session), part)
    others = 0 if part else 2
    assert found["seen"] == 1 + others and found["reopened"] and found["saved"], found
    assert len(found["refused"]) == 2 * others and all("line or a point" in line for line in found["refused"])
    assert found["said"] == []
    after = told()
    assert len(after) == len(before) + 1
    for uuid, (kind, shape, name) in before.items():
        assert kind in ("Polygon", "MultiPolygon") or after[uuid] == (kind, shape, name)


@needs_qgis
def test_clicks_are_no_tasks_that_qgis_tells_of(qgis):
    found = qgis("quiet", str(SAMPLE), buildings(2))
    assert found == {"told": 0, "kept": 2, "said": []}


@needs_qgis
def test_worse_input_is_told_in_one_sentence(qgis, tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "text").write_text("no program")
    found = qgis("worse", str(SAMPLE), buildings(4)[3], str(tmp_path / "odd"))
    wanted = {
        "gone": "is gone",
        "locked": "read-only",
        "pole": "outside the image",
        "infinite": "outside the image",
        "cyrillic": "token",
        "broken line": "token",
        "silent": "did not start",
        "folder": "not installed",
        "text": "cannot be started",
    }
    assert set(found) == set(wanted)
    for name, text in wanted.items():
        assert len(found[name]) == 1 and text in found[name][0], (name, found[name])
