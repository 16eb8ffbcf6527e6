"""Models from published files, added by `terraclick models add`, and clicked in the map in a real Chromium."""

import json
import os
import sys
from pathlib import Path

import pytest
from map_driver import at_the_map, chromium

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

from terraclick.catalogue import load  # noqa: E402
from terraclick.commands.adding import add_model  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Adds a small network with random weights, in the file that its authors would have written, as `mine`."""
    chromium()
    monkeypatch.setenv("TERRACLICK_MODELS", str(tmp_path / "models"))
    for folder in (Path(__file__).parents[1], Path(__file__).parents[1] / "networks"):
        monkeypatch.syspath_prepend(str(folder))
    from sam_sizes import tiny
    from test_added_models import SIZE, TINY, published_file, published_sam

    def add(name):
        path = tmp_path / "their.pth"
        if "sam" in name:
            config, size = tiny(name), None
            torch.save(published_sam(load(name, random=1, config=config).network, name.startswith("sam2")), path)
        else:
            config, size = TINY[name], SIZE
            published_file(name, path)
        return add_model(name, path, tmp_path / "models", name="mine", config=config, size=size)

    yield add
    for module in ("sam_sizes", "test_added_models"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", ["sam-vit-b", "sam2-hiera-tiny", "simpleclick-b"])
def test_it_is_clicked_boxed_corrected_and_kept_in_the_map(name, added, tmp_path):
    assert added(name).network == name
    with at_the_map(tmp_path, "sample", "--model", "mine") as driver:
        page = driver.page
        assert driver.get("/api/state")["model"]["name"] == "mine"
        driver.show(900, 620, zoom=3)
        first = driver.click(900, 620)
        assert first["model"] == "mine" and first["outline"] is not None and len(first["clicks"]) == 1
        second = driver.click(930, 640, button="right")
        assert [click["positive"] for click in second["clicks"]] == [True, False]
        back = driver.press("Control+z", "/undo")["session"]
        assert back["outline"] == first["outline"], "what was answered before is answered again"
        driver.key("Escape")
        driver.quiet()
        driver.key("Shift+B")
        page.mouse.move(*driver.at(870, 590))
        page.mouse.down()
        page.mouse.move(*driver.at(930, 650), steps=4)
        boxed = driver.act(page.mouse.up, "/box")
        assert boxed["outline"] is not None and boxed["box"]["x2"] == pytest.approx(930, abs=3)
        if os.environ.get("TERRACLICK_LOOK"):
            page.screenshot(path=f"{os.environ['TERRACLICK_LOOK']}/added-{name}.png")
        if not boxed["outline"]["empty"]:  # weights by chance may find nothing
            kept = driver.press("Enter", "/accept")
            assert kept["properties"]["model"] == "mine" and len(kept["properties"]["model_hash"]) == 16
        card = json.loads((tmp_path / "models" / "mine" / "model.json").read_text())
        assert card["network"] == name and not driver.complaints
