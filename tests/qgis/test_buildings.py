"""Buildings clicked in a real QGIS, in projects of another system: outlines as the command line gives them.

Every story corrects, undoes, accepts, saves and opens an object again (scenarios.py).
"""

import json
import os
import runpy
import statistics
from pathlib import Path

import pytest
import rasterio
from qgis_play import (
    NAIP_TILE,
    ROOT,
    SAMPLE,
    SCREEN,
    SHARED,
    buildings,
    by_command_line,
    needs_desktop,
    needs_mouse,
    needs_qgis,
    needs_shared,
    overlap,
)
from shapely import Point, Polygon, from_wkt
from shapely.affinity import affine_transform


def towns(folder):
    """Ten buildings of the packaged town: (file, places, true outlines or None)."""
    return SAMPLE, buildings(10), None


def houses(folder):
    """The ten houses of a NAIP tile that were outlined by hand."""
    tile = Path(SHARED) / "data" / "rasters" / NAIP_TILE
    drawn = runpy.run_path(str(ROOT / "dev" / "naip_houses.py"))["HOUSES"]["chico_2020_97"]
    with rasterio.open(tile) as file:
        own = file.transform
    matrix = (own.a / 4, own.b / 4, own.d / 4, own.e / 4, own.c, own.f)
    places = [list(affine_transform(Point(click), matrix).coords[0]) for click, _ in drawn]
    return tile, places, [affine_transform(Polygon(corners), matrix) for _, corners in drawn]


def mosaic(folder):
    """Ten buildings of a mosaic of Web Mercator tiles."""
    real = runpy.run_path(str(ROOT / "dev" / "real_scenes.py"))
    scene = real["mosaic"]("catanduanes_z20", folder)
    truths = list(real["spread"](scene, 10, 400).values())
    return scene.path, [list(truth.representative_point().coords[0]) for truth in truths], truths


IMAGES = {"sample": (towns, "EPSG:3857"), "naip": (houses, "EPSG:3310"), "mosaic": (mosaic, "EPSG:32651")}


def compared(found, program, image, places, truths, folder):
    """Check the objects against the command line's, the clicks and what is true."""
    with rasterio.open(image) as file:
        pixel = file.res[0]
    assert len(found["objects"]) == len(places) == found["saved"] and found["corrected"]
    fits = []
    for index, item in enumerate(found["objects"]):
        made = from_wkt(item["wkt"])
        wanted = by_command_line(program, image, json.loads(item["clicks"]), folder / f"{index}.gpkg")
        assert made.hausdorff_distance(wanted) <= pixel, index
        assert made.distance(Point(places[index])) <= pixel, "the outline does not lie where the click was"
        fits.append(1.0 if truths is None else overlap(made, truths[index]))
    assert statistics.median(fits) > 0.5, fits


@needs_qgis
@needs_shared
def test_two_houses_of_a_naip_tile(qgis, program, tmp_path):
    tile, places, truths = houses(tmp_path)
    found = qgis("story", str(tile), "EPSG:3857", places[:2])
    compared(found, program, tile, places[:2], truths[:2], tmp_path)


@needs_qgis
@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_ten_buildings(qgis, program, tmp_path, name):
    if name != "sample" and SHARED is None:
        pytest.skip("TERRACLICK_SHARED is not set: no images of others to open")
    choose, project_crs = IMAGES[name]
    image, places, truths = choose(tmp_path)
    found = qgis("story", str(image), project_crs, places)
    assert len(places) == 10
    compared(found, program, image, places, truths, tmp_path)


@needs_qgis
@needs_mouse
@needs_desktop
def test_the_mouse_of_a_real_screen_in_the_desktop_program(qgis, program, tmp_path):
    """The zip installed by the plug-in manager of QGIS itself, clicks by the X server."""
    found = qgis("story", str(SAMPLE), "EPSG:3857", buildings(2), desktop=True, **mouse())
    assert found["previewed"] == 1
    compared(found, program, SAMPLE, buildings(2), None, tmp_path)


@needs_qgis
@needs_mouse
@pytest.mark.slow
def test_the_mouse_of_a_real_screen(qgis, program, tmp_path):
    found = qgis("story", str(SAMPLE), "EPSG:3857", buildings(2), screen=SCREEN, **mouse())
    assert found["previewed"] == 1
    compared(found, program, SAMPLE, buildings(2), None, tmp_path)


def mouse():
    """The environment in which clicks are the X server's."""
    return {"QT_QPA_PLATFORM": "xcb", "REAL_MOUSE": "xdotool", "PATH": os.environ["PATH"]}
