"""Columns offered again, comments of reviewers, places in degrees, refusals that undo takes back: in Chromium."""

import pytest
from map_driver import at_the_map, begin_anew
from pyproj import Transformer
from test_map_story import Town, make_class, middle, outline, square


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with at_the_map(tmp_path_factory.mktemp("words"), "sample") as driver:
        yield driver


@pytest.fixture(autouse=True)
def clean(driver):
    begin_anew(driver)
    yield
    assert not driver.complaints, driver.complaints


def put_class(driver, name, schema):
    js = """([name, schema]) => fetch(`api/classes/${name}`, {method: "PUT", body: JSON.stringify({schema}),
            headers: {"Content-Type": "application/json"}}).then(answer => answer.json())"""
    made = driver.page.evaluate(js, [name, schema])
    driver.page.wait_for_selector(f'.classes-page, [aria-label="Class"] option:has-text("{name}")', state="attached")
    return made


def test_the_columns_of_the_last_object_are_offered_for_the_next(driver):
    page = driver.page
    put_class(driver, "hall", {"roof": {"type": "string", "values": ["flat", "gable"]}, "floors": {"type": "number"}})
    put_class(driver, "lane", {"floors": {"type": "number"}, "width": {"type": "number"}})
    page.select_option(".current select[aria-label=Class]", "hall")
    driver.key("p")
    page.select_option(".current [aria-label=roof]", "gable")
    page.fill(".current [aria-label=floors]", "2")
    page.keyboard.press("Tab")
    page.fill(".current [aria-label=Label]", "number 1")
    page.keyboard.press("Enter")
    first = square(driver, 600, 500, 660, 540)["properties"]
    assert (first["label"], first["attributes"]) == ("number 1", {"roof": "gable", "floors": 2})
    driver.key("p")
    assert page.input_value(".current [aria-label=roof]") == "gable"
    assert page.input_value(".current [aria-label=floors]") == "2"
    assert page.input_value(".current [aria-label=Label]") == ""
    assert page.is_visible(".current .again")
    second = square(driver, 700, 500, 760, 540)["properties"]
    assert second["attributes"] == {"roof": "gable", "floors": 2}
    # another class has its own, one column both have goes along while it is typed
    page.select_option(".current select[aria-label=Class]", "lane")
    assert page.input_value(".current [aria-label=floors]") == "2"
    page.select_option(".current select[aria-label=Class]", "hall")
    driver.key("p")
    page.click(".current .again button")
    third = square(driver, 800, 500, 860, 540)["properties"]
    assert third["attributes"] == {}
    driver.key("p")
    assert page.input_value(".current [aria-label=roof]") == ""


def test_a_comment_is_kept_with_the_object_found_and_taken_away(driver):
    page = driver.page
    uuid = square(driver, 600, 500, 660, 540)["id"]
    square(driver, 700, 500, 760, 540)
    driver.key("v")
    page.mouse.click(*driver.at(630, 520))
    field = page.locator(".bulk [aria-label='Comment on the object']")
    field.fill("the eaves are missing")
    driver.press("Tab", "/objects/set")
    stored = {f["id"]: f["properties"]["attributes"] for f in driver.objects()}
    assert stored.pop(uuid) == {"comment": "the eaves are missing"} and list(stored.values()) == [{}]
    assert page.locator(f'.item[data-uuid="{uuid}"] .comment').get_attribute("title") == "the eaves are missing"
    page.select_option(".tools [aria-label=Status]", label="with a comment")
    assert page.locator(".list .item").count() == 1
    page.select_option(".tools [aria-label=Status]", "*")
    page.fill(".tools [aria-label=Filter]", "eaves")
    page.wait_for_function("() => document.querySelectorAll('.list .item').length === 1")
    page.fill(".tools [aria-label=Filter]", "")
    page.locator(".map").focus()
    driver.press("Control+z", "/undo")
    assert all(f["properties"]["attributes"] == {} for f in driver.objects())
    driver.press("Control+y", "/redo")
    field = page.locator(".bulk [aria-label='Comment on the object']")
    field.fill("")
    driver.press("Tab", "/objects/set")
    assert all(f["properties"]["attributes"] == {} for f in driver.objects())


def test_a_place_in_degrees_is_gone_to(driver):
    page = driver.page
    image = driver.get("/api/images")["images"][0]
    a, _, c, _, e, f = image["transform"]
    lon, lat = Transformer.from_crs(image["crs"], 4326, always_xy=True).transform(c + 700 * a, f + 500 * e)
    for text in (
        f"{lon:.7f}, {lat:.7f}",
        f"{abs(lat):.7f} {'N' if lat > 0 else 'S'} {abs(lon):.7f} {'E' if lon > 0 else 'W'}",
    ):
        driver.key("0")
        driver.settle()
        driver.key("Control+g")
        page.select_option("dialog [aria-label='Given in']", "lonlat")
        page.fill("dialog [aria-label=Coordinates]", text)
        page.click("dialog footer .primary")
        page.wait_for_selector("dialog", state="detached")
        driver.settle()
        left, bottom, right, top = map(float, page.get_attribute(".map", "data-extent").split())
        assert ((left + right) / 2, -(bottom + top) / 2) == pytest.approx((700, 500), abs=8)
    driver.key("Control+g")
    for wrong, said in (("16", "Give two numbers"), (f"{-lon}, {lat}", "outside the image")):
        page.select_option("dialog [aria-label='Given in']", "lonlat")
        page.fill("dialog [aria-label=Coordinates]", wrong)
        page.click("dialog footer .primary")
        page.wait_for_selector(f"dialog .wrong:has-text('{said}')")
    driver.key("Escape")


