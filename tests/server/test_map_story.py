"""The whole job in a real Chromium on the packaged town: open, click, correct, keep, find the rest, edit, export."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from map_driver import at_the_map
from pyproj import Transformer

import terraclick

TRUTH = Path(terraclick.__file__).parent / "data" / "sample_truth.geojson"
ORIGIN, STEP, EPSG = (500000, 4650000), (0.3, -0.3), 32633


def to_pixels(shape):
    """Longitude and latitude → pixels of the packaged picture."""
    to_map = Transformer.from_crs(4326, EPSG, always_xy=True)
    return shapely.transform(shape, lambda points: (np.column_stack(to_map.transform(*points.T)) - ORIGIN) / STEP)


class Town:
    """The packaged town's true objects in pixels of its picture."""

    def __init__(self):
        features = json.loads(TRUTH.read_text())["features"]
        self.shapes = [(f["properties"]["class"], to_pixels(shapely.geometry.shape(f["geometry"]))) for f in features]

    def of(self, name, least=0):
        return [shape for kind, shape in self.shapes if kind == name and shape.area >= least]

    def near(self, name, x, y, least=0):
        """Those of a kind, nearest first."""
        return sorted(self.of(name, least), key=lambda shape: shape.centroid.distance(shapely.Point(x, y)))


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with at_the_map(tmp_path_factory.mktemp("map"), "sample") as driver:
        yield driver


@pytest.fixture(autouse=True)
def clean(driver):
    """Each test begins with the whole picture, the click tool and no objects; and ends without a complaint."""
    page = driver.page
    if page.locator("dialog[open]").count():
        driver.key("Escape")
    for _ in range(3):
        driver.key("Escape")
        page.wait_for_timeout(120)
    if uuids := [feature["id"] for feature in driver.objects()]:
        driver.key("Control+a")
        driver.press("Delete", "/objects/delete")
        assert len(uuids) > 0 and not driver.objects()
    if page.locator('[data-target="object"]').get_attribute("aria-pressed") != "true":
        page.click('[data-target="object"]')
    driver.key("c")
    driver.key("0")
    driver.settle()
    driver.complaints.clear()
    yield
    assert not driver.complaints, driver.complaints


def shape_of(feature):
    return shapely.make_valid(shapely.geometry.shape(feature["geometry"]))


def iou(one, other):
    return one.intersection(other).area / one.union(other).area


def middle(shape):
    """A place well inside the largest part of a shape."""
    part = max(getattr(shape, "geoms", [shape]), key=lambda part: part.area)
    place = shapely.maximum_inscribed_circle(part).coords[0] if part.geom_type == "Polygon" else part.centroid.coords[0]
    return place


def make_class(driver, name):
    page = driver.page
    page.click("[data-page=classes]")
    page.click('button:has-text("New class")')
    page.fill("dialog input[type=text] >> nth=0", name)
    driver.confirm("/api/classes/", "PUT")


def outline(driver, truth, target=0.85, most=8):
    """Click like a person who knows the answer: the middle of the largest error, until the outline fits."""
    answer = driver.click(*middle(truth))
    for _ in range(most - 1):
        found = shape_of(answer["outline"]) if not answer["outline"]["empty"] else shapely.Polygon()
        if iou(found, truth) >= target:
            break
        missing, excess = truth.difference(found), found.difference(truth)
        positive = missing.area >= excess.area
        answer = driver.click(*middle(missing if positive else excess), button="left" if positive else "right")
    return answer


def polyline(driver, *places):
    """Draw corner by corner; the last one ends it."""
    page = driver.page
    for place in places[:-1]:
        page.mouse.move(*driver.at(*place))
        page.mouse.click(*driver.at(*place))
        page.wait_for_timeout(300)  # two clicks within a quarter of a second would be a double click
    page.mouse.move(*driver.at(*places[-1]))
    page.mouse.dblclick(*driver.at(*places[-1]))


def drag(driver, start, end):
    page = driver.page
    page.mouse.move(*driver.at(*start))
    page.wait_for_timeout(80)
    page.mouse.down()
    page.mouse.move(*driver.at(*end), steps=6)
    page.mouse.up()


def square(driver, left, top, right, bottom):
    """An object drawn by hand."""
    driver.key("p")
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return driver.act(lambda: polyline(driver, *corners), "/items?")


def test_click_correct_undo_redo_accept(driver, town):
    house = town.near("building", 760, 700, least=500)[0]
    driver.show(*middle(house), zoom=5)
    first = driver.click(*middle(house))
    assert iou(shape_of(first["outline"]), house) > 0.5
    second = driver.click(house.bounds[2] + 6, house.centroid.y, button="right")
    assert [click["positive"] for click in second["clicks"]] == [True, False]
    assert driver.press("Control+z", "/undo")["session"]["outline"]["geometry"] == first["outline"]["geometry"]
    assert driver.press("Control+y", "/redo")["session"]["outline"]["geometry"] == second["outline"]["geometry"]
    kept = driver.press("Enter", "/accept")
    assert kept["properties"]["n_clicks"] == 2 and driver.listed == 1
    assert iou(shape_of(driver.objects()[0]), house) > 0.5
    back = driver.press("Control+z", "/api/undo")  # the accept itself: its clicks are there again
    assert len(back["session"]["clicks"]) == 2 and driver.listed == 0
    driver.press("Control+y", "/api/redo")
    assert driver.listed == 1


