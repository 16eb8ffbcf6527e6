"""One history per window, nothing lost: undo across images, drafts, reload, a killed server; in a real Chromium."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from map_driver import browsing, chromium, serving
from pyproj import Transformer

import terraclick
from terraclick.geo.raster import resolve_image

SHOWN = ".drafts .draft"


def two_images(folder):
    """The packaged town and its mirror picture, as files of their own."""
    with rasterio.open(resolve_image("sample")) as source:
        pixels, profile = source.read(), source.profile
    for name, turn in (("first", False), ("second", True)):
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as out:
            out.write(np.ascontiguousarray(pixels[:, :, ::-1]) if turn else pixels)
    return folder / "first.tif", folder / "second.tif"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    chromium()
    pytest.importorskip("fastapi")
    folder = tmp_path_factory.mktemp("chronology")
    with serving(folder, *two_images(folder)) as found:
        yield found


@pytest.fixture
def driver(address):
    """Each test begins without objects, drafts or anything remembered; nothing may be complained of."""
    with browsing(address) as driver:
        for session in driver.get("/api/sessions")["sessions"]:
            driver.page.evaluate("id => fetch(`/api/sessions/${id}`, {method: 'DELETE'})", session["id"])
        found = driver.get("/api/sketches")
        assert "sketches" in found, found
        for sketch in found["sketches"]:
            body = {"image": sketch["image"], "tool": sketch["tool"], "points": []}
            driver.page.evaluate(PUT, [f"/api/sketches/{sketch['id'].removeprefix('sketch-')}", body])
        if found := driver.objects():
            driver.page.evaluate(POST, ["/api/objects/delete", {"objects": [{"id": item["id"]} for item in found]}])
        driver.open()
        yield driver


PUT = """([path, body]) => fetch(path,
    {method: 'PUT', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})
    .then(answer => answer.text())"""
POST = PUT.replace("PUT", "POST")

SPOT = (760, 700)


def house(driver, mirrored=False):
    """A place on a house of the town, by asking the truth that comes with it."""
    truth = Path(terraclick.__file__).parent / "data" / "sample_truth.geojson"
    to_map = Transformer.from_crs(4326, 32633, always_xy=True)
    found = []
    for feature in json.loads(truth.read_text())["features"]:
        if feature["properties"]["class"] == "building":
            shape = shapely.transform(
                shapely.geometry.shape(feature["geometry"]),
                lambda points: (np.column_stack(to_map.transform(*points.T)) - (500000, 4650000)) / (0.3, -0.3),
            )
            if shape.area > 500:
                found.append(shape)
    middles = [shapely.maximum_inscribed_circle(shape).coords[0] for shape in found]
    middles.sort(key=lambda place: abs(place[0] - SPOT[0]) + abs(place[1] - SPOT[1]))
    width = driver.get("/api/images")["images"][0]["width"]
    return [(width - x, y) if mirrored else (x, y) for x, y in middles]


def shown_image(driver):
    return driver.page.title().split(" · ")[0]


def corner(driver, x, y):
    driver.page.mouse.move(*driver.at(x, y))
    driver.page.mouse.click(*driver.at(x, y))
    driver.page.wait_for_timeout(320)
    driver.quiet()


def polygon(driver, *places):
    """A shape drawn by hand; Enter ends it."""
    driver.key("p")
    for place in places:
        corner(driver, *place)
    return driver.press("Enter", "/items?")


def undo(driver):
    return driver.press("Control+z", "/api/undo")


def redo(driver):
    return driver.press("Control+y", "/api/redo")


def test_undo_goes_to_the_image_where_it_was_done(driver):
    place = house(driver)[0]
    driver.click(*place)
    driver.press("Enter", "/accept")
    driver.key("d")
    driver.settle()
    assert shown_image(driver) == "second.tif"
    back = undo(driver)
    driver.settle()
    assert shown_image(driver) == "first.tif" and back["session"]["clicks"] and not driver.objects()
    assert "on first.tif" in driver.page.locator(".toasts").inner_text()
    kept = driver.press("Enter", "/accept")
    assert kept["properties"]["image"] == driver.get("/api/images")["images"][0]["id"]


def test_the_newest_act_is_undone_first_whatever_it_was(driver):
    driver.click(*house(driver)[0])
    driver.press("Escape", "/clear")
    drawn = polygon(driver, (100, 100), (180, 100), (180, 170), (100, 170))
    driver.key("c")
    assert undo(driver)["deleted"] == [drawn["id"]]  # the drawing, not the cleared clicks
    back = undo(driver)
    assert back["session"]["clicks"]  # now the clicks that Esc took
    assert redo(driver)["session"]["clicks"] == []
    redo(driver)
    assert [item["id"] for item in driver.objects()] == [drawn["id"]]


def test_escape_twice_loses_no_clicks(driver):
    driver.click(*house(driver)[0])
    driver.press("Escape", "/clear")
    driver.key("Escape")
    driver.quiet()
    assert undo(driver)["session"]["clicks"]
    driver.page.wait_for_selector("button[data-accept]:not([disabled])")


@pytest.mark.parametrize("key", ["d", "v", "p", "e", "s", "o", "b"])
def test_an_open_outline_survives_every_key(driver, key):
    driver.click(*house(driver)[0])
    driver.key(key)
    driver.settle()
    driver.key("c")
    if key == "d":
        driver.key("a")
    driver.settle()
    driver.page.wait_for_selector("button[data-accept]:not([disabled])")
    (session,) = [one for one in driver.get("/api/sessions")["sessions"] if one["begun"]]
    assert len(session["clicks"]) == 1
    driver.press("Enter", "/accept")


def test_a_half_drawn_shape_survives_tools_images_and_a_reload(driver):
    driver.key("p")
    for place in ((300, 300), (380, 300), (380, 360)):
        corner(driver, *place)
    for key in ("v", "p", "d", "a"):
        driver.key(key)
        driver.settle()
    driver.open()
    row = driver.page.locator(SHOWN)
    row.wait_for()
    assert "3 corners" in row.inner_text()
    driver.page.wait_for_timeout(6500)  # it does not go by itself
    assert row.count() == 1
    row.locator("button.primary").click()
    driver.settle()
    corner(driver, 300, 360)
    kept = driver.press("Enter", "/items?")
    assert shapely.get_num_coordinates(shapely.geometry.shape(kept["geometry"])) == 5
    driver.page.wait_for_selector(SHOWN, state="detached")


def test_a_reload_comes_back_to_the_image_the_class_and_the_outline(driver):
    driver.key("d")
    driver.settle()
    place = house(driver, mirrored=True)[0]
    driver.show(*place, zoom=4)
    driver.click(*place)
    before = driver.page.get_attribute(".map", "data-extent")
    driver.open()
    assert shown_image(driver) == "second.tif"
    driver.page.wait_for_selector("button[data-accept]:not([disabled])")
    now = np.array(driver.page.get_attribute(".map", "data-extent").split(), float)
    np.testing.assert_allclose(now, np.array(before.split(), float), atol=2)
    assert undo(driver)["session"]["clicks"] == []


def test_another_window_has_a_history_of_its_own(driver, address):
    driver.click(*house(driver)[0])
    driver.press("Enter", "/accept")
    other = driver.page.context.new_page()
    other.goto(address)
    other.wait_for_selector(".map[data-extent]")
    other.keyboard.press("Control+z")
    other.wait_for_selector("text=nothing to undo")
    assert len(driver.objects()) == 1
    other.close()
    assert undo(driver)["session"]


def test_one_press_on_many_objects_is_one_act(driver):
    ids = [polygon(driver, (x, 100), (x + 50, 100), (x + 50, 150), (x, 150))["id"] for x in (100, 200, 300)]
    driver.key("v")
    driver.key("Control+a")
    driver.page.evaluate("() => window.terraclick.clicking.setShape({ simplify_m: 0.5 })")
    driver.press("j", "/objects/shape")
    back = undo(driver)
    assert {item["id"] for item in back["objects"]} == set(ids)


def test_a_class_key_never_changes_what_is_selected_while_clicking(driver):
    kept = polygon(driver, (100, 100), (180, 100), (180, 170), (100, 170))
    driver.key("v")
    driver.page.mouse.click(*driver.at(140, 140))
    driver.key("c")
    driver.key("2")
    driver.quiet()
    assert driver.objects()[0]["properties"]["class"] == kept["properties"]["class"]
    driver.click(*house(driver)[0])
    driver.key("Delete")
    driver.quiet()
    assert len(driver.objects()) == 1


def test_everything_is_undone_and_done_again_through_several_outlines(driver):
    """An outline whose clicks were undone was closed when undo went on to the one before; redo stopped there."""
    for at in house(driver)[:2]:
        driver.click(*at)
        driver.press("Enter", "/accept")
    before = {feature["id"]: feature["geometry"] for feature in driver.objects()}
    for _ in range(4):
        undo(driver)
    assert not driver.objects()
    for _ in range(4):
        driver.press("Control+y", "/redo")
    assert {feature["id"]: feature["geometry"] for feature in driver.objects()} == before


def test_a_hole_is_cut_into_what_is_around_it(driver):
    """It went into the first object that the ring met, also where that only lay beside."""
    beside = polygon(driver, (100, 100), (190, 100), (190, 180), (100, 180))
    around = polygon(driver, (150, 90), (400, 90), (400, 300), (150, 300))
    driver.key("v")
    driver.page.mouse.click(*driver.at(700, 560))
    driver.key("o")
    with driver.page.expect_response(lambda r: "/cut" in r.url) as answer:
        for at in ((180, 150), (300, 150), (300, 220), (180, 220)):
            corner(driver, *at)
        driver.key("Enter")
    assert [feature["id"] for feature in answer.value.json()["objects"]] == [around["id"]] != [beside["id"]]
    driver.quiet()


def start(folder, *images, port):
    """A server on a port of its own choosing (0) or ours, with a state folder of its own; the process, its address."""
    words = [sys.executable, "-m", "terraclick.cli", "serve", *map(str, images), "--session", str(folder / "w.gpkg")]
    words += ["--out", str(folder), "--port", str(port), "--no-browser"]
    environ = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder, env=environ)
    return process, process.stdout.readline().strip()


def test_a_server_that_was_killed_is_found_again_with_everything(tmp_path):
    chromium()
    images = two_images(tmp_path)
    process, address = start(tmp_path, *images, port=0)
    port = int(address.split(":")[2].split("/")[0])
    try:
        with browsing(address) as driver:
            driver.click(*house(driver)[0])
            driver.key("p")
            corner(driver, 300, 300)
            corner(driver, 380, 300)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            driver.page.wait_for_selector("text=The connection to the server is gone")
            assert "Not saved" in driver.page.locator(".foot").inner_text()
            driver.page.wait_for_timeout(15_000)
            assert driver.page.locator(
                "text=The connection to the server is gone"
            ).count()  # it stays until it is not so
            process, again = start(tmp_path, *images, port=port)
            assert again == address
            driver.page.wait_for_selector("text=Connected again", timeout=60_000)
            driver.quiet()
            assert "Not saved" not in driver.page.locator(".foot").inner_text()
            corner(driver, 380, 360)
            driver.press("Enter", "/items?")
            driver.key("c")
            driver.press("Enter", "/accept")
            assert len(driver.objects()) == 2
            driver.complaints.clear()  # the browser says that the server was gone
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
