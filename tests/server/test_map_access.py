"""The map for everybody: axe-core (WCAG 2.1 AA) finds nothing on the page and every dialog; nothing is cut off."""

import itertools
from pathlib import Path

import pytest
from map_driver import at_the_map

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """() => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}).then(
    found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + " " +
        (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? ""))))"""
SIZES = {"laptop": (1366, 768), "tablet": (768, 1024), "phone": (390, 844)}


@pytest.fixture(scope="module", params=SIZES)
def driver(request, tmp_path_factory):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run npm ci in web/")
    with at_the_map(tmp_path_factory.mktemp("access"), "sample", size=SIZES[request.param]) as driver:
        driver.page.evaluate(AXE.read_text())  # the page itself loads nothing from elsewhere
        yield driver


def faults(driver):
    driver.page.wait_for_timeout(350)  # what fades in is there
    return driver.page.evaluate(RUN)


def test_the_page_and_every_page_of_the_panel(driver):
    page = driver.page
    assert faults(driver) == []
    page.evaluate("document.querySelector('.map').focus()")
    driver.key("ArrowUp")
    driver.press(".", "/clicks")
    driver.page.wait_for_timeout(300)
    assert faults(driver) == []
    driver.press("Enter", "/accept")
    for name in ("classes", "examples", "objects"):
        page.click(f"[data-page={name}]")
        assert faults(driver) == [], name
    driver.key("v")
    driver.key("Control+a")
    assert faults(driver) == []
    driver.key("c")


@pytest.mark.parametrize("keys", ["?", "Control+e", "Control+i", "Control+g"])
def test_every_dialog(driver, keys):
    page = driver.page
    driver.key(keys)
    page.wait_for_selector("dialog[open]")
    try:
        assert faults(driver) == []
        box = page.locator("dialog").bounding_box()
        size = page.viewport_size
        assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
        assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
        if keys == "?":
            page.click('[data-help="keys"]')
            assert faults(driver) == []
    finally:
        driver.key("Escape")
        page.wait_for_selector("dialog", state="detached")


def test_the_dialog_of_a_class(driver):
    page = driver.page
    page.click("[data-page=classes]")
    page.click('button:has-text("New class")')
    page.wait_for_selector("dialog[open]")
    page.click('button:has-text("Column")')
    assert faults(driver) == []
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_every_field_of_a_class_has_room_to_type(driver):
    page = driver.page
    page.click("[data-page=classes]")
    page.click('button:has-text("New class")')
    page.click('button:has-text("Column")')
    for name in ("Column name", "Type", "Choices"):
        assert page.locator(f"dialog [aria-label='{name}']").bounding_box()["width"] >= 70, name
    page.fill("[aria-label='Column name']", "roof")
    page.fill("[aria-label=Choices]", "flat, gable")
    page.click("[aria-label='Remove the column']")
    assert page.locator("[aria-label='Column name']").count() == 0
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_pages_of_the_panel_are_reached_by_arrow_keys(driver):
    page = driver.page
    page.click("[data-page=objects]")
    page.locator("[data-page=objects]").focus()
    for keys, shown in (("ArrowRight", "classes"), ("ArrowLeft", "objects"), ("ArrowLeft", "examples")):
        driver.key(keys)
        page.wait_for_selector(f"#page-{shown}", state="visible")
        assert page.evaluate("document.activeElement.dataset.page") == shown
    driver.key("ArrowRight")


def test_the_swipe_is_moved_by_keys_and_says_where_it_is(driver):
    page = driver.page
    page.locator(".map").focus()
    driver.key("w")
    handle = page.locator(".swipe-handle")
    handle.focus()
    before = handle.bounding_box()["x"]
    driver.key("ArrowRight")
    page.wait_for_selector(".swipe-handle[aria-valuenow='55']")
    assert handle.bounding_box()["x"] > before
    assert faults(driver) == []
    page.locator(".map").focus()
    driver.key("w")
    page.wait_for_selector(".swipe-handle", state="detached")


@pytest.mark.parametrize("width", [390, 768, 1001, 1181, 1280, 1366, 1440, 1920])
def test_the_toolbar_is_whole_and_names_the_image_at_every_width(driver, width):
    page, before = driver.page, driver.page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    try:
        assert page.locator("select[aria-label=Image]").bounding_box()["width"] >= 90
        assert cut_off(page) == []
    finally:
        page.set_viewport_size(before)


@pytest.mark.parametrize("display", [False, True])
def test_the_map_has_the_larger_part_and_nothing_on_it_lies_over_another(driver, display):
    page = driver.page
    size, room = page.viewport_size, page.locator(".map").bounding_box()
    assert room["width"] * room["height"] >= 0.4 * size["width"] * size["height"]
    if display:
        page.click("button[aria-label=Display]")
    try:
        nothing_lies_over_another(page)
    finally:
        if display:
            page.click("button[aria-label=Display]")


def nothing_lies_over_another(page):
    boxes = [box for box in (one.bounding_box() for one in page.locator(".float").all()) if box and box["width"]]
    assert len(boxes) >= 2
    for one, other in itertools.combinations(boxes, 2):
        apart_x = one["x"] + one["width"] <= other["x"] + 1 or other["x"] + other["width"] <= one["x"] + 1
        apart_y = one["y"] + one["height"] <= other["y"] + 1 or other["y"] + other["height"] <= one["y"] + 1
        assert apart_x or apart_y, (one, other)


def test_selecting_text_past_a_dialogs_edge_keeps_it_open(driver):
    page = driver.page
    page.click("[data-page=classes]")
    page.click('button:has-text("New class")')
    page.fill("dialog input[type=text] >> nth=0", "orchard")
    box = page.locator("dialog").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(max(box["x"] - 15, 2), box["y"] + 100, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert page.input_value("dialog input[type=text] >> nth=0") == "orchard"
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_messages_are_above_a_dialog(driver):
    page = driver.page
    page.click("[data-page=classes]")
    for _ in range(2):
        page.click('button:has-text("New class")')
        page.fill("dialog input[type=text] >> nth=0", "meadow")
        page.click("dialog footer .primary")
        page.wait_for_timeout(500)
    page.wait_for_selector(".toast:has-text('There is a class meadow already')")
    top = """() => { const box = document.querySelector('.toast .words').getBoundingClientRect();
        return document.elementFromPoint(box.x + 5, box.y + 5).closest('.toast') !== null; }"""
    assert page.evaluate(top)
    assert page.input_value("dialog input[type=text] >> nth=0") == "meadow"
    driver.key("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.locator("body > .toasts").count() == 1


def test_the_display_panel_is_not_squashed(driver):
    page = driver.page
    page.click("button[aria-label=Display]")
    assert page.locator("select[aria-label=Stretch]").bounding_box()["height"] >= 26
    assert faults(driver) == []
    page.click("button[aria-label=Display]")


def cut_off(page):
    js = """() => [...document.querySelectorAll(
        '.bar button, .bar select, .foot span, .panel button, .advice, .touchbar button')]
        .filter(e => e.offsetParent && !e.closest('.list')).filter(e => {
            const b = e.getBoundingClientRect();
            const panel = e.closest('.panel > :not(.foot)')?.parentElement;
            const scrolls = panel && getComputedStyle(panel).overflowY === 'auto';
            return b.width && (b.left < -1 || b.right > innerWidth + 1 || (!scrolls && b.bottom > innerHeight + 1));
        }).map(e => e.getAttribute('aria-label') || e.textContent)"""
    return page.evaluate(js)


def test_nothing_of_the_bars_is_cut_off(driver):
    assert cut_off(driver.page) == []