def test_draw_cut_split_merge_move_paint_and_take_all_back(driver):
    driver.show(400, 300, zoom=5)
    assert shape_of(square(driver, 330, 280, 400, 340)).area == pytest.approx(4200, rel=0.02)
    driver.key("o")
    hole = driver.act(lambda: polyline(driver, (350, 300), (370, 300), (370, 320), (350, 320)), "/cut")
    assert shape_of(hole["objects"][0]).area == pytest.approx(3800, rel=0.02)
    driver.key("s")
    parts = driver.act(lambda: polyline(driver, (365, 260), (365, 355)), "/split")["objects"]
    assert sorted(shape_of(part).area for part in parts) == pytest.approx([1800, 2000], rel=0.06)
    driver.key("v")
    driver.key("Control+a")
    whole = driver.press("m", "/merge")
    assert shape_of(whole["objects"][0]).area == pytest.approx(3800, rel=0.02)
    driver.key("e")
    moved = driver.act(lambda: drag(driver, (330, 280), (310, 270)), "/objects/place")["objects"][0]
    assert shape_of(moved).bounds[:2] == pytest.approx((310, 270), abs=1.5)
    driver.key("b")
    painted = driver.act(lambda: drag(driver, (390, 290), (440, 290)), "/add")
    assert shape_of(painted["objects"][0]).bounds[2] > 440
    driver.key("x")
    erased = driver.act(lambda: drag(driver, (430, 290), (440, 290)), "/cut")
    assert shape_of(erased["objects"][0]).area < shape_of(painted["objects"][0]).area
    driver.press("Delete", "/objects/delete")
    for _ in range(8):
        driver.press("Control+z", "/api/undo")
    assert driver.listed == 0 and not driver.objects()
    for _ in range(7):
        driver.press("Control+y", "/api/redo")
    assert shape_of(driver.objects()[0]).equals(shape_of(erased["objects"][0]))


def test_labels_are_text_and_lists_filter_and_relabel(driver):
    page = driver.page
    make_class(driver, "field")
    driver.show(400, 300, zoom=5)
    square(driver, 330, 280, 360, 310)
    square(driver, 380, 280, 410, 310)
    page.click("[data-page=objects]")
    page.locator(".item").first.click()
    label = page.locator('input[aria-label="Label of the object"]')
    label.fill("<img src=x onerror=alert(1)>")
    driver.act(lambda: label.press("Enter"), "/objects/set")
    assert page.locator(".item .name", has_text="<img src=x onerror=alert(1)>").count() == 1
    assert page.locator(".item img").count() == 0
    page.fill('input[type=search][aria-label="Filter"]', "onerror")
    page.wait_for_timeout(200)
    assert page.locator(".item").count() == 1
    page.fill('input[type=search][aria-label="Filter"]', "")
    page.locator(".map").focus()
    driver.key("Control+a")
    make_class(driver, "meadow")
    driver.press("2", "/objects/set")
    assert {feature["properties"]["class"] for feature in driver.objects()} == {"meadow"}
    driver.press("Control+z", "/api/undo")
    assert {feature["properties"]["class"] for feature in driver.objects()} == {"field"}


def test_what_others_do_shows_up_and_a_stale_save_keeps_both(driver):
    page = driver.page
    driver.show(400, 300, zoom=5)
    mine = square(driver, 330, 280, 400, 340)
    other = driver.press_elsewhere(mine, {"label": "theirs"})
    page.wait_for_selector('.item .name:has-text("theirs")')
    assert other["properties"]["rev"] == mine["properties"]["rev"] + 1
    page.route("**/api/events*", lambda route: route.abort())  # from here on this window hears nothing of the others
    driver.open()
    driver.show(365, 310, zoom=5)
    driver.press_elsewhere(other, {"label": "theirs again"})
    driver.key("e")
    page.mouse.click(*driver.at(365, 310))
    page.wait_for_timeout(200)
    drag(driver, (330, 280), (310, 270))
    page.wait_for_selector('.toast:has-text("changed this object meanwhile")')
    page.unroute("**/api/events*")
    driver.open()
    assert sorted(feature["properties"]["status"] for feature in driver.objects()) == ["accepted", "conflict"]
    driver.complaints.clear()  # the answer 409 and the closed stream are what this is about


