"""Drawing and editing in a real Chromium: corners, guides, moving, parts, stacks, classes; by key and by touch."""

import itertools

import pytest
import shapely
from map_driver import at_the_map, begin_anew
from test_map_chronology import POST
from test_map_story import Town, drag, make_class, middle, polyline, shape_of, square


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with at_the_map(tmp_path_factory.mktemp("drawing"), "sample") as driver:
        yield driver


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(autouse=True)
def clean(driver):
    """Each test begins with the whole picture, the click tool and no objects."""
    begin_anew(driver)
    yield
    assert not driver.complaints, driver.complaints


def only(driver):
    (feature,) = driver.objects()
    return shapely.geometry.shape(feature["geometry"])


def place(driver, *where):
    driver.page.mouse.move(*driver.at(*where))
    driver.page.wait_for_timeout(60)


@pytest.mark.parametrize("by", [3, 6, 9])
def test_a_corner_moves_by_a_few_pixels_of_the_screen(driver, by):
    """It snapped to its own old place: nothing within 8 px could be corrected."""
    square(driver, 600, 500, 640, 540)
    driver.show(620, 520, zoom=6)
    driver.key("e")
    x, y = driver.at(640, 540)
    driver.page.mouse.click(*driver.at(620, 520))
    driver.page.mouse.move(x, y)
    driver.page.wait_for_timeout(80)
    driver.page.mouse.down()
    driver.page.mouse.move(x + by, y + by, steps=4)
    driver.act(driver.page.mouse.up, "/objects/place")
    wide = driver.at(641, 541)[0] - x
    moved = shapely.get_coordinates(only(driver)).max(axis=0) - (640, 540)
    assert moved == pytest.approx([by / wide, by / wide], abs=0.6 / wide)


def test_a_corner_snaps_onto_the_corners_and_edges_of_a_line(driver):
    """A polygon that ends at a road or a fence meets it exactly: at its corner, and between two of its corners."""
    page = driver.page
    driver.show(640, 520, zoom=5)
    driver.key("Shift+L")
    for at in ((600, 500), (680, 500), (680, 560)):
        page.mouse.move(*driver.at(*at), steps=3)
        page.mouse.click(*driver.at(*at))
        page.wait_for_timeout(300)
    driver.press("Enter", "/items")
    line = only(driver)
    wide = driver.at(651, 0)[0] - driver.at(650, 0)[0]
    near = 5 / wide  # within the eight pixels of the screen in which a corner snaps
    driver.key("p")
    corners = [(600 + near, 500 + near), (640, 500 + near), (640, 540), (600 + near, 540)]
    driver.act(lambda: polyline(driver, *corners), "/items?")
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in driver.objects()]
    drawn = next(shape for shape in shapes if shape.geom_type == "Polygon")
    places = [shapely.Point(corner) for corner in shapely.get_coordinates(drawn)[:-1]]
    assert min(place.distance(shapely.Point(line.coords[0])) for place in places) < 1e-6
    onto = [place for place in places if place.distance(line) < 1e-6]
    assert len(onto) == 2 and all(abs(place.y - line.coords[0][1]) < 1e-6 for place in onto)
    assert sum(place.distance(line) > 20 for place in places) == 2  # what is far from it stays where it was put


def test_alt_suspends_snapping(driver):
    square(driver, 600, 500, 640, 540)
    square(driver, 660, 500, 700, 540)
    driver.show(650, 520, zoom=5)
    driver.key("e")
    driver.page.mouse.click(*driver.at(620, 520))
    wide = driver.at(651, 0)[0] - driver.at(650, 0)[0]
    for alt, expected in ((False, 660), (True, 660 - 5 / wide)):
        place(driver, 640 if not alt else 660, 500)
        driver.page.mouse.down()
        if alt:
            driver.page.keyboard.down("Alt")
        driver.page.mouse.move(driver.at(660, 500)[0] - 5, driver.at(660, 500)[1], steps=5)
        driver.act(driver.page.mouse.up, "/objects/place")
        driver.page.keyboard.up("Alt")
        objects = sorted((shapely.geometry.shape(f["geometry"]) for f in driver.objects()), key=lambda s: s.bounds[0])
        assert objects[0].bounds[2] == pytest.approx(expected, abs=0.7 / wide)


