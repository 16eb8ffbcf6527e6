"""A box around a thing in a real Chromium: dragged, by keys, by touch; corrected, undone, reloaded."""

import os

import pytest
from map_driver import at_the_map, begin_anew
from test_map_story import Town, middle, shape_of


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with at_the_map(tmp_path_factory.mktemp("boxes"), "sample") as driver:
        yield driver


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(autouse=True)
def clean(driver):
    """Each test begins with the whole picture and no objects, and the box tool in the hand."""
    begin_anew(driver)
    driver.key("Shift+B")
    driver.page.wait_for_selector('[data-tool="box"][aria-pressed="true"]')
    yield
    assert not driver.complaints, driver.complaints


def around(house, margin=2):
    x1, y1, x2, y2 = house.bounds
    return x1 - margin, y1 - margin, x2 + margin, y2 + margin


def drag(driver, box):
    """A box is drawn from corner to corner; the answer of the server."""
    page = driver.page
    page.mouse.move(*driver.at(*box[:2]))
    page.mouse.down()
    page.mouse.move(*driver.at(*box[2:]), steps=5)
    if os.environ.get("TERRACLICK_LOOK"):
        page.screenshot(path=os.environ["TERRACLICK_LOOK"] + "/drawing.png")
    return driver.act(page.mouse.up, "/box")


def look(driver, name):
    if os.environ.get("TERRACLICK_LOOK"):
        driver.page.wait_for_timeout(300)
        driver.page.screenshot(path=f"{os.environ['TERRACLICK_LOOK']}/{name}.png")


def house_near(town, x, y):
    return town.near("building", x, y, least=900)[0]


def test_a_dragged_box_is_answered_corrected_undone_and_kept(driver, town):
    house = house_near(town, 900, 620)
    driver.show(*middle(house), zoom=4)
    found = drag(driver, around(house))
    assert found["clicks"] == [] and found["box"]["x1"] == pytest.approx(house.bounds[0] - 2, abs=1.5)
    outline = shape_of(found["outline"])
    assert outline.intersection(house).area / outline.union(house).area > 0.6
    look(driver, "answered")
    corrected = driver.click(house.bounds[0] - 6, house.bounds[1] - 6, button="right")
    assert corrected["box"] == found["box"] and [c["positive"] for c in corrected["clicks"]] == [False]
    back = driver.press("Control+z", "/undo")["session"]
    assert back["clicks"] == [] and back["outline"] == found["outline"]
    assert driver.press("Control+z", "/undo")["session"]["box"] is None
    again = driver.press("Control+y", "/redo")["session"]
    assert again["outline"] == found["outline"]
    assert driver.page.get_attribute('[data-tool="box"]', "aria-pressed") == "true", "the tool stays in the hand"
    kept = driver.press("Enter", "/accept")
    assert kept["properties"]["n_clicks"] == 1 and len(driver.objects()) == 1
    look(driver, "kept")


def test_another_box_takes_the_place_of_the_first(driver, town):
    house, other = house_near(town, 900, 620), house_near(town, 500, 900)
    driver.show(*middle(house), zoom=1)
    drag(driver, around(house))
    found = drag(driver, around(other))
    assert found["box"]["x1"] == pytest.approx(other.bounds[0] - 2, abs=3)
    assert shape_of(found["outline"]).intersection(other).area > 0.5 * other.area
    driver.key("Escape")


def test_a_reload_brings_the_outline_and_its_box_back(driver, town):
    house = house_near(town, 900, 620)
    driver.show(*middle(house), zoom=4)
    found = drag(driver, around(house))
    driver.act(driver.open, "/claim")
    session = driver.page.evaluate("() => window.terraclick.clicking.openOutline.value")
    assert session["box"] == found["box"] and session["outline"] == found["outline"]
    shown = "() => Boolean(window.terraclick.stage.sources.outline.getFeatureById('box'))"
    assert driver.page.evaluate(shown)
    look(driver, "reloaded")
    driver.key("Escape")
    driver.quiet()
    assert not driver.page.evaluate(shown)


def test_two_clicks_by_keys_alone(driver, town):
    """The crosshair sets two corners with the full stop; what the keys draw is a box like any other."""
    page = driver.page
    house = house_near(town, 900, 620)
    driver.show(*middle(house), zoom=3)
    page.mouse.move(5, 5)
    page.focus(".map")
    driver.key("ArrowLeft")
    driver.key("ArrowLeft")
    driver.key(".")
    for key in ("ArrowRight",) * 4 + ("ArrowDown",) * 4:
        driver.key(key)
    look(driver, "keys")
    found = driver.press(".", "/box")
    box = found["box"]
    assert box["x2"] - box["x1"] > 5 and box["y2"] - box["y1"] > 5
    driver.key("Escape")


def test_by_touch_a_finger_draws_and_a_tap_excludes(driver, town):
    page = driver.page
    house = house_near(town, 900, 620)
    driver.show(*middle(house), zoom=3)
    send = """([kind, x, y]) => {
        const target = document.querySelector(".map .ol-viewport");
        const init = {bubbles: true, cancelable: true, composed: true, pointerId: 7, pointerType: "touch",
            isPrimary: true, button: 0, clientX: x, clientY: y, buttons: kind === "pointerup" ? 0 : 1};
        (kind === "pointerdown" ? target : document).dispatchEvent(new PointerEvent(kind, init));
    }"""

    def finger(kind, x, y):
        page.evaluate(send, [kind, *driver.at(x, y)])

    x1, y1, x2, y2 = around(house)
    finger("pointerdown", x1, y1)
    for share in (0.3, 0.7, 1):
        finger("pointermove", x1 + share * (x2 - x1), y1 + share * (y2 - y1))
    found = driver.act(lambda: finger("pointerup", x2, y2), "/box")
    assert found["box"]["x2"] == pytest.approx(x2, abs=2)
    page.click('.touchbar [data-excluding="true"]')
    finger("pointerdown", x1 - 4, y1 - 4)
    answer = driver.act(lambda: finger("pointerup", x1 - 4, y1 - 4), "/clicks")
    assert [click["positive"] for click in answer["clicks"]] == [False] and answer["box"] == found["box"]
    driver.act(lambda: page.click(".touchbar [data-keep]"), "/accept")


def test_what_is_no_box_is_said_and_nothing_is_sent(driver):
    page = driver.page
    driver.show(600, 500, zoom=3)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/box") else None)
    page.mouse.click(*driver.at(600, 500))
    driver.page.wait_for_timeout(500)
    page.mouse.click(driver.at(600, 500)[0] + 3, driver.at(600, 500)[1] + 2)
    page.wait_for_selector("text=That box is too small")
    driver.key("Tab")
    page.mouse.move(*driver.at(580, 480))
    page.mouse.down()
    page.mouse.move(*driver.at(640, 540), steps=4)
    page.mouse.up()
    page.wait_for_selector("text=A box is drawn around one thing")
    page.evaluate("() => window.terraclick.project.target.set('object')")
    assert not sent
