"""A day's work in the map, in a real Chromium: clicks, keys and seconds for each task, and whether anything is lost.

    python dev/map_day.py OUT

Two georeferenced mosaics of drone images, then a picture without a coordinate system, from the development data
(setting TERRACLICK_SHARED, default ../shared). A scripted user who knows the truth outlines 15 buildings, a wood and
fields that share borders, draws a house with a courtyard, imports outlines that lie 1.5 m off and moves them, relabels
in bulk, works in a second window, undoes and redoes everything, reloads the page and kills the server in the middle of
an outline. A drone photograph without a coordinate system, by touch, and a 12288² COG follow (`map_day_others.py`). OUT
gets screenshots and `day.json`.
"""

import contextlib
import hashlib
import json
import os
import runpy
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import shapely
from pyproj import Transformer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))

import map_driver
import test_map_story as story

from terraclick.geo.raster import read_info

SHARED = Path(os.environ.get("TERRACLICK_SHARED", Path(__file__).parents[2] / "shared"))
ROAD_CLICKS = 20
"""Clicks that a person gives to all roads of a picture at once."""
COUNT = """() => {
  if (window.counted) return;
  window.counted = {clicks: 0, keys: 0};
  window.addEventListener("pointerdown", () => (window.counted.clicks += 1), true);
  window.addEventListener("keydown", () => (window.counted.keys += 1), true);
}"""


class Day:
    """What was done: a row for each task, with clicks, keys and seconds; and pictures of the page."""

    def __init__(self, driver, out):
        self.driver, self.out, self.rows = driver, out, []

    @contextlib.contextmanager
    def task(self, name, objects=1):
        page = self.driver.page
        page.evaluate(COUNT)
        before, began = page.evaluate("() => ({...window.counted})"), time.perf_counter()
        row = {"task": name, "objects": objects}
        yield row
        page.evaluate(COUNT)
        after = page.evaluate("() => ({...window.counted})")
        row |= {key: after[key] - before[key] for key in ("clicks", "keys")}
        row["seconds"] = round(time.perf_counter() - began, 2)
        self.rows.append(row)

    def picture(self, name):
        self.driver.settle()
        self.driver.page.screenshot(path=str(self.out / f"{name}.png"))


def content(driver):
    """Everything that is true of every object, revisions and times aside."""
    found = {}
    for feature in driver.objects():
        p = feature["properties"]
        said = [p[name] for name in ("image", "class", "label", "status", "attributes", "n_clicks")]
        found[feature["id"]] = json.dumps([said, feature["geometry"]], sort_keys=True)
    return found


def fingerprint(driver):
    return hashlib.sha256(json.dumps(sorted(content(driver).items())).encode()).hexdigest()[:16]


def start(folder, *images, port=0):
    words = [sys.executable, "-m", "terraclick.cli", "serve", *map(str, images), "--session", str(folder / "day.gpkg")]
    words += ["--out", str(folder), "--port", str(port), "--no-browser"]
    environ = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder, env=environ)
    return process, process.stdout.readline().strip()


def stop(process):
    process.kill()
    process.wait()
    process.stdout.close()


def pixels_of(scene, shape):
    a, b, c, d, e, f = tuple(~read_info(scene.path).grid.transform)[:6]
    return shapely.affinity.affine_transform(shape, (a, b, d, e, c, f))


def use_class(driver, name):
    driver.page.select_option(".current select[aria-label=Class]", name)
    driver.page.locator(".map").focus()


def aim(driver, value):
    driver.page.click(f'[data-target="{value}"]')


def see(driver, shape, zoom=3):
    driver.key("0")
    driver.settle()
    driver.show(*story.middle(shape), zoom=zoom)


def classes(day):
    with day.task("classes", 4):
        for name in ("building", "wood", "field", "hut"):
            story.make_class(day.driver, name)
        page = day.driver.page
        page.dblclick('[data-class="field"]')
        page.select_option("dialog select:has(option[value=coverage])", "coverage")
        day.driver.confirm("/api/classes/", "PUT")


def buildings(day, scene, truths):
    driver, fits = day.driver, []
    use_class(driver, "building")
    driver.key("c")
    for number, truth in enumerate(truths):
        see(driver, truth)
        with day.task("building") as row:
            answer = story.outline(driver, truth, 0.85, most=6)
            driver.press("Enter", "/accept")
        row["iou"] = round(story.iou(story.shape_of(answer["outline"]), truth), 3)
        row["corners"] = answer["outline"]["vertices"] - answer["outline"]["parts"]
        fits.append(row["iou"])
        if number == 3:
            day.picture("building")
    return fits