def test_a_drawing_is_held_on_right_angles_and_says_lengths_and_a_right_click_ends_it(driver):
    page = driver.page
    driver.show(640, 520, zoom=5)
    driver.key("p")
    for at in ((600, 500), (660, 500.4), (660.5, 540)):
        place(driver, *at)
        page.mouse.click(*driver.at(*at))
        page.wait_for_timeout(300)
    place(driver, 601, 540.6)
    assert "90°" in page.locator(".measure").inner_text() and " m" in page.locator(".measure").inner_text()
    page.mouse.click(*driver.at(601, 540.6))
    page.wait_for_timeout(300)
    driver.act(lambda: page.mouse.click(*driver.at(601, 540.6), button="right"), "/items?")
    found = only(driver)
    assert len(found.exterior.coords) == 5
    edges = shapely.get_coordinates(found)
    box = shapely.box(*found.bounds)
    assert found.symmetric_difference(box).area < 0.5, edges


def test_several_corners_move_and_go_together(driver):
    page = driver.page
    square(driver, 600, 500, 660, 540)
    driver.show(630, 520, zoom=4)
    driver.key("e")
    page.mouse.click(*driver.at(630, 520))
    page.keyboard.down("Shift")
    drag(driver, (650, 490), (675, 550))
    page.keyboard.up("Shift")
    place(driver, 660, 500)
    page.mouse.down()
    page.mouse.move(*driver.at(690, 500), steps=5)
    driver.act(page.mouse.up, "/objects/place")
    assert only(driver).bounds == pytest.approx((600, 500, 690, 540), abs=1)
    driver.press("Control+z", "/undo")
    assert only(driver).bounds == pytest.approx((600, 500, 660, 540), abs=1)


def test_delete_in_the_corner_tool_removes_a_corner_not_the_object(driver):
    driver.key("p")
    driver.act(lambda: polyline(driver, (600, 500), (660, 500), (690, 520), (660, 540), (600, 540)), "/items?")
    driver.key("e")
    driver.page.mouse.click(*driver.at(630, 520))
    place(driver, 690, 520)
    driver.press("Delete", "/objects/place")
    assert len(only(driver).exterior.coords) == 5 and only(driver).bounds[2] < 665


def test_objects_are_moved_turned_nudged_copied_and_taken_apart(driver):
    page = driver.page
    square(driver, 600, 500, 660, 540)
    driver.show(630, 520, zoom=3)
    driver.key("k")
    place(driver, 630, 520)
    page.mouse.down()
    page.mouse.move(*driver.at(650, 530), steps=5)
    driver.act(page.mouse.up, "/objects/place")
    assert only(driver).bounds == pytest.approx((620, 510, 680, 550), abs=1)
    driver.press("ArrowRight", "/objects/place")
    assert only(driver).bounds == pytest.approx((621, 510, 681, 550), abs=1)
    x, y = driver.at(651, 510)
    page.mouse.move(x, y - 26)
    page.mouse.down()
    cx, cy = driver.at(651, 530)
    page.mouse.move(cx + (cy - y + 26), cy, steps=8)
    driver.act(page.mouse.up, "/objects/place")
    left, top, right, bottom = only(driver).bounds
    assert (right - left, bottom - top) == pytest.approx((40, 60), abs=2)
    driver.key("Control+c")
    place(driver, 780, 530)
    driver.press("Control+v", "/objects/copy")
    assert len(driver.objects()) == 2
    driver.key("v")
    driver.key("Control+a")
    driver.press("m", "/objects/merge")
    assert only(driver).geom_type == "MultiPolygon"
    driver.press("u", "/objects/explode")
    assert len(driver.objects()) == 2
    for _ in range(6):
        driver.press("Control+z", "/undo")
    assert only(driver).bounds == pytest.approx((600, 500, 660, 540), abs=1)


def test_a_hole_is_cut_into_an_outline_that_is_not_accepted_yet(driver, town):
    house = town.near("building", 900, 620, least=900)[0]
    before = shape_of(driver.click(*middle(house))["outline"])
    driver.show(*middle(house), zoom=5)
    x, y = middle(house)
    driver.key("o")
    ring = [(x - 6, y - 6), (x + 6, y - 6), (x + 6, y + 6), (x - 6, y + 6)]
    cut = driver.act(lambda: polyline(driver, *ring), "/paint")
    left = shape_of(cut["outline"])
    assert left.area == pytest.approx(before.area - 144, abs=12)
    driver.key("c")
    driver.press("Enter", "/accept")
    assert len(driver.objects()) == 1


def test_a_click_at_the_same_place_takes_what_lies_behind(driver):
    square(driver, 600, 500, 760, 640)
    square(driver, 640, 540, 700, 600)
    driver.key("v")
    areas = []
    for _ in range(3):
        driver.page.mouse.click(*driver.at(670, 570))
        driver.page.wait_for_timeout(600)
        uuid = driver.page.get_attribute(".item.selected", "data-uuid")
        areas.append(
            round(shapely.geometry.shape(next(f for f in driver.objects() if f["id"] == uuid)["geometry"]).area, -2)
        )
    assert areas[0] == areas[2] < areas[1]


