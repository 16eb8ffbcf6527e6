"""Images, imports and exports of a session with several images, in a real Chromium."""

import json

import numpy as np
import pytest
from map_driver import at_the_map
from test_map_chronology import POST, PUT, two_images


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    with at_the_map(folder, *two_images(folder)) as driver:
        yield driver
        assert not driver.complaints, driver.complaints


def square(x, y, side=30):
    return {"type": "Polygon", "coordinates": [[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]]}


def test_an_import_says_what_was_left_out_and_selects_nothing(driver, tmp_path):
    features = [
        {"type": "Feature", "properties": {"roof": "tin"}, "geometry": shape}
        for shape in (square(100, 100), square(90_000, 90_000), {"type": "Point", "coordinates": []})
    ]
    (tmp_path / "three.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    driver.key("Control+i")
    driver.page.set_input_files("dialog input[type=file]", tmp_path / "three.geojson")
    driver.page.get_by_label("Coordinates").select_option("pixels")
    driver.act(lambda: driver.page.click("dialog footer .primary"), "/api/import")
    report = driver.page.locator("dialog .result")
    report.wait_for()
    words = report.inner_text()
    said = ("1 polygon imported", "2 of the file", "on no image", "no geometry")
    assert all(word in words for word in said), words
    driver.key("Escape")
    driver.page.wait_for_selector("dialog", state="detached")
    assert driver.page.locator(".item.selected").count() == 0
    assert driver.objects()[0]["properties"]["attributes"] == {"roof": "tin"}


def test_an_export_in_another_system_with_a_name_of_ones_own(driver):
    if not driver.objects():
        body = {"type": "Feature", "geometry": square(100, 100), "properties": {}}
        driver.page.evaluate(POST, ["/api/collections/objects/items?crs=pixels&image=first", body])
    driver.key("Control+e")
    driver.page.get_by_label("GeoPackage").check()
    driver.page.get_by_label("File name").fill("Meine Gebäude")
    driver.page.get_by_label("Coordinate system", exact=True).select_option("other")
    driver.page.get_by_placeholder("EPSG:3857").fill("EPSG:3857")
    written = driver.act(lambda: driver.page.click("dialog footer .primary"), "/api/exports")
    driver.page.wait_for_selector("dialog .result .good")
    from terraclick.store.geopackage import open_store

    with open_store(driver.folder / written["name"]) as store:
        assert store.crs.to_epsg() == 3857 and len(store.objects()) == 1
    driver.key("Escape")
    driver.page.wait_for_selector("dialog", state="detached")


def test_an_export_says_what_the_format_left_out(driver):
    """A Shapefile or a mask holds areas alone: the dialog says how many lines and points it lacks."""
    shapes = [{"type": "LineString", "coordinates": [[20, 20], [60, 25]]}, {"type": "Point", "coordinates": [70, 70]}]
    for shape in (square(200, 100), *shapes):
        body = {"type": "Feature", "geometry": shape, "properties": {"class": "house"}}
        driver.page.evaluate(POST, ["/api/collections/objects/items?crs=pixels&image=first", body])
    driver.key("Control+e")
    for format, name, left in (("COCO", "areas", 2), ("GeoPackage", "everything", 0)):
        driver.page.get_by_label(format).check()
        driver.page.get_by_label("File name").fill(name)
        written = driver.act(lambda: driver.page.click("dialog footer .primary"), "/api/exports")
        assert written["left_out"] == left
        driver.page.wait_for_selector(f"dialog .result .good:has-text('{name}')")
        words = driver.page.locator("dialog .result .good").inner_text()
        assert ("2 objects are left out" in words and "areas alone" in words) if left else "left out" not in words
    driver.key("Escape")
    driver.page.wait_for_selector("dialog", state="detached")


def test_images_are_found_marked_and_gone_to(driver):
    for feature in driver.objects():
        driver.page.evaluate(POST, ["/api/objects/delete", {"objects": [{"id": feature["id"]}]}])
    body = {"type": "Feature", "geometry": square(100, 100), "properties": {}}
    driver.page.evaluate(POST, ["/api/collections/objects/items?crs=pixels&image=first", body])
    driver.open()
    driver.key("Control+k")
    driver.page.get_by_label("Search images").fill("sec")
    driver.page.wait_for_timeout(300)
    rows = driver.page.locator("dialog [role=listitem]")
    assert rows.count() == 1 and "second.tif" in rows.inner_text() and "Untouched" in rows.inner_text()
    driver.act(lambda: rows.locator("input").check(), "/mark", "PUT")
    driver.page.wait_for_function("() => document.querySelector('dialog [role=listitem]').innerText.includes('Done ·')")
    driver.page.get_by_label("Search images").fill("")
    driver.page.get_by_label("State", exact=True).select_option("work")
    driver.page.wait_for_timeout(300)
    assert "first.tif" in rows.inner_text() and "1 object" in rows.inner_text()
    driver.page.get_by_label("State", exact=True).select_option("*")
    driver.page.click("dialog [role=listitem] button:has-text('second.tif')")
    driver.settle()
    assert driver.page.title().startswith("second.tif")
    assert driver.press("Control+z", "/api/undo")["image"] == "second"
    assert driver.get("/api/images/second")["state"] == "untouched"


def test_each_image_keeps_its_view_and_brightness(driver):
    if not driver.page.title().startswith("second.tif"):
        driver.key("d")
        driver.settle()
    driver.show(300, 300, zoom=5)
    driver.page.evaluate("() => window.terraclick.display.tiles.set({ gamma: 1.6 })")
    driver.page.wait_for_timeout(600)
    before = np.array(driver.page.get_attribute(".map", "data-extent").split(), float)
    driver.key("a")
    driver.settle()
    assert driver.page.evaluate("() => window.terraclick.display.tiles.value.gamma ?? 1") == 1
    driver.key("d")
    driver.settle()
    for _ in range(2):
        now = np.array(driver.page.get_attribute(".map", "data-extent").split(), float)
        np.testing.assert_allclose(now, before, atol=2)
        assert driver.page.evaluate("() => window.terraclick.display.tiles.value.gamma") == 1.6
        driver.open()  # and over a reload


def test_a_refused_request_is_not_called_not_saved(driver):
    body = {"image": "first", "tool": "draw", "points": [[1, 1]]}
    driver.page.evaluate(PUT, ["/api/sketches/other", body])
    refused = """() => window.terraclick.project.act("x", () => fetch("api/objects/merge", {method: "POST"})
        .then(() => { throw Object.assign(new Error("no"), {status: 422, body: {}}); })).catch(() => {})"""
    driver.page.evaluate(refused)
    assert "Not saved" not in driver.page.locator(".foot").inner_text()
    assert driver.page.locator(".toast.error").count() == 1
    driver.complaints.clear()
