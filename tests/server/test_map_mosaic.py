"""The map on a real picture: a mosaic of drone chips with the buildings people drew on it."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import shapely
from map_driver import at_the_map, chromium
from pyproj import Transformer
from test_map_story import iou, outline, shape_of

from terraclick.geo.raster import read_info


@pytest.mark.slow
def test_buildings_of_a_real_mosaic_are_clicked_and_exported_in_place(shared, tmp_path):
    chromium()
    real = runpy.run_path(str(Path(__file__).parents[2] / "dev" / "real_scenes.py"))
    mosaic = real["mosaic"]("catanduanes_z21", tmp_path)
    a, b, c, d, e, f = tuple(~read_info(mosaic.path).grid.transform)[:6]
    truths = list(real["spread"](mosaic, 6, 400).values())
    with at_the_map(tmp_path, mosaic.path) as driver:
        for truth in truths:
            on_picture = shapely.affinity.affine_transform(truth, (a, b, d, e, c, f))
            driver.key("0")
            driver.settle()
            driver.show(*shapely.maximum_inscribed_circle(on_picture).coords[0], zoom=3)
            answer = outline(driver, on_picture, target=0.8, most=8)
            assert iou(shape_of(answer["outline"]), on_picture) > 0.5
            driver.press("Enter", "/accept")
        driver.key("Control+e")
        driver.page.click('.format:has-text("GeoJSON")')
        result = driver.act(lambda: driver.page.click("dialog footer .primary"), "/api/exports")
    to_map = Transformer.from_crs(4326, 3857, always_xy=True)
    features = json.loads((tmp_path / result["name"]).read_text())["features"]
    found = [
        shapely.transform(shapely.geometry.shape(f["geometry"]), to_map.transform, interleaved=False) for f in features
    ]
    fits = [max(iou(shape, truth) for shape in found) for truth in truths]
    assert len(found) == len(truths) and np.mean(fits) > 0.7, fits
