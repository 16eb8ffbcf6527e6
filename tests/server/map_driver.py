"""A person at the map: starts `terraclick serve`, opens Chromium, points at image pixels."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 90  # seconds
HARMLESS = ("willReadFrequently",)


def chromium():
    """Path of a Chromium (setting TERRACLICK_CHROMIUM), or skip with what is missing."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    found = os.environ.get("TERRACLICK_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium found: apt-get install chromium, or set TERRACLICK_CHROMIUM")
    return found


@contextlib.contextmanager
def serving(folder, *images, session="work.gpkg"):
    """`terraclick serve` as a process of its own; yields its address with the token."""
    words = [sys.executable, "-m", "terraclick.cli", "serve", *map(str, images)]
    words += ["--session", str(folder / session), "--out", str(folder), "--port", "0", "--no-browser"]
    with open(folder / "server.log", "w") as log:
        environ = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environ)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), (folder / "server.log").read_text()[-2000:]
        yield address
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@contextlib.contextmanager
def browsing(address, size=(1440, 900)):
    """The map in a real Chromium; yields a Driver. Anything the page complains of fails the test."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        try:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]})
            page = context.new_page()
            driver = Driver(page, address)
            driver.open()
            yield driver
            assert not driver.complaints, driver.complaints
        finally:
            browser.close()


@contextlib.contextmanager
def at_the_map(folder, *images, size=(1440, 900)):
    """A server on images and a person at its map: a Driver that knows the folder. Skips without Chromium or FastAPI."""
    chromium()
    pytest.importorskip("fastapi")
    with serving(folder, *images) as address, browsing(address, size) as driver:
        driver.folder = folder
        yield driver


class Driver:
    """The map as a hand and an eye see it; places are image pixels, x right, y down."""

    def __init__(self, page, address):
        self.page, self.address, self.complaints = page, address, []
        page.set_default_timeout(45_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.waiting = set()  # requests of the interface that have no answer yet
        page.on("request", lambda request: self._asked(request))
        page.on("requestfinished", lambda request: self.waiting.discard(request))
        page.on("requestfailed", lambda request: self.waiting.discard(request))
        page.on("console", self._hear)

    def _hear(self, message):
        if message.type in ("error", "warning") and not any(word in message.text for word in HARMLESS):
            self.complaints.append(message.text)

    def _asked(self, request):
        path = urlsplit(request.url).path
        if path.startswith("/api/") and path != "/api/events":
            self.waiting.add(request)

    def open(self):
        self.waiting.clear()
        self.page.goto(self.address)
        self.page.wait_for_selector(".welcome", state="detached", timeout=60_000)
        self.page.wait_for_selector(".map[data-extent]")
        self.settle()

    def settle(self):
        """Wait until the view stands still."""
        js = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
            () => done(document.querySelector('.map').dataset.extent))))"""
        before, until = None, time.monotonic() + PATIENCE
        while (now := self.page.evaluate(js)) != before:
            assert time.monotonic() < until, "the view never stands still"
            before = now
            self.page.wait_for_timeout(320)
        self.quiet()

    def quiet(self):
        """Wait until every request has its answer and the page has done what follows from it, on a slow machine too."""
        drawn = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)))"
        still, until = 0, time.monotonic() + PATIENCE
        while still < 2:
            still = 0 if self.waiting else still + 1
            self.page.evaluate(drawn)
            assert time.monotonic() < until, f"still waiting for {[request.url for request in self.waiting]}"

    def at(self, x, y):
        """Where a pixel of the image is on the screen."""
        left, bottom, right, top = map(float, self.page.get_attribute(".map", "data-extent").split())
        box = self.page.locator(".map").bounding_box()
        return box["x"] + (x - left) / (right - left) * box["width"], box["y"] + (top + y) / (top - bottom) * box[
            "height"
        ]

    def show(self, x, y, zoom=4):
        """Zoom by the wheel so that the place stays under the cursor."""
        self.page.mouse.move(*self.at(x, y))
        for _ in range(zoom):
            self.page.mouse.wheel(0, -100)
            self.page.wait_for_timeout(60)
        self.settle()

    def click(self, x, y, button="left"):
        """Click and wait for the answer of the server."""
        with self.page.expect_response(lambda r: "/clicks" in r.url, timeout=60_000) as answer:
            self.page.mouse.click(*self.at(x, y), button=button)
        body = answer.value.json()
        self.quiet()
        self.page.wait_for_function("() => document.querySelector('.busy').hidden")
        return body

    def act(self, run, part, method="POST"):
        """Do something and give the JSON answer of the request whose address holds `part`."""
        with self.page.expect_response(
            lambda r: part in r.url and r.request.method == method, timeout=90_000
        ) as answer:
            run()
        body = answer.value.json() if answer.value.status != 204 else None
        assert answer.value.ok, body
        self.quiet()
        return body

    def confirm(self, part, method="POST"):
        """The main button of the open dialog; the dialog is gone afterwards."""
        body = self.act(lambda: self.page.click("dialog footer .primary"), part, method)
        self.page.wait_for_selector("dialog", state="detached")
        return body

    def key(self, keys):
        self.page.keyboard.press(keys)

    def press(self, keys, part, method="POST"):
        return self.act(lambda: self.key(keys), part, method)

    def get(self, path):
        """A route of the interface, with the cookie of the page."""
        return self.page.evaluate("path => fetch(path).then(answer => answer.json())", path)

    def objects(self, **query):
        query = "&".join(f"{name}={value}" for name, value in {"crs": "pixels", "limit": 10000, **query}.items())
        return self.get(f"/api/collections/objects/items?{query}")["features"]

    def press_elsewhere(self, feature, values):
        """Another window of the same person changes an object."""
        js = """([path, body]) => fetch(path, {method: "PATCH", headers: {"Content-Type": "application/json"},
                body: JSON.stringify(body)}).then(answer => answer.json())"""
        path = f"/api/collections/objects/items/{feature['id']}?crs=pixels"
        return self.page.evaluate(js, [path, {"rev": feature["properties"]["rev"], **values}])

    @property
    def listed(self):
        """How many objects the panel counts."""
        return int(self.page.locator(".foot b").first.inner_text())


def begin_anew(driver):
    """Close what is open, remove every object, show the whole picture with the click tool, forget complaints."""
    page = driver.page
    while page.locator("dialog[open]").count():
        driver.key("Escape")
        page.wait_for_timeout(100)
    for _ in range(4):
        driver.key("Escape")
        page.wait_for_timeout(120)
    if driver.objects():
        driver.key("Control+a")
        driver.press("Delete", "/objects/delete")
    driver.key("c")
    driver.key("0")
    driver.settle()
    driver.complaints.clear()
