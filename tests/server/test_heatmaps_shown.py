"""Heatmaps of a class map above the picture: found, drawn on the image's own pixels, switched on and off in the map."""

import cv2
import numpy as np
import pytest
from map_driver import at_the_map
from tests_app_help import HOUSES, draw

from terraclick.geo.classmap import HEAT_OF, UNKNOWN, RowFile, write_cog
from terraclick.geo.raster import read_info
from terraclick.server.heatmaps import Heatmaps
from terraclick.server.images import open_scenes
from terraclick.values import Window


def heat_file(scene, path, part=None, factor=1, names=("building", "ground"), tag=None):
    """100 % building on the houses of the town, 0 elsewhere; ground the other way round."""
    whole = np.zeros((600, 800), np.uint8)
    for row, col, rows, cols in HOUSES.values():
        whole[row : row + rows, col : col + cols] = 100
    part = part or Window(0, 0, 600 // factor, 800 // factor)
    level = whole[::factor, ::factor][part.row : part.row + part.rows, part.col : part.col + part.cols]
    path.parent.mkdir(exist_ok=True)
    rows = RowFile(path.parent / "rows.raw", len(names), level.shape)
    rows.create()
    rows.write(0, np.stack([level, 100 - level][: len(names)]))
    grid = read_info(scene).grid.coarsened(factor, part)
    write_cog(rows, path, grid, UNKNOWN, [HEAT_OF.format(n) for n in names], tags={"SCENE": tag or scene.name})
    rows.path.unlink()
    return path


def tile(client, layer, where):
    answer = client.get(f"/api/images/town/layers/{layer['id']}/tiles/pixels/{where}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def listed(client):
    return client.get("/api/images/town/layers").json()["layers"]


def test_a_layer_lies_on_the_pixels_of_its_scene(serve, town):
    heat_file(town, town.parent / "why" / "heatmaps.tif")
    client = serve(town)
    building, ground = listed(client)
    assert (building["name"], ground["name"], building["file"]) == ("building", "ground", "heatmaps.tif")
    seen = tile(client, building, "2/0/0.png")
    assert seen[100, 120].tolist() == [30, 40, 235, 191] and seen[99, 120].tolist() == [200, 70, 40, 191]
    assert tile(client, ground, "2/0/0")[100, 120].tolist() == [200, 70, 40, 191]
    edge = tile(client, building, "2/3/2")
    assert edge[87, 31, 3] == 191 and edge[88, 0, 3] == 0 == edge[0, 32, 3]
    assert tile(client, building, "1/0/0")[60, 75, 2] == 235  # half as fine


def test_part_maps_and_coarser_maps_are_drawn_in_place(serve, town):
    heat_file(town, town.parent / "heat_part.tif", Window(90, 110, 60, 80))
    heat_file(town, town.parent / "heat_rough.tif", factor=2)
    client = serve(town)
    part, _, rough, _ = listed(client)
    seen = tile(client, part, "2/0/0")
    assert seen[100, 120, 2] == 235 and seen[99, 120, 2] == 40 and seen[89, 120, 3] == 0 == seen[100, 109, 3]
    assert (tile(client, rough, "2/0/0")[100:140, 120:180, 2] == 235).all()


def test_a_map_made_while_the_server_runs_appears_and_other_files_do_not(serve, town):
    client = serve(town)
    assert listed(client) == []
    draw(town.parent / "heated.tif")
    (town.parent / "heat.tif").write_bytes(b"II*\0 not a picture")
    heat_file(town, town.parent / "heat_of_another.tif", tag="other.tif")
    assert listed(client) == []
    heat_file(town, town.parent / "out" / "heat.tif")
    assert [layer["name"] for layer in listed(client)] == ["building", "ground"]


def test_heatmaps_in_a_folder_are_layers_not_images(town):
    heat_file(town, town.parent / "heat.tif")
    scenes = open_scenes([str(town.parent)])
    assert list(scenes) == ["town"] and len(Heatmaps().of(scenes["town"])) == 2


@pytest.mark.parametrize("where", ["3/0/0", "2/4/0", "2/0/3", "2/0/-1", "2/0/x", "2/0/0.jpg"])
def test_tiles_of_layers_that_are_not_there(serve, town, where):
    heat_file(town, town.parent / "heat.tif")
    client = serve(town)
    layer = listed(client)[0]["id"]
    assert client.get(f"/api/images/town/layers/{layer}/tiles/pixels/{where}").status_code in (400, 404)
    assert client.get("/api/images/town/layers/none/tiles/pixels/2/0/0").status_code == 404
    (town.parent / "heat.tif").unlink()
    assert client.get(f"/api/images/town/layers/{layer}/tiles/pixels/2/0/0").status_code == 422


def test_layers_are_switched_and_faded_in_the_map(town, tmp_path):
    heat_file(town, tmp_path / "why" / "heatmaps.tif")

    with at_the_map(tmp_path, town) as driver:

        def warmth(x, y):
            shot = cv2.imdecode(np.frombuffer(driver.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            left, top = driver.at(x, y)
            blue, _, red = shot[round(top), round(left)].astype(int)
            return red - blue

        def wait_for(fits):
            for _ in range(60):
                seen = warmth(150, 120), warmth(60, 500)
                if fits(*seen):
                    return
                driver.page.wait_for_timeout(250)
            raise AssertionError(seen)

        wait_for(lambda house, field: (house, field) == (0, 0))
        driver.page.click("button[aria-label=Display]")
        switch = driver.page.locator("[data-layer] input").first
        switch.check()
        wait_for(lambda house, field: house > 60 and field < -40)
        driver.page.locator("input[aria-label='Opacity of building']").fill("0.2")
        wait_for(lambda house, field: 5 < house < 40 and field < 0)
        switch.uncheck()
        wait_for(lambda house, field: (house, field) == (0, 0))
