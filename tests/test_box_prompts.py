"""Boxes from the command line and in Python: alone, with clicks, many at once, refused, kept and replayed."""

import contextlib
import json
import sqlite3

import pytest
import shapely
from click.testing import CliRunner

from terraclick import outline, outlines
from terraclick.cli import cli
from terraclick.errors import BadClick
from terraclick.store.geopackage import GeoPackageStore

ROOF = (500258.0, 4649630.0, 500272.0, 4649645.0)
HOUSE = shapely.box(*ROOF)


def run(*words):
    return CliRunner().invoke(cli, ["segment", "sample", *words])


def text(numbers):
    return ",".join(f"{number:g}" if abs(number) < 1e5 else f"{number:.1f}" for number in numbers)


def test_a_box_alone_outlines_what_it_encloses_and_clicks_correct_it():
    found = outline("sample", [ROOF])
    assert found.clicks == () and found.sequence.box is not None and found.sequence.clicks == ()
    assert (
        0.3 < found.geometry.area / HOUSE.area < 1.1
        and found.geometry.intersection(HOUSE).area > 0.85 * found.geometry.area
    )
    less = outline("sample", [ROOF, (500270.0, 4649632.0, False)])
    assert len(less.clicks) == 1 and not less.geometry.contains(shapely.Point(500270.0, 4649632.0))
    pixels = tuple(
        (value - origin) / step
        for value, origin, step in zip(
            (ROOF[0], ROOF[3], ROOF[2], ROOF[1]), (500000, 4650000) * 2, (0.3, -0.3) * 2, strict=True
        )
    )
    same = outline("sample", [pixels], pixels=True)
    assert same.geometry.area * 0.09 == pytest.approx(found.geometry.area, rel=0.02)


@pytest.mark.parametrize(
    "box, said",
    [
        ((3, 4, 1, 8), "x1 < x2"),
        ((1, 8, 3, 4), "y1 < y2"),
        ((1, 1, 1, 8), "x1 < x2"),
        ((1, 2, 3, float("nan")), "four numbers"),
        ((1, 2, float("inf"), 3), "four numbers"),
        ((1, 2, True, 3), "four numbers"),
        ((-9, 2, 30, 40), "reaches outside the image"),
        ((5, 2, 30, 4000), "reaches outside the image"),
    ],
)
def test_what_is_no_box_is_refused_in_a_sentence(box, said):
    with pytest.raises(BadClick, match=said):
        outline("sample", [box], pixels=True)


def test_a_class_two_boxes_for_one_thing_and_narrow_bounds_are_refused():
    with pytest.raises(BadClick, match="one object"):
        outline("sample", [ROOF], target="class")
    with pytest.raises(BadClick, match="2 boxes"):
        outline("sample", [ROOF, ROOF])
    with pytest.raises(BadClick, match="outside the bounds"):
        outline("sample", [ROOF], bounds=(500260, 4649600, 500300, 4649700))
    with pytest.raises(BadClick, match="no including click"):
        outline("sample", [(500270.0, 4649632.0, False)])


def test_boxes_of_many_objects_share_a_run(tmp_path):
    groups = [[ROOF], [(500264.6, 4649637.1, True)]]
    assert [bool(one.sequence.box) for one in outlines("sample", groups)] == [True, False]
    told = run("--box", text(ROOF), "--box", "500250,4649750,500262,4649768", "--out", str(tmp_path / "two.gpkg"))
    assert told.exit_code == 0 and "from 2 boxes" in told.output
    mixed = run("--box", text(ROOF), "--box", text(ROOF), "--click", "500264.6,4649637.1")
    assert mixed.exit_code != 0 and "which click goes with which box" in str(mixed.exception)


def test_a_file_of_points_may_hold_boxes(tmp_path):
    rows = ["x,y,x2,y2,object,positive,class", f"{text(ROOF)},a,,building", "500270,4649632,,,a,0,building"]
    (tmp_path / "some.csv").write_text("\n".join([*rows, "500287.0,4649637.9,,,b,1,building"]))
    out = tmp_path / "out.gpkg"
    told = run("--points", str(tmp_path / "some.csv"), "--out", str(out))
    assert told.exit_code == 0 and "2 objects from 1 box and 2 clicks" in told.output
    with GeoPackageStore.open(out) as store:
        first, second = store.objects()
        assert (first.n_clicks, second.n_clicks) == (2, 1)
        assert store.view_of(second.uuid).box is None
        x1, y1, x2, y2 = store.view_of(first.uuid).box
        assert (x1, y2, x2, y1) == pytest.approx(ROOF)
    again = CliRunner().invoke(cli, ["replay", str(out), "--json"])
    ious = [row["ious"] for row in json.loads(again.output)["rows"]]
    assert [len(row) for row in ious] == [2, 1] and min(row[-1] for row in ious) > 0.97

    polygon = {"type": "Feature", "properties": {"object": "a"}, "geometry": shapely.geometry.mapping(HOUSE)}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    whole = {"type": "FeatureCollection", "crs": crs, "features": [polygon]}
    (tmp_path / "some.geojson").write_text(json.dumps(whole))
    told = run("--points", str(tmp_path / "some.geojson"), "--out", str(tmp_path / "b.gpkg"))
    assert told.exit_code == 0 and "1 object from 1 box" in told.output
    whole["features"] *= 2
    (tmp_path / "some.geojson").write_text(json.dumps(whole))
    told = run("--points", str(tmp_path / "some.geojson"))
    assert "more than one box" in str(told.exception)
    (tmp_path / "some.csv").write_text(f"x,y,x2,y2\n{text((9, 9, 4, 12))}\n")
    told = run("--points", str(tmp_path / "some.csv"), "--pixels")
    assert "point 1" in str(told.exception) and "x1 < x2" in str(told.exception)
    (tmp_path / "some.csv").write_text("x,y,x2,y2\n1,2,3,\n")
    assert "no place" in str(run("--points", str(tmp_path / "some.csv"), "--pixels").exception)


def test_a_session_of_an_earlier_release_takes_boxes(tmp_path):
    out = tmp_path / "work.gpkg"
    assert run("--click", "500264.6,4649637.1", "--out", str(out)).exit_code == 0
    with contextlib.closing(sqlite3.connect(out)) as db:
        db.execute("ALTER TABLE views DROP COLUMN box")
        db.commit()
    assert run("--box", text(ROOF), "--out", str(out), "--append").exit_code == 0
    with GeoPackageStore.open(out) as store:
        assert [store.view_of(item.uuid).box is not None for item in store.objects()] == [False, True]
