"""The pictures of docs/map.md, taken of the packaged scene in a real Chromium: python dev/map_pictures.py [FOLDER]"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))

import map_driver
import test_map_story as story

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main(out=IMAGES):
    out, town, folder = Path(out), story.Town(), Path(tempfile.mkdtemp())
    with map_driver.serving(folder, "sample") as address, map_driver.browsing(address, (1280, 800)) as driver:
        page = driver.page

        def picture(name):
            driver.settle()
            page.wait_for_timeout(400)
            page.screenshot(path=str(out / f"map-{name}.jpg"), type="jpeg", quality=72)

        for name in ("building", "pool"):
            story.make_class(driver, name)
        page.click("[data-page=objects]")
        page.select_option(".current select[aria-label=Class]", "building")
        page.locator(".map").focus()
        driver.key("c")
        houses = town.near("building", 900, 620, least=500)[:7]
        driver.show(900, 620, zoom=4)
        for house in houses[:-1]:
            story.outline(driver, house, 0.85, most=4)
            driver.press("Enter", "/accept")
        page.mouse.move(*driver.at(900, 400))
        picture("overview")
        story.outline(driver, houses[-1], 0.9, most=3)
        picture("click")
        driver.press("Enter", "/accept")
        driver.key("v")
        page.mouse.click(*driver.at(*story.middle(houses[0])))
        driver.key("e")
        picture("vertices")
        driver.key("Escape")
        driver.key("c")
        page.select_option(".current select[aria-label=Class]", "pool")
        page.locator(".map").focus()
        driver.key("0")
        driver.settle()
        pool = town.near("water", 900, 620)[0]
        story.outline(driver, pool, target=0.7)
        driver.press("Enter", "/accept")
        driver.key("v")
        page.mouse.click(*driver.at(*story.middle(pool)))
        driver.press("i", "/references")
        driver.press("f", "/proposals")
        picture("find")
        driver.key("Escape")
        driver.key("Escape")
        driver.key("Control+e")
        page.wait_for_selector("dialog")
        picture("export")
        driver.key("Escape")
        driver.key("?")
        page.click('[data-help="keys"]')
        picture("keys")


if __name__ == "__main__":
    main(*sys.argv[1:])
