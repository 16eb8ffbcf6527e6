"""Reading views: bands, stretch, nodata, extents, zooms."""

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.enums import ColorInterp, Resampling

from terraclick.errors import BadGrid, BadImage, BadInput
from terraclick.geo import pixels, raster
from terraclick.geo.raster import read_bands, read_info, read_limits, read_statistics, read_tile, read_view
from terraclick.values import Window

NORTH_UP = Affine(0.5, 0, 500000, 0, -0.5, 5e6)


def write(path, values, transform=NORTH_UP, crs="EPSG:32633", interp=None, mask=None, overviews=(), **profile):
    """A GeoTIFF from values (bands, rows, cols)."""
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, crs=crs,
        transform=transform, **profile,
    ) as file:  # fmt: skip
        file.write(values)
        if interp:
            file.colorinterp = interp
        if mask is not None:
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                file.write_mask(mask)
        if overviews:
            file.build_overviews(list(overviews), Resampling.average)
    return path


def noise(bands=3, rows=60, cols=80, dtype="uint8", high=256, seed=0):
    return np.random.default_rng(seed).integers(1, high, (bands, rows, cols)).astype(dtype)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A 500 x 701 image of smooth colours with overviews."""
    values = cv2.GaussianBlur(noise(3, 500, 701).transpose(1, 2, 0), (0, 0), 2).transpose(2, 0, 1)
    path = tmp_path_factory.mktemp("big") / "big.tif"
    return write(path, values, overviews=(2, 4), tiled=True, blockxsize=128, blockysize=128)


def test_uint8_rgb_is_read_as_it_is(tmp_path):
    values = noise()
    view, grid = read_view(write(tmp_path / "a.tif", values))
    assert (view.image == values.transpose(1, 2, 0)).all() and view.valid is None
    assert grid.transform == NORTH_UP and grid.crs == CRS(32633) and view.gsd == grid.metres_per_pixel


def test_info(big, tmp_path):
    info = read_info(big)
    assert (info.driver, info.bands, info.dtype, info.nodata, info.has_overviews) == ("GTiff", 3, "uint8", None, True)
    assert info.grid.shape == (500, 701)
    assert read_info(write(tmp_path / "n.tif", noise(), nodata=7)).nodata == 7


@pytest.mark.parametrize("bands, chosen", [(1, (0, 0, 0)), (2, (0, 0, 0)), (4, (0, 1, 2)), (8, (0, 1, 2))])
def test_bands_by_count(tmp_path, bands, chosen):
    values = noise(bands)
    interp = [ColorInterp.undefined] * bands
    view, _ = read_view(write(tmp_path / "a.tif", values, interp=interp))
    assert (view.image == values[list(chosen)].transpose(1, 2, 0)).all() and view.valid is None


def test_bands_by_meaning_and_by_request(tmp_path):
    values = noise(4)
    order = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    path = write(tmp_path / "a.tif", values, interp=order)
    assert (read_view(path)[0].image == values[[3, 2, 1]].transpose(1, 2, 0)).all()
    assert (read_view(path, bands=(1, 1, 2))[0].image == values[[0, 0, 1]].transpose(1, 2, 0)).all()
    assert (read_view(path, bands=[4])[0].image == values[[3, 3, 3]].transpose(1, 2, 0)).all()
    for bad in ((1, 2), (0,), (5,), ()):
        with pytest.raises(BadInput, match="1 to 4"):
            read_view(path, bands=bad)


def test_alpha_only_when_declared(tmp_path):
    values = noise(4)
    values[3, :10] = 0
    rgb = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    nir = read_view(write(tmp_path / "nir.tif", values, photometric="RGB", alpha="unspecified"))[0]
    alpha = read_view(write(tmp_path / "alpha.tif", values, interp=[*rgb, ColorInterp.alpha]))[0]
    assert nir.valid is None
    assert (alpha.valid == (values[3] > 0)).all() and not alpha.image[:10].any()


def test_nodata_and_mask(tmp_path):
    values = noise()
    values[:, :5] = 9
    values[0, 20] = 9  # one band alone does not make a pixel nodata
    view, _ = read_view(write(tmp_path / "nodata.tif", values, nodata=9))
    assert not view.valid[:5].any() and view.valid[20].all()
    mask = np.ones((60, 80), dtype=bool)
    mask[:, 70:] = False
    view, _ = read_view(write(tmp_path / "mask.tif", noise(), mask=mask))
    assert (view.valid == mask).all()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "uint32", "int8"])
def test_other_types_stretch_over_the_whole_image(tmp_path, dtype):
    values = np.linspace(-100, 100, 60 * 80).reshape(1, 60, 80) + (100 if dtype[0] == "u" else 0)
    path = write(tmp_path / "a.tif", values.astype(dtype))
    whole, grid = read_view(path)
    assert whole.image.min() == 0 and whole.image.max() == 255
    assert 0.02 < (whole.image[..., 0] == 0).mean() < 0.04
    left, _, right, top = grid.bounds
    part, _ = read_view(path, bounds=(left, top - 5, right, top))
    assert (part.image == whole.image[:10]).all()


def test_stretches(tmp_path):
    values = noise(3, dtype="uint16", high=1000)
    path = write(tmp_path / "a.tif", values)
    assert (read_view(path, stretch="none")[0].image == np.clip(values, 0, 255).transpose(1, 2, 0)).all()
    one, _ = read_view(path, stretch=(0, 1000))
    assert (one.image == np.rint(values * 0.255).transpose(1, 2, 0)).all()
    three, _ = read_view(path, stretch=[(0, 1000), (0, 1000), (0, 500)])
    assert (three.image[..., :2] == one.image[..., :2]).all() and three.image[..., 2].mean() > one.image[..., 2].mean()
    dark = write(tmp_path / "dark.tif", noise(3, high=50))
    assert read_view(dark, stretch="percent")[0].image.max() == 255
    for bad in ("loud", (5, 5), (1, 2, 3), (np.nan, 1), [(0, 1), (0, 1)]):
        with pytest.raises(BadInput, match="stretch"):
            read_view(path, stretch=bad)


def test_nan_and_inf_are_not_data(tmp_path):
    values = noise(1, dtype="float32").astype("float32")
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    view, _ = read_view(write(tmp_path / "a.tif", values, nodata=np.nan))
    assert not view.valid[:3].any() and view.valid[3:].all() and view.image[3:].max() == 255


@pytest.mark.parametrize("value, dtype", [(np.nan, "float32"), (np.inf, "float64"), (1e308, "float64"), (7, "uint16")])
def test_constant_and_empty_images(tmp_path, value, dtype):
    values = np.full((3, 20, 20), value, dtype=dtype)
    view, _ = read_view(write(tmp_path / "a.tif", values))
    assert view.image.shape == (20, 20, 3)
    assert (view.valid is None) == bool(np.isfinite(value))
    assert (view.image == (128 if value == 7 else view.image[0, 0, 0])).all()


def test_palette_and_one_bit(tmp_path):
    index = noise(1, high=3) - 1
    path = tmp_path / "palette.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=60, width=80, dtype="uint8", crs="EPSG:32633",
                       transform=NORTH_UP, photometric="palette") as file:  # fmt: skip
        file.write(index)
        file.write_colormap(1, {0: (10, 20, 30, 255), 1: (200, 100, 50, 255)})
    assert (read_view(path)[0].image == np.array([[10, 20, 30], [200, 100, 50]])[index[0]]).all()
    bits = write(tmp_path / "bits.tif", index, nbits=1)
    assert set(np.unique(read_view(bits)[0].image)) == {0, 255}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_have_pixel_grids(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.full((30, 40, 3), (10, 20, 30), dtype=np.uint8))
    view, grid = read_view(path)
    assert view.gsd is None and grid.crs is None and grid.transform == Affine.identity()
    assert np.abs(view.image.astype(int) - (30, 20, 10)).max() <= 2
    part, grid = read_view(path, bounds=(5, 6, 15, 26))
    assert part.shape == (20, 10) and grid.bounds == (5, 6, 15, 26)
    assert read_view(path, gsd=2)[0].shape == (15, 20)


@pytest.mark.parametrize(
    "transform",
    [
        NORTH_UP,
        Affine(0.5, 0, 500000, 0, 0.5, 5e6),
        Affine(0.433, 0.25, 500000, 0.25, -0.433, 5e6),
        Affine(0.5, 0, 500000, 0, -2.0, 5e6),
    ],
    ids=["north-up", "south-up", "rotated", "anisotropic"],
)
def test_the_grid_says_what_was_read(tmp_path, transform):
    values = noise()
    path = write(tmp_path / "a.tif", values, transform=transform)
    _, full = read_view(path)
    x, y = full.to_map(30, 40)
    view, grid = read_view(path, bounds=(x - 3, y - 3, x + 3, y + 3))
    click = grid.to_click(x, y)
    assert (view.image[round(click.row), round(click.col)] == values[:, 30, 40]).all()
    corner = full.to_click(*grid.to_map(-0.5, -0.5))
    assert corner.row + 0.5 == pytest.approx(round(corner.row + 0.5), abs=1e-6)


def test_bounds_are_clipped_or_refused(tmp_path):
    path = write(tmp_path / "a.tif", noise())
    _, full = read_view(path)
    left, bottom, right, top = full.bounds
    view, grid = read_view(path, bounds=(left - 100, bottom - 100, right + 100, top + 100))
    assert view.shape == (60, 80) and grid == full
    for miss in ((right, bottom, right + 10, top), (0, 0, 1, 1), (left, top, right, bottom), (np.nan, 0, 1, 1)):
        with pytest.raises(BadGrid, match="bounds"):
            read_view(path, bounds=miss)
    assert read_view(path, bounds=(left + 1.01, top - 1.02, left + 1.02, top - 1.01))[0].shape == (1, 1)


@pytest.mark.parametrize("gsd", [0, -1, np.nan, np.inf, 1e-9])
def test_gsd_that_cannot_be(big, gsd):
    with pytest.raises(BadGrid, match="gsd"):
        read_view(big, gsd=gsd)


@settings(max_examples=40, deadline=None)
@given(
    gsd=st.sampled_from([0.2, 0.31, 0.5, 0.61, 1.0, 1.2, 1.5, 2.0, 2.31, 3.7]),
    row=st.integers(0, 300),
    col=st.integers(0, 400),
    rows=st.floats(60, 200),
    cols=st.floats(60, 200),
)
def test_same_ground_same_pixels(big, gsd, row, col, rows, cols):
    whole, full = read_view(big, gsd=gsd)
    x, y = 500000 + 0.5 * col, 5e6 - 0.5 * row
    part, grid = read_view(big, bounds=(x, y - 0.5 * rows, x + 0.5 * cols, y), gsd=gsd)
    at = full.to_click(*grid.to_map(0, 0))
    r, c = round(at.row), round(at.col)
    assert (at.row, at.col) == pytest.approx((r, c), abs=1e-4)
    assert (part.image == whole.image[r : r + part.shape[0], c : c + part.shape[1]]).all()


def test_chunks_change_no_pixel(big, monkeypatch):
    before = [read_view(big, gsd=gsd)[0].image for gsd in (0.3, 0.5, 0.7, 1.7)]
    monkeypatch.setattr(pixels, "CHUNK_SAMPLES", 3000)
    after = [read_view(big, gsd=gsd)[0].image for gsd in (0.3, 0.5, 0.7, 1.7)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_shrinking_averages_what_is_valid(tmp_path):
    values = np.zeros((1, 6, 6), dtype="uint8")
    values[0, :3, :3], values[0, 3:, 3:], values[0, 3, 3] = 90, 60, 0
    view, grid = read_view(write(tmp_path / "a.tif", values, nodata=0), gsd=1.5 * 1.0004)
    assert view.image[..., 0].tolist() == [[90, 0], [0, 60]] and view.valid.tolist() == [[True, False], [False, True]]
    assert grid.shape == (2, 2) and view.gsd == pytest.approx(1.5, rel=2e-3)


def test_enlarging_is_bilinear_and_in_place(tmp_path):
    ramp = np.tile(np.arange(0, 200, 10, dtype="uint8"), (1, 20, 1))
    path = write(tmp_path / "a.tif", ramp, crs=None)
    view, grid = read_view(path, gsd=0.25)
    assert grid.shape == (80, 80) and grid.bounds == pytest.approx((500000, 5e6 - 10, 500010, 5e6))
    middle = view.image[40, 10:70, 0].astype(float)
    assert np.abs(middle - ((np.arange(10, 70) + 0.5) / 4 - 0.5) * 10).max() <= 0.51


def test_large_images_come_coarser(big):
    view, grid = read_view(big, max_side=200)
    assert max(view.shape) <= 200 and view.gsd == pytest.approx(2.0, rel=1e-3) and grid.shape == view.shape
    with pytest.raises(BadGrid, match="more than 200"):
        read_view(big, gsd=0.5, max_side=200)


def test_overviews_are_used_and_agree(big):
    view, _ = read_view(big, gsd=4 * 0.5 / 0.9996)
    full, _ = read_view(big)
    mean = full.image[:496, :700].reshape(124, 4, 175, 4, 3).mean(axis=(1, 3))
    assert np.abs(view.image[:124, :175] - mean).mean() < 2.5  # 701 columns do not halve evenly: overviews drift


def test_strange_shapes(tmp_path):
    for rows, cols in ((1, 1), (1, 300), (300, 1)):
        path = write(tmp_path / "a.tif", noise(1, rows, cols))
        assert read_view(path)[0].shape == (rows, cols)
        assert read_view(path, gsd=3.0)[0].shape == (-(-rows // 6), -(-cols // 6))
        assert read_view(path, gsd=0.1)[0].shape == (5 * rows, 5 * cols)


@pytest.mark.parametrize("bend", [0.0, 0.3, 20.0])
def test_control_points_place_an_image_where_a_straight_grid_fits_them(tmp_path, bend):
    places = [(r, c) for r in (0, 59) for c in (0, 79)]
    points = [rasterio.control.GroundControlPoint(r, c, 10 + c + bend * (r * c == 0), 50 - r) for r, c in places]
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=3, height=60, width=80, dtype="uint8", gcps=points,
                       crs="EPSG:4326") as file:  # fmt: skip
        file.write(noise())
    info = read_info(path)
    if bend > 1:
        assert info.grid.crs is None and info.grid.transform == Affine.identity()
        assert "4 control points that no straight grid fits" in info.unplaced and "gdalwarp" in info.unplaced
        return
    assert info.grid.crs.to_epsg() == 4326 and any("4 control points" in note for note in info.notes)
    assert max(abs(x - y) for x, y in zip(info.grid.to_map(29.5, 39.5), (50 + bend, 20), strict=True)) < 0.5


def test_transform_without_a_coordinate_system_is_kept(tmp_path):
    grid = read_info(write(tmp_path / "a.tif", noise(), crs=None)).grid
    assert grid.crs is None and grid.transform == NORTH_UP and grid.metres_per_pixel is None


def test_real_rasters(shared):
    folder = shared / "data" / "rasters"
    for path in sorted(folder.glob("*.tif")):
        view, grid = read_view(path, max_side=512)
        assert view.image.ndim == 3 and max(view.shape) <= 512 and grid.shape == view.shape
    pan = read_view(folder / "spacenet4_atlanta_pan_uint16.tif")[0]
    assert 60 < pan.image.mean() < 160 and pan.gsd == pytest.approx(0.5, rel=1e-3)


def test_missing_sample_and_file(tmp_path, monkeypatch):
    monkeypatch.setattr(raster, "SAMPLE", write(tmp_path / "scene.tif", noise()))
    assert raster.resolve_image("sample").name == "scene.tif"
    with pytest.raises(BadImage, match="does not exist"):
        raster.resolve_image(tmp_path / "none.tif")


def test_tiles_put_together_are_the_view():
    whole, _ = read_view("sample", max_side=1536)
    parts = [read_tile("sample", Window(0, col, 1536, 256)).image for col in range(0, 1536, 256)]
    assert np.array_equal(np.hstack(parts), whole.image)
    coarse = read_tile("sample", Window(0, 0, 256, 256), 8.0)
    assert coarse.shape == (192, 192)  # the image ends inside the tile
    with pytest.raises(BadGrid, match="misses"):
        read_tile("sample", Window(0, 1536, 256, 256))


def test_limits_given_back_change_nothing(tmp_path):
    rows = np.linspace(0, 4000, 64 * 64).reshape(1, 64, 64).astype("uint16")
    path = write(tmp_path / "deep.tif", rows)
    bands, limits = read_limits(path)
    assert np.array_equal(read_view(path, bands=bands, stretch=limits)[0].image, read_view(path)[0].image)
    assert [(band.number, band.dtype) for band in read_bands(path)] == [(1, "uint16")]
    assert read_statistics(path)[0][:3] == (1, 0.0, 4000.0)