def test_classes_are_hidden_and_locked(driver):
    page = driver.page
    make_class(driver, "field")
    page.select_option(".class-pick select", "field")
    square(driver, 600, 500, 700, 600)
    driver.key("v")
    page.click("[data-page=classes]")
    page.click('[aria-label="Lock field"]')
    page.mouse.click(*driver.at(650, 550))
    page.wait_for_timeout(200)
    assert page.locator(".bulk:not([hidden])").count() == 0
    page.click("[data-page=classes]")
    page.click('[aria-label="Unlock field"]')
    page.click('[aria-label="Hide field"]')
    page.mouse.click(*driver.at(650, 550))
    page.wait_for_timeout(200)
    assert page.locator(".bulk:not([hidden])").count() == 0
    page.click('[aria-label="Show field"]')
    page.mouse.click(*driver.at(650, 550))
    page.wait_for_selector(".bulk:not([hidden])")


def test_a_length_is_measured_and_a_place_is_gone_to(driver):
    page = driver.page
    driver.key("l")
    for at in ((600, 500), (700, 500)):
        place(driver, *at)
        page.mouse.click(*driver.at(*at))
        page.wait_for_timeout(300)
    page.mouse.click(*driver.at(700, 500), button="right")
    page.wait_for_selector(".toast:has-text('30')")
    driver.key("c")
    driver.key("Control+g")
    page.fill("dialog input", "500300, 4649700")
    page.click("dialog footer .primary")
    page.wait_for_selector("dialog", state="detached")
    driver.settle()
    left, bottom, right, top = map(float, page.get_attribute(".map", "data-extent").split())
    assert ((left + right) / 2, -(bottom + top) / 2) == pytest.approx((1000, 1000), abs=25)


def test_an_object_is_outlined_without_a_mouse(driver, town):
    page = driver.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body"), "Tab leads into the page"
    page.evaluate("document.querySelector('.map').focus()")
    driver.key("ArrowRight")
    for _ in range(8):
        driver.key("ArrowUp")
    driver.press(".", "/clicks")
    assert driver.get("/api/sessions")["sessions"][-1]["clicks"]


def test_keys_count_by_their_place_on_other_layouts(driver):
    page = driver.page
    press = "([key, code]) => window.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true}))"
    page.evaluate(press, ["м", "KeyV"])
    page.wait_for_selector('[data-tool="select"][aria-pressed="true"]')
    page.evaluate(press, ["c", "KeyI"])
    page.wait_for_selector('[data-tool="click"][aria-pressed="true"]')


def test_plus_and_minus_zoom(driver):
    before = driver.page.get_attribute(".map", "data-extent")
    driver.key("+")
    driver.settle()
    assert driver.page.get_attribute(".map", "data-extent") != before
    driver.key("-")
    driver.settle()
    assert driver.page.locator(".toast").count() == 0


def test_a_double_click_is_one_click(driver, town):
    house = town.near("building", 900, 620, least=900)[0]
    with driver.page.expect_response(lambda r: "/clicks" in r.url):
        driver.page.mouse.dblclick(*driver.at(*middle(house)))
    driver.quiet()
    assert len(driver.get("/api/sessions")["sessions"][-1]["clicks"]) == 1


def test_what_is_drawn_by_hand_gets_its_label(driver):
    driver.key("p")
    driver.page.fill(".current [aria-label=Label]", "barn 7")
    driver.page.keyboard.press("Enter")
    drawn = square(driver, 600, 500, 660, 540)
    assert drawn["properties"]["label"] == "barn 7"
    driver.key("p")
    assert driver.page.input_value(".current [aria-label=Label]") == ""


def test_the_help_opens_on_the_guide(driver):
    page = driver.page
    driver.key("?")
    page.wait_for_selector("dialog .guide:has-text('Outline a thing')")
    page.click('[data-help="keys"]')
    page.wait_for_selector('dialog [data-key="tool.move"]')
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_by_touch(driver, town):
    """A tap shows the buttons that a hand without keys needs: exclude, accept, brush sizes, finish."""
    page = driver.page
    house = town.near("building", 900, 620, least=900)[0]
    tap = """([x, y]) => {
        const target = document.querySelector(".map .ol-viewport");
        const init = {bubbles: true, cancelable: true, composed: true, pointerId: 7, pointerType: "touch",
            isPrimary: true, button: 0, clientX: x, clientY: y};
        target.dispatchEvent(new PointerEvent("pointerdown", {...init, buttons: 1}));
        target.dispatchEvent(new PointerEvent("pointerup", init));
    }"""
    first = driver.act(lambda: page.evaluate(tap, list(driver.at(*middle(house)))), "/clicks")
    page.click('.touchbar [data-excluding="true"]')
    second = driver.act(
        lambda: page.evaluate(tap, list(driver.at(house.bounds[0] + 3, house.bounds[1] + 3))), "/clicks"
    )
    assert [click["positive"] for click in second["clicks"]] == [True, False] and first["outline"]
    driver.act(lambda: page.click(".touchbar [data-keep]"), "/accept")
    assert len(driver.objects()) == 1
    driver.key("b")
    page.click('.touchbar [data-brush="larger"]')
    driver.key("p")
    page.wait_for_selector(".touchbar [data-finish]")