def proposed(driver, name):
    """What is proposed as like one pool, which is kept as an object and an example of a new class."""
    make_class(driver, name)
    driver.key("c")
    pool = Town().near("water", 900, 620)[0]
    outline(driver, pool, target=0.7)
    driver.press("Enter", "/accept")
    driver.key("v")
    driver.page.mouse.click(*driver.at(*middle(pool)))
    driver.page.wait_for_timeout(200)
    driver.press("i", "/references")
    found = driver.press("f", "/proposals")["items"]
    assert found
    return found


def test_refusing_is_undone_by_undo_also_after_the_list_was_left(driver):
    page, found = driver.page, proposed(driver, "pool")
    shown = page.locator("[data-proposal]")
    assert shown.count() == len(found)
    driver.press("n", "/refuse")
    assert page.locator("[data-proposal]").count() == len(found) - 1
    if len(found) > 1:
        driver.act(lambda: page.click(".page button:has-text('Done')"), "/proposals/", "DELETE")
    assert page.locator("[data-proposal]:visible").count() == 0
    driver.press("Control+z", "/undo")
    page.wait_for_function("n => document.querySelectorAll('[data-proposal]').length === n", arg=len(found))
    driver.press("Control+y", "/redo")
    if len(found) > 1:
        page.wait_for_function("n => document.querySelectorAll('[data-proposal]').length === n", arg=len(found) - 1)
        kept = driver.press("y", "/accept")["objects"][0]["id"]
        driver.press("Control+z", "/undo")
        page.wait_for_function("n => document.querySelectorAll('[data-proposal]').length === n", arg=len(found) - 1)
        assert kept not in {f["id"] for f in driver.objects()}


def test_yes_and_no_answer_the_review_that_was_begun_last_not_the_proposals(driver):
    """With proposals open, `G` went to an object and `Y` kept a proposal on bare ground."""
    page, found = driver.page, proposed(driver, "basin")
    driver.key("g")
    change = driver.press("y", "/objects/set")
    assert [feature["properties"]["status"] for feature in change["objects"]] == ["approved"]
    assert len(driver.objects()) == 1 and page.locator("[data-proposal]").count() in (0, len(found))
    driver.key("Escape")


def test_an_object_is_taken_apart_and_its_parts_are_kept_with_it(driver, tmp_path):
    """Select the whole, press the key, outline the parts: each names its whole, its class is its tag."""
    page = driver.page
    for name in ("plane", "wing", "tail"):
        put_class(driver, name, {})
    page.select_option(".current select[aria-label=Class]", "plane")
    square(driver, 600, 500, 700, 560)
    (whole,) = driver.objects()
    page.locator(".item").first.click()
    driver.key("Shift+T")
    page.wait_for_selector(".current .whole:has-text('Parts of plane')")
    for name, box in (("wing", (610, 505, 640, 555)), ("tail", (660, 505, 690, 555))):
        page.select_option(".current select[aria-label=Class]", name)
        square(driver, *box)
    driver.key("Shift+T")
    page.wait_for_selector(".current .whole", state="hidden")
    page.select_option(".current select[aria-label=Class]", "wing")
    square(driver, 720, 500, 760, 540)
    told = {f["properties"]["class"]: [] for f in driver.objects()}
    for feature in driver.objects():
        told[feature["properties"]["class"]].append(feature["properties"]["attributes"].get("part_of"))
    assert told == {"plane": [None], "wing": [whole["id"], None], "tail": [whole["id"]]}
    assert page.locator(f".item .detail:has-text('part of {whole['id'][:4]}')").count() == 2
    driver.key("v")
    with page.expect_response(lambda r: "/objects/set" in r.url):  # several selected: parts of the largest
        page.evaluate("ids => window.terraclick.project.select(ids)", [f["id"] for f in driver.objects()])
        driver.key("Shift+T")
    driver.quiet()
    owners = [feature["properties"]["attributes"].get("part_of") for feature in driver.objects()]
    assert sorted(map(str, owners)) == sorted(["None", *[whole["id"]] * 3])
    driver.press("Control+z", "/undo")
    owners = [feature["properties"]["attributes"].get("part_of") for feature in driver.objects()]
    assert owners.count(whole["id"]) == 2

    from terraclick.exchange.export_parts import export_parts
    from terraclick.store.geopackage import open_store

    with open_store(driver.folder / "work.gpkg") as store:
        found = export_parts(store, driver.folder / "work.gpkg", tmp_path / "apart")
    assert (found.objects, found.parts, found.tags) == (1, 2, {"plane": ("wing", "tail")})