def greenest(scene, truths):
    """A place of trees away from buildings, in pixels, and one that is none."""
    image = cv2.imread(str(scene.path)).astype(np.float32)
    green = cv2.blur(2 * image[..., 1] - image[..., 0] - image[..., 2], (61, 61))
    near = np.ones(green.shape, bool)
    near[60:-60, 60:-60] = False
    for truth in truths:
        left, top, right, bottom = (int(v) for v in truth.buffer(60).bounds)
        near[max(top, 0) : bottom, max(left, 0) : right] = True
    row, col = np.unravel_index(np.argmax(np.where(near, -np.inf, green)), green.shape)
    return int(col), int(row)


def wood(day, scene, truths):
    driver = day.driver
    use_class(driver, "wood")
    driver.key("0")
    driver.settle()
    place = greenest(scene, truths)
    driver.show(*place, zoom=2)
    aim(driver, "class")
    with day.task("wood by its edge") as row:
        driver.click(*place)
        wrong = min(truths, key=lambda truth: truth.distance(shapely.Point(place)))
        driver.click(*story.middle(wrong), button="right")
        day.picture("wood")
        kept = driver.press("Enter", "/accept")
    row["corners"] = int(shapely.get_num_coordinates(story.shape_of(kept)))
    aim(driver, "object")


def fields(day, session):
    """Three fields by hand; the second and third are drawn over their neighbour, which cuts them."""
    driver = day.driver
    use_class(driver, "field")
    driver.key("0")
    driver.settle()
    drawn = (
        [(60, 60), (260, 70), (250, 260), (70, 250)],
        [(230, 60), (460, 66), (450, 270), (235, 262)],
        [(80, 240), (440, 250), (430, 420), (90, 410)],
    )
    for corners in drawn:
        with day.task("field by hand"):
            driver.key("p")
            driver.act(lambda corners=corners: story.polyline(driver, *corners), "/items?")
    driver.key("v")
    driver.page.mouse.click(*driver.at(100, 235))
    with day.task("a shared corner moved"):
        driver.key("e")
        shared = shapely.get_coordinates(story.shape_of(selected(driver)))
        corner = max(shared[:-1], key=lambda point: point[0] + 0.2 * point[1])
        end = corner + np.array([6, 10])
        driver.act(lambda: story.drag(driver, corner, end), "/objects/place")
    day.picture("fields")
    driver.key("v")
    with contextlib.closing(sqlite3.connect(session)) as file:  # as stored: answers in pixels are rounded
        rows = file.execute("SELECT geom FROM objects WHERE class = 'field'").fetchall()
    shapes = [shapely.from_wkb(blob[8 + (0, 32, 48, 48, 64)[blob[3] >> 1 & 7] :]) for (blob,) in rows]
    return bool(shapely.coverage_is_valid(shapely.get_parts(shapes))), len(shapes)


def selected(driver):
    uuid = driver.page.evaluate("() => [...window.terraclick.project.selection.value][0]")
    return next(feature for feature in driver.objects() if feature["id"] == uuid)


def courtyard(day):
    driver = day.driver
    use_class(driver, "building")
    with day.task("house with a courtyard") as row:
        driver.key("p")
        outer = [(560, 60), (760, 60), (760, 200), (560, 200)]
        drawn = driver.act(lambda: story.polyline(driver, *outer), "/items?")
        driver.key("o")
        inner = [(610, 100), (710, 100), (710, 160), (610, 160)]
        change = driver.act(lambda: story.polyline(driver, *inner), "/cut")
    assert [feature["id"] for feature in change["objects"]] == [drawn["id"]], "the hole is in the house around it"
    row["holes"] = len(story.shape_of(change["objects"][0]).interiors)
    day.picture("courtyard")
    driver.key("c")