def test_a_line_and_a_point_are_drawn_listed_edited_and_undone(driver):
    """Kept as they are drawn, a line with its length in the list; a corner moves, and undo brings it back."""
    page = driver.page
    driver.show(300, 300, 2)
    driver.key("Shift+L")
    for at in ((250, 300), (330, 300), (330, 360)):
        page.mouse.move(*driver.at(*at), steps=3)
        page.mouse.click(*driver.at(*at))
        page.wait_for_timeout(300)
    driver.press("Enter", "/items")
    line = only(driver)
    assert line.geom_type == "LineString" and len(line.coords) == 3
    assert abs(line.length - 140) < 4
    row = page.locator(".item .detail").first.inner_text()
    assert " m" in row and "m²" not in row, row
    driver.key("Shift+P")
    x, y = driver.at(280, 340)
    driver.act(lambda: page.mouse.click(x, y), "/items")
    kinds = {shape_of(feature).geom_type for feature in driver.objects()}
    assert kinds == {"LineString", "Point"}
    assert any("point" in text for text in page.locator(".item .detail").all_inner_texts())
    driver.press("Control+z", "/undo")
    assert only(driver).geom_type == "LineString"
    driver.key("v")
    x, y = driver.at(290, 300)
    page.mouse.click(x, y)
    driver.settle()
    driver.key("e")
    driver.act(lambda: drag(driver, (330, 360), (350, 390)), "/place")
    assert abs(only(driver).coords[-1][0] - 350) < 3 and abs(only(driver).coords[-1][1] - 390) < 3
    driver.press("Control+z", "/undo")
    assert abs(only(driver).coords[-1][0] - 330) < 3
    driver.key("k")
    driver.act(lambda: drag(driver, (290, 300), (310, 320)), "/place")
    moved = only(driver)
    assert moved.geom_type == "LineString" and abs(moved.coords[0][0] - 270) < 3 and abs(moved.coords[0][1] - 320) < 3
    driver.press("Delete", "/objects/delete")
    assert driver.objects() == []
    driver.press("Control+z", "/undo")
    assert only(driver).equals_exact(moved, 1e-3)


@pytest.mark.parametrize("width", [768, 820, 1000, 1180, 1366, 1920])
def test_the_buttons_of_what_is_selected_keep_their_rows(driver, width):
    """They wrapped one by one where the panel is narrow; the two rows are the same at every width, all within it."""
    page = driver.page
    parts = [[[[x, 500], [x + 30, 500], [x + 30, 540], [x, 540], [x, 500]]] for x in (600, 660)]
    page.evaluate(
        POST,
        [
            "/api/collections/objects/items?crs=pixels&image=sample",
            {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": parts}, "properties": {}},
        ],
    )
    page.wait_for_selector(".item")
    page.set_viewport_size({"width": width, "height": 768})
    try:
        driver.settle()
        page.click(".item")
        page.wait_for_selector(".bulk b")
        rows = page.evaluate(
            """() => [...document.querySelectorAll(".bulk .acts")].map((row) => [...row.children].map((child) => {
                const box = child.getBoundingClientRect();
                return [Math.round(box.y + box.height / 2), box.left, box.right];
            }))"""
        )
        right = page.evaluate("() => document.querySelector('.bulk').getBoundingClientRect().right")
        left = page.evaluate("() => document.querySelector('.bulk').getBoundingClientRect().left")
        assert len(rows) == 2 and [len(row) for row in rows] == [4, 5]
        for row in rows:
            assert max(y for y, _, _ in row) - min(y for y, _, _ in row) <= 1, rows
            assert all(left <= begin and end <= right for _, begin, end in row), rows
            assert all(one[2] <= other[1] + 0.5 for one, other in itertools.pairwise(row)), rows
    finally:
        page.set_viewport_size({"width": 1440, "height": 900})
        driver.settle()
