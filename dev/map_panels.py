"""Processor milliseconds of the map's panels for 5,000 objects, 300 classes and 2,000 images, in a real Chromium.

    python dev/map_panels.py [--rounds 15]

Each figure is the median of the rounds, in processor time of the page's thread: from the change of a value until every
panel has drawn it and the browser has laid it out. The map itself does not draw meanwhile.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))
from map_driver import browsing, serving

COUNT = 5000
STATIC = Path(__file__).parents[1] / "src" / "terraclick" / "server" / "static"
SET_UP = """() => {
  const {project, stage} = window.terraclick;
  stage.redraw = stage.showObjects = () => {};  // the panels alone
  const one = {name: "a", colour: "#ffffff", key: "", kind: "discrete", schema: {}};
  const image = project.image.value;
  window.bench = {
    uuids: [...project.objects.value.keys()],
    list: document.querySelector(".panel .list[aria-label=Objects]"),
    sort: document.querySelector("select[aria-label=Sort]"),
    pick: (element, value) => {
      element.value = value;
      element.dispatchEvent(new Event("change", {bubbles: true}));
    },
    classes: Array.from({length: 300}, (_, at) => ({...one, name: `class ${at}`})),
    images: [image, ...Array.from({length: 1999}, (_, at) => ({...image, id: `i${at}`, name: `image ${at}`}))],
  };
}"""
CHANGES = {
    "all objects anew": "project.objects.set(new Map(project.objects.value))",
    "sort": "bench.pick(bench.sort, at % 2 ? 'newest' : 'class')",
    "scroll by 40 rows": "bench.list.scrollTop = 1840 * (at + 1)",
    "select one": "project.select([bench.uuids[at % 2]])",
    "select all": "project.select(at % 2 ? bench.uuids.slice(0, 1) : bench.uuids)",
    "300 classes": "project.select([]), project.classes.set([...bench.classes])",
    "class in the hand, of 300": "project.className.set(`class ${at}`)",
    "hide one of 300": "display.hidden.set(new Set([`class ${at}`]))",
    "open the dialog of 2,000 images": "document.querySelector('dialog')?.close(), project.classes.set([]), "
    "project.images.set(bench.images), dialogs.images()",
    "one of 2,000 images done": "project.images.set(bench.images.map((item, i) => "
    "i === at ? {...item, state: 'done'} : item))",
}
ROUND = """async (at) => {
  const {project, dialogs, display} = window.terraclick;
  %s;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}"""


def measured(driver, change, rounds):
    """Median milliseconds of processor time of the page's thread for a change, with what the browser does for it."""
    client = driver.page.context.new_cdp_session(driver.page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        return {item["name"]: item["value"] for item in client.send("Performance.getMetrics")["metrics"]}[
            "TaskDuration"
        ]

    figures = []
    for at in range(rounds):
        driver.page.wait_for_timeout(60)
        before = spent()
        driver.page.evaluate(ROUND.replace("%s", change), at)
        figures.append((spent() - before) * 1000)
    client.detach()
    return median(figures)


def squares():
    shape = lambda at: [(x + 10 + 7.5 * (at % 100), y + 10 + 7.5 * (at // 100)) for x, y in CORNERS]  # noqa: E731
    return [
        {"type": "Feature", "properties": {"class": "a"}, "geometry": {"type": "Polygon", "coordinates": [shape(at)]}}
        for at in range(COUNT)
    ]


CORNERS = [(0, 0), (5, 0), (5, 5), (0, 5), (0, 0)]


def fill_session(driver):
    """5,000 squares come in as an import does."""
    body = json.dumps({"type": "FeatureCollection", "features": squares()})
    driver.page.evaluate(
        """async (body) => { const {project, actions} = window.terraclick;
        await actions.importFile(new File([body], "squares.geojson"), {crs: "pixels"});
        await project.loadObjects(); }""",
        body,
    )
    driver.quiet()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "sample") as address,
        browsing(address) as driver,
    ):
        fill_session(driver)
        driver.page.evaluate(SET_UP)
        for name, change in CHANGES.items():
            print(f"{name:35} {measured(driver, change, rounds):7.1f}")
        driver.complaints.clear()
    print(f"{'app.js, kB':35} {(STATIC / 'app.js').stat().st_size / 1000:7.1f}")


if __name__ == "__main__":
    main()