def test_peeking_and_the_swipe_show_the_picture_alone(driver):
    page = driver.page
    driver.show(400, 300, zoom=5)
    square(driver, 330, 280, 400, 340)
    driver.key("c")
    page.mouse.move(*driver.at(560, 330))
    x, y = driver.at(340, 290)
    assert x < page.locator(".map").bounding_box()["width"] / 2

    def look():
        """The picture once it stands still."""
        before = None
        for _ in range(60):
            driver.settle()
            now = page.screenshot(clip={"x": x, "y": y, "width": 12, "height": 12})
            if now == before:
                return now
            before = now
            page.wait_for_timeout(400)
        raise AssertionError("the picture never stands still")

    shown = look()
    page.keyboard.down("t")
    bare = look()
    page.keyboard.up("t")
    assert look() == shown != bare
    driver.key("w")
    assert look() == bare
    driver.key("w")
    assert look() == shown


def test_a_key_can_be_changed_and_is_remembered(driver):
    page = driver.page
    driver.key("?")
    page.click('[data-help="keys"]')
    page.click('[data-key="tool.draw"]')
    driver.key("k")
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")
    driver.open()
    driver.key("k")
    assert page.locator('[data-tool="draw"]').get_attribute("aria-pressed") == "true"
    driver.key("?")
    page.click('text="Reset all keys"')
    driver.key("Escape")


def test_classes_are_undone_like_everything_else(driver):
    page = driver.page
    make_class(driver, "barn")
    driver.show(400, 300, zoom=5)
    square(driver, 330, 280, 400, 340)
    page.click("[data-page=classes]")
    page.dblclick('[data-class="barn"]')
    page.fill("dialog input[type=text] >> nth=0", "stable")
    driver.confirm("/api/classes/barn", "PUT")
    page.wait_for_selector('[data-class="stable"]')
    assert driver.objects()[0]["properties"]["class"] == "stable"
    page.locator(".map").focus()
    driver.press("Control+z", "/api/undo")
    page.wait_for_selector('[data-class="barn"]')
    assert driver.objects()[0]["properties"]["class"] == "barn"
    driver.press("Control+z", "/api/undo")
    assert not driver.objects()


def test_imported_polygons_are_reviewed_by_key(driver, tmp_path):
    rings = [[[x, 600], [x + 40, 600], [x + 40, 630], [x, 630], [x, 600]] for x in (600, 700)]
    shapes = [{"type": "Polygon", "coordinates": [ring]} for ring in rings]
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    (tmp_path / "two.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    page = driver.page
    driver.key("Control+i")
    page.set_input_files("dialog input[type=file]", tmp_path / "two.geojson")
    page.select_option("dialog select >> nth=1", "pixels")
    driver.confirm("/api/import")
    assert {feature["properties"]["status"] for feature in driver.objects()} == {"imported"}
    driver.key("g")
    driver.settle()
    driver.press("y", "/objects/set")
    driver.settle()
    driver.press("n", "/objects/set")
    assert {feature["properties"]["status"] for feature in driver.objects()} == {"approved", "rejected"}
    assert "2 of 2 reviewed" in page.locator(".foot").inner_text()


@pytest.mark.slow
def test_the_whole_job_and_its_export_against_the_truth(driver, town):
    page = driver.page
    make_class(driver, "house")
    houses = town.near("building", 900, 620, least=500)[:3]
    driver.show(900, 620, zoom=3)
    clicks = []
    for house in houses:
        outline(driver, house)
        clicks.append(driver.press("Enter", "/accept")["properties"]["n_clicks"])
    make_class(driver, "pool")
    driver.key("c")
    pool = town.near("water", 900, 620)[0]
    outline(driver, pool, target=0.7)
    driver.press("Enter", "/accept")
    driver.key("v")
    page.mouse.click(*driver.at(*middle(pool)))
    page.wait_for_timeout(200)
    driver.press("i", "/references")
    found = driver.press("f", "/proposals")
    page.wait_for_timeout(300)
    kept = 0
    for item in found["items"]:
        right = any(iou(shape_of(item["outline"]), other) > 0.4 for other in town.of("water"))
        if right:
            kept += len(driver.press("y", "/accept")["objects"])
        else:
            driver.press("n", "/refuse")
        page.wait_for_timeout(120)
    driver.key("Escape")
    assert driver.listed == 4 + kept
    driver.key("Control+e")
    page.click('.format:has-text("GeoJSON")')
    page.fill("dialog input[required]", "town")
    result = driver.act(lambda: page.click("dialog footer .primary"), "/api/exports")
    driver.key("Escape")
    features = json.loads((driver.folder / result["name"]).read_text())["features"]
    exported = [(f["properties"]["class"], to_pixels(shapely.geometry.shape(f["geometry"]))) for f in features]
    fits = [max(iou(shape, house) for kind, shape in exported if kind == "house") for house in houses]
    assert min(fits) > 0.7 and np.mean(fits) > 0.8, (fits, clicks)
    assert len(exported) == 4 + kept
