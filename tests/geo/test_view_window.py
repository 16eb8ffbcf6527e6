"""The part of an image that clicks are answered in: one rule for the command line, the server and the map."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from terraclick import outline
from terraclick.errors import BadClick, BadGrid
from terraclick.geo.raster import read_info, read_view
from terraclick.geo.view_window import view_window
from terraclick.server.clicking import ClickSettings, PixelClick, view_spec_for
from terraclick.server.images import Scene
from terraclick.values import Click, Prediction, Target, Window

SHAPE = (10_000, 12_000)


@pytest.mark.parametrize(("target", "side", "step"), [(Target.OBJECT, 1024, 256), (Target.CLASS, 1792, 448)])
def test_a_square_on_a_lattice_around_the_first_including_click(target, side, step):
    window, factor = view_window([Click(5000, 6000, False), Click(5100, 6100)], SHAPE, target)
    assert (window.rows, window.cols, factor) == (side, side, 1)
    assert window.row % step == window.col % step == 0
    assert abs(window.row + side / 2 - 5100) <= step / 2 and abs(window.col + side / 2 - 6100) <= step / 2


@pytest.mark.parametrize("target", Target)
def test_it_grows_by_lattice_steps_until_every_click_lies_well_inside(target):
    clicks = [Click(5000, 6000), Click(6500, 6000, False)]
    window, _ = view_window(clicks, SHAPE, target)
    assert all(window.row + 32 <= click.row <= window.row + window.rows - 32 for click in clicks)
    assert window.rows > window.cols


def test_clicks_too_far_apart_are_refused_or_read_coarser():
    far = [Click(100, 100), Click(9000, 100)]
    with pytest.raises(BadClick, match="coarser --gsd"):
        view_window(far, SHAPE, Target.OBJECT)
    window, factor = view_window(far, SHAPE, Target.OBJECT, coarser=True)
    assert factor == 4 and window.rows / factor <= 4096


def test_what_is_shown_counts_for_a_class_alone():
    shown = (3000.0, 2000.0, 4210.0, 2830.0)
    window, factor = view_window([Click(2100, 3100)], SHAPE, Target.CLASS, shown=shown)
    assert factor == 1 and window == Window(1984, 2944, 896, 1280)
    assert view_window([Click(2100, 3100)], SHAPE, Target.OBJECT, shown=shown)[0].rows == 1024


def test_a_wide_view_is_read_coarser_and_one_beside_the_image_is_refused():
    window, factor = view_window([], SHAPE, Target.CLASS, shown=(0, 0, 9000, 5000))
    assert factor == 8 and window == Window(0, 0, 5120, 9216)
    with pytest.raises(BadGrid, match="misses the image"):
        view_window([], SHAPE, Target.CLASS, shown=(20_000, 0, 21_000, 500))


class Seen:
    """A predictor that keeps the size of what it saw."""

    def encode(self, view):
        return view.image

    def predict(self, encoded, prompt, previous):
        return Prediction(np.ones(encoded.shape[:2], np.float32))


@pytest.mark.parametrize("target", ["object", "class"])
def test_python_and_the_server_see_the_same_for_the_same_click(tmp_path, target):
    path = tmp_path / "wide.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 2600, "width": 2400, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.5, 0, 500000, 0, -0.5, 5e6)) as file:
        file.write(np.tile(np.arange(2400, dtype=np.uint8), (1, 2600, 1)))
    info = read_info(path)
    click = Click(1730, 1490)
    found = outline(str(path), [(*info.grid.to_map(click.row, click.col), True)], target, Seen())
    scene = Scene("a", "wide.tif", path, info, (), "")
    spec = view_spec_for(
        ClickSettings(Target(target)), Target(target), [PixelClick(click.col + 0.5, click.row + 0.5)], scene
    )
    _, seen = read_view(path, spec.bounds, spec.gsd)
    assert seen == found.grid and seen.shape[0] < 2600
