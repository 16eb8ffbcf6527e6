"""The day's work on two other pictures: a drone photograph without a coordinate system, by touch, and a 12288² COG.

Both go through the same: outlines, a second window, everything undone and done again, a reload and a killed server in
the middle of an outline. `dev/map_day.py` calls this after its own tasks; the pictures are made of development data.
"""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import rasterio
import rasterio.shutil
import shapely
from rasterio.windows import Window as Block

SIDE = 12288
TAP = """([x, y]) => {
    const target = document.querySelector(".map .ol-viewport");
    const init = {bubbles: true, cancelable: true, composed: true, pointerId: 7, pointerType: "touch",
        isPrimary: true, button: 0, clientX: x, clientY: y};
    target.dispatchEvent(new PointerEvent("pointerdown", {...init, buttons: 1}));
    target.dispatchEvent(new PointerEvent("pointerup", init));
}"""


def is_house(thing):
    """Whether a labelled thing is a building that is large enough to outline and does not fill its photograph."""
    return thing["cls"] == 1 and 1500 < thing["area"] < 25_000


def drone_picture(folder, shared):
    """Nine photographs as one PNG without a coordinate system, and the large buildings in it, in pixels."""
    source = Path(shared) / "data" / "devtest" / "dronedeploy_sample"
    found = json.loads((source / "meta.json").read_text())["images"]
    built = [
        one for one in found if any(thing["cls"] == 1 and 1500 < thing["area"] < 25_000 for thing in one["objects"])
    ]
    whole, truths = np.zeros((900, 900, 3), np.uint8), []
    for at, one in enumerate(built[:9]):
        top, left = 300 * (at // 3), 300 * (at % 3)
        whole[top : top + 300, left : left + 300] = cv2.imread(str(source / one["image"]))
        numbers = cv2.imread(str(source / one["instances"]), cv2.IMREAD_UNCHANGED)
        for thing in one["objects"]:
            if is_house(thing):
                mask = (numbers == thing["id"]).astype(np.uint8)
                rings = max(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
                shape = shapely.Polygon(rings[:, 0, :] + 0.5).buffer(0.5)
                truths.append(shapely.affinity.translate(shape, left, top))
    path = folder / "drone.png"
    cv2.imwrite(str(path), whole)
    return path, sorted(truths, key=lambda shape: -shape.area)


def large_picture(folder, scene):
    """A mosaic repeated over 12288² pixels as a COG; gives its path and the size of one repetition."""
    path, raw = folder / "large.tif", folder / "raw.tif"
    with rasterio.open(scene.path) as source:
        tile, profile = source.read([1, 2, 3]), source.profile
    rows, cols = tile.shape[1:]
    strip = np.tile(tile, (1, 1, -(-SIDE // cols)))[:, :, :SIDE]
    told = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": profile["crs"]}
    told |= {"transform": profile["transform"], "tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(raw, "w", **told, compress="jpeg", photometric="ycbcr") as file:
        for top in range(0, SIDE, rows):
            high = min(rows, SIDE - top)
            file.write(strip[:, :high], window=Block(0, top, SIDE, high))
    rasterio.shutil.copy(raw, path, driver="COG", compress="jpeg", quality=75)
    raw.unlink()
    return path, (cols, rows)


def touched(driver, story, truth):
    """Outline by taps: a second one excludes, or adds, where most is wrong."""
    answer = driver.act(lambda: driver.page.evaluate(TAP, list(driver.at(*story.middle(truth)))), "/clicks")
    found = story.shape_of(answer["outline"]) if not answer["outline"]["empty"] else shapely.Polygon()
    missing, excess = truth.difference(found), found.difference(truth)
    if story.iou(found, truth) < 0.85 and max(missing.area, excess.area) > 0:
        out = excess.area > missing.area
        driver.page.click(f'.touchbar [data-excluding="{"true" if out else "false"}"]')
        place = list(driver.at(*story.middle(excess if out else missing)))
        answer = driver.act(lambda: driver.page.evaluate(TAP, place), "/clicks")
        driver.page.click('.touchbar [data-excluding="false"]')
    kept = driver.act(lambda: driver.page.click(".touchbar [data-keep]"), "/accept")
    return answer, kept


def short_day(tools, out, name, path, truths, free, touch):
    """Outlines of `truths` on one picture, then everything that must lose nothing; gives the facts."""
    story, folder = tools["story"], path.parent
    process, address = tools["start"](folder, path)
    facts = {}
    try:
        with tools["map_driver"].browsing(address) as driver:
            day = tools["Day"](driver, out)
            story.make_class(driver, "building")
            driver.key("c")
            fits = []
            for truth in truths:
                tools["see"](driver, truth)
                with day.task(f"building, {name}") as row:
                    if touch:
                        answer, _ = touched(driver, story, truth)
                    else:
                        answer = story.outline(driver, truth, 0.85, most=6)
                        driver.press("Enter", "/accept")
                row["iou"] = round(story.iou(story.shape_of(answer["outline"]), truth), 3)
                fits.append(row["iou"])
            day.picture(f"{name}-outlines")
            driver.key("0")
            driver.settle()
            day.picture(f"{name}-whole")
            _, complaints = tools["two_windows"](day, address)
            assert not complaints, complaints
            before = tools["fingerprint"](driver)
            facts["acts undone"] = tools["turn_all"](driver, "Control+z", "undo")
            facts["objects after undoing everything"] = len(driver.objects())
            facts["acts done again"] = tools["turn_all"](driver, "Control+y", "redo")
            facts["session before and after"] = [before, tools["fingerprint"](driver)]
            kept = tools["content"](driver)
            process = broken_off(tools, day, name, folder, path, process, address, free)
            now = tools["content"](driver)
            facts["outlines finished after a reload and after kill -9"] = len(now) - len(kept)
            facts["everything kept is there"] = kept.items() <= now.items()
            facts["rows"] = day.rows
            driver.complaints.clear()  # 404 at the end of the history; the server that was gone
    finally:
        tools["stop"](process)
    return facts


def broken_off(tools, day, name, folder, path, process, address, free):
    """A reload, then a killed server, in the middle of an outline at a `free` place; gives the new server."""
    driver = day.driver
    tools["use_class"](driver, "building")
    driver.key("c")
    for number, truth in enumerate(free):
        tools["see"](driver, truth)
        driver.click(*tools["story"].middle(truth))
        if number == 0:
            driver.page.reload()
            driver.page.wait_for_selector(".welcome", state="detached", timeout=60_000)
            driver.page.wait_for_function("() => window.terraclick.clicking.begun()")
            driver.settle()
        else:
            tools["stop"](process)  # SIGKILL
            driver.page.wait_for_selector("text=The connection to the server is gone")
            day.picture(f"{name}-killed")
            process, again = tools["start"](folder, path, port=int(address.split(":")[2].split("/")[0]))
            assert again == address, (again, address)
            driver.page.wait_for_selector("text=Connected again", timeout=60_000)
            driver.quiet()
        driver.press("Enter", "/accept")
    return process


def drone(tools, out):
    """The photograph without a coordinate system, by touch."""
    path, truths = drone_picture(Path(tempfile.mkdtemp()), tools["SHARED"])
    return short_day(tools, out, "drone", path, truths[:4], truths[4:6], touch=True)


def cog(tools, out, scene, truths):
    """The large COG: buildings at its corners and in its middle, one repetition after the other."""
    path, (cols, rows) = large_picture(Path(tempfile.mkdtemp()), scene)
    steps = [
        (0, 0),
        (SIDE // cols - 1, 0),
        (SIDE // cols // 2, SIDE // rows // 2),
        (0, SIDE // rows - 1),
        (1, 1),
        (2, 2),
    ]
    placed = [
        shapely.affinity.translate(shape, across * cols, down * rows)
        for shape, (across, down) in zip(truths, steps, strict=False)
    ]
    return short_day(tools, out, "cog", path, placed[:4], placed[4:6], touch=False)