def shifted_imports(day, scene, truths, folder):
    """Outlines of another source, 1.5 m off to the east and south, moved back by keys."""
    driver, page = day.driver, day.driver.page
    info = read_info(scene.path)
    off = [shapely.affinity.translate(shape, 1.5, -1.5) for shape in truths]
    back = Transformer.from_crs(info.grid.crs, 4326, always_xy=True).transform
    lonlat = [shapely.transform(shape, back, interleaved=False) for shape in off]
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(s)} for s in lonlat]
    (folder / "shifted.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with day.task("import", len(truths)):
        driver.key("Control+i")
        page.set_input_files("dialog input[type=file]", folder / "shifted.geojson")
        change = driver.act(lambda: page.click("dialog footer .primary"), "/api/import")
        page.wait_for_selector("dialog", state="detached")
    uuids = {feature["id"] for feature in change["objects"]}
    driver.key("0")
    driver.settle()
    steps = round(1.5 / info.grid.metres_per_pixel)
    with day.task("move the imported", len(truths)):
        driver.key("Control+a")
        driver.key("k")
        for key in ("ArrowLeft", "ArrowUp"):
            for _ in range(steps // 10):
                driver.key(f"Shift+{key}")
            for _ in range(steps % 10):
                driver.key(key)
        page.wait_for_timeout(1200)
        driver.quiet()
    mine = [story.shape_of(f) for f in driver.objects() if f["id"] in uuids]
    true = [pixels_of(scene, shape) for shape in truths]
    fits = [max(story.iou(shape, one) for shape in mine) for one in true]
    day.picture("imported")
    with day.task("relabel in bulk", len(truths)):
        driver.key("Control+a")
        page.select_option(".bulk [aria-label='Change class']", "hut")
        driver.quiet()
    assert all(f["properties"]["class"] == "hut" for f in driver.objects() if f["id"] in uuids)
    driver.key("Escape")
    driver.key("c")
    return round(min(fits), 3), round(float(np.mean(fits)), 3)


def turn_all(driver, key, verb):
    """Press a key until there is nothing left; how many acts that were."""
    turned = 0
    driver.page.locator(".map").focus()
    while True:
        with driver.page.expect_response(lambda r: f"/api/{verb}" in r.url, timeout=90_000) as answer:
            driver.key(key)
        driver.quiet()
        if answer.value.status == 404:
            return turned
        assert answer.value.ok, answer.value.text()
        turned += 1


def two_windows(day, address):
    """A second window draws and undoes; the first sees it and keeps its own history."""
    driver = day.driver
    page = driver.page.context.new_page()
    other = map_driver.Driver(page, address)
    other.open()
    before = len(driver.objects())
    other.key("p")
    other.act(lambda: story.polyline(other, (900, 100), (980, 100), (980, 160)), "/items?")
    driver.page.wait_for_timeout(1500)
    assert len(driver.objects()) == before + 1
    undone = turn_all(other, "Control+z", "undo")
    assert len(other.objects()) == before
    complaints = [c for c in other.complaints if "404" not in c]
    page.close()
    return undone, complaints


def georeferenced(out):
    real = runpy.run_path(str(Path(__file__).with_name("real_scenes.py")))
    folder = Path(tempfile.mkdtemp())
    near, far = (real["mosaic"](name, folder) for name in ("catanduanes_z21", "catanduanes_z20"))
    truths = [pixels_of(near, shape) for shape in real["spread"](near, 15, 1500).values()]
    all_near = [pixels_of(near, shape) for shape in near.truths.values()]
    process, address = start(folder, near.path, far.path)
    facts = {}
    try:
        with map_driver.browsing(address) as driver:
            day = Day(driver, out)
            classes(day)
            fits = buildings(day, near, truths)
            facts["buildings that reach IoU .85"] = f"{sum(fit >= 0.85 for fit in fits)} of {len(fits)}"
            wood(day, near, all_near)
            facts["fields are a valid coverage"], _ = fields(day, folder / "day.gpkg")
            courtyard(day)
            driver.press("d", "/items?", "GET")
            driver.settle()
            facts["imports after moving: least and mean IoU"] = shifted_imports(
                day, far, list(real["spread"](far, 20, 800).values()), folder
            )
            facts["acts of the second window undone there"], complaints = two_windows(day, address)
            assert not complaints, complaints
            day.picture("before")
            before, kept = fingerprint(driver), content(driver)
            facts["acts undone"] = turn_all(driver, "Control+z", "undo")
            facts["objects after undoing everything"] = len(driver.objects())
            facts["acts done again"] = turn_all(driver, "Control+y", "redo")
            facts["session before and after"] = [before, fingerprint(driver)]
            assert before == fingerprint(driver), {u for u, v in content(driver).items() if kept.get(u) != v}
            broken_off(day, folder, process, address, near, far, facts)
            assert kept.items() <= content(driver).items()
            facts["objects at the end"] = len(driver.objects())
            driver.complaints.clear()  # 404 at the end of the history; the server that was gone
    finally:
        facts["rows"] = day.rows
        with contextlib.suppress(Exception):
            stop(facts.pop("process", process))
    return facts


def broken_off(day, folder, process, address, near, far, facts):
    """A reload, then a server killed, in the middle of an outline: both are finished afterwards."""
    driver = day.driver
    with driver.page.expect_response(lambda r: "/items?" in r.url):
        driver.key("a")
    driver.settle()
    use_class(driver, "building")
    driver.key("c")
    before = len(driver.objects())
    free = [(960, 620), (1240, 420)]
    driver.click(*free[0])
    driver.page.reload()
    driver.page.wait_for_selector(".welcome", state="detached", timeout=60_000)
    driver.page.wait_for_function("() => window.terraclick.clicking.begun()")
    driver.settle()
    driver.press("Enter", "/accept")
    driver.click(*free[1])
    stop(process)  # SIGKILL
    driver.page.wait_for_selector("text=The connection to the server is gone")
    day.picture("killed")
    port = int(address.split(":")[2].split("/")[0])
    facts["process"], again = start(folder, near.path, far.path, port=port)
    assert again == address, (again, address)
    driver.page.wait_for_selector("text=Connected again", timeout=60_000)
    driver.quiet()
    driver.press("Enter", "/accept")
    assert len(driver.objects()) == before + 2
    facts["outlines finished after a reload and after kill -9"] = 2
    day.picture("after")


def without_place(out):
    """Roads as a class on a picture without a coordinate system."""
    folder = Path(tempfile.mkdtemp())
    source = SHARED / "data" / "devtest" / "dubai_tile1"
    number = "image_part_008"
    truth = cv2.imread(str(source / "masks" / f"{number}.png"), cv2.IMREAD_UNCHANGED) == 3
    picture = folder / "dubai.png"
    cv2.imwrite(str(picture), cv2.imread(str(source / "images" / f"{number}.jpg")))
    process, address = start(folder, picture)
    facts = {}
    try:
        with map_driver.browsing(address) as driver:
            day = Day(driver, out)
            story.make_class(driver, "road")
            driver.key("c")
            aim(driver, "class")
            with day.task("roads as a class") as row:
                found, fit = np.zeros_like(truth), 0.0
                for _ in range(ROAD_CLICKS):
                    if fit >= 0.7:
                        break
                    wrong = [
                        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5)
                        for part in (truth & ~found, found & ~truth)
                    ]
                    missing = wrong[0].max() >= wrong[1].max()
                    y, x = np.unravel_index(np.argmax(wrong[0 if missing else 1]), truth.shape)
                    answer = driver.click(int(x) + 0.5, int(y) + 0.5, button="left" if missing else "right")
                    shape = story.shape_of(answer["outline"])
                    polygons = [
                        np.round(np.array(r.coords)).astype(np.int32)
                        for p in getattr(shape, "geoms", [shape])
                        for r in (p.exterior, *p.interiors)
                    ]
                    canvas = np.zeros(truth.shape, np.uint8)
                    cv2.fillPoly(canvas, polygons, 1)
                    found = canvas.astype(bool)
                    fit = float((found & truth).sum() / max((found | truth).sum(), 1))
                day.picture("roads")
                driver.press("Enter", "/accept")
            row["iou"] = round(fit, 3)
            facts["rows"] = day.rows
    finally:
        stop(process)
    return facts


def others(out):
    """The same on a drone photograph without a coordinate system, by touch, and on a COG of 12288² pixels."""
    real = runpy.run_path(str(Path(__file__).with_name("real_scenes.py")))
    near = real["mosaic"]("catanduanes_z21", Path(tempfile.mkdtemp()))
    truths = [pixels_of(near, shape) for shape in real["spread"](near, 15, 1500).values()]
    more = runpy.run_path(str(Path(__file__).with_name("map_day_others.py")))
    tools = globals()
    return {"drone, by touch": more["drone"](tools, out), "COG": more["cog"](tools, out, near, truths)}


def main(out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"with place": georeferenced(out), "without place": without_place(out), **others(out)}
    (out / "day.json").write_text(json.dumps(facts, indent=1))
    for part in facts.values():
        rows = part["rows"]
        for name in dict.fromkeys(row["task"] for row in rows):
            same = [row for row in rows if row["task"] == name]
            objects = sum(row["objects"] for row in same)
            each = {key: sum(row[key] for row in same) / objects for key in ("clicks", "keys", "seconds")}
            more = {
                key: np.round(np.mean([row[key] for row in same]), 3) for key in ("iou", "corners") if key in same[0]
            }
            print(
                f"| {name} | {objects} | "
                + " | ".join(f"{value:.1f}" for value in each.values())
                + f" | {more or ''} |"
            )
        print({key: value for key, value in part.items() if key != "rows"})
    return facts


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "out/day")
