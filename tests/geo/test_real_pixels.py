"""Only real pixels: outlines end where the image holds no data, whatever says so; bands, alpha, scale and suspicion."""

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.enums import ColorInterp

from terraclick import outline
from terraclick.errors import BadClick, BadConfig
from terraclick.geo.bands import described_colours
from terraclick.geo.raster import read_info, read_limits, read_statistics, read_view
from terraclick.geo.reading import Reading
from terraclick.geo.suspicion import suspicions
from terraclick.values import Prediction

PLACE = Affine(1, 0, 500000, 0, -1, 5e6)
RGB = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]


class Everything:
    """A predictor that takes the whole view: only what is cut off can be missing."""

    def encode(self, view):
        return view.image

    def predict(self, encoded, prompt, previous):
        return Prediction(np.ones(encoded.shape[:2], np.float32))


def write(path, values, interp=None, mask=None, descriptions=(), scaling=None, crs="EPSG:32633", **profile):
    count, height, width = values.shape
    size = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=PLACE, **size, **profile) as file:
        file.write(values)
        if interp:
            file.colorinterp = interp
        for band, text in enumerate(descriptions, start=1):
            file.set_band_description(band, text)
        if scaling:
            file.scales, file.offsets = ([value] * count for value in scaling)
        if mask is not None:
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                file.write_mask(mask)
    return str(path)


def noise(bands=3, rows=120, cols=160, low=1, high=255, dtype="uint8"):
    return np.random.default_rng(0).integers(low, high, (bands, rows, cols)).astype(dtype)


HOLE = np.zeros((120, 160), dtype=bool)
HOLE[:30, :40] = True


def holed(kind, path):
    """An image whose top left corner holds no data, said in one of the ways there are."""
    if kind == "mask":
        return write(path, noise(), mask=~HOLE)
    if kind == "alpha":
        values = noise(4)
        values[3] = np.where(HOLE, 0, 255)
        return write(path, values, [*RGB, ColorInterp.alpha])
    if kind == "nan":
        values = noise(dtype="float32")
        values[:, HOLE] = np.nan
        return write(path, values)
    values = noise()
    values[:, HOLE] = 0
    return write(path, values, nodata=0 if kind == "nodata" else None)


@pytest.mark.parametrize("target", ["object", "class"])
@pytest.mark.parametrize("shape", [{}, {"simplify_m": 30}, {"square": True}, {"gsd": 3}])
@pytest.mark.parametrize("kind", ["mask", "alpha", "nan", "nodata", "said"])
def test_outlines_end_where_there_is_no_data(tmp_path, kind, shape, target):
    path = holed(kind, tmp_path / "a.tif")
    reading = Reading(nodata="0") if kind == "said" else Reading()
    found = outline(path, [(500100.5, 4999940.5, True)], target, Everything(), reading=reading, **shape)
    unreal = shapely.box(500000, 4999970, 500040, 5000000)
    most = 100 if "gsd" in shape else 20 if shape else 0  # half a pixel along its edge, or a coarse one
    assert found.geometry.intersection(unreal).area <= most
    if not shape:
        assert found.geometry.area == 120 * 160 - 30 * 40
    with pytest.raises(BadClick, match="holds no data"):
        outline(path, [(500010.5, 4999990.5, True)], target, Everything(), reading=reading)
    with pytest.raises(BadClick, match="holds no data"):
        outline(path, [(10.5, 9.5, True)], target, Everything(), reading=reading, pixels=True)


def test_an_alpha_band_can_be_switched_off_or_asked_for(tmp_path):
    values = noise(4)
    values[3] = np.where(HOLE, 0, noise(1)[0])
    path = write(tmp_path / "a.tif", values, [*RGB, ColorInterp.alpha])
    assert (read_view(path)[0].valid == ~HOLE).all()
    assert (read_view(path, bands=(1, 2, 3))[0].valid == ~HOLE).all()
    assert read_view(path, bands=(4, 1, 2))[0].valid is None
    off = read_view(path, reading=Reading(alpha=False))[0]
    assert off.valid is None and np.array_equal(off.image, values[:3].transpose(1, 2, 0))
    (said,) = suspicions(path)
    assert "band 4 is declared as alpha" in said and "--no-alpha" in said
    named = write(tmp_path / "b.tif", values, [*RGB, ColorInterp.alpha], descriptions=("red", "green", "blue", "nir"))
    assert read_view(named)[0].valid is None


def test_a_true_alpha_band_is_not_suspected(tmp_path):
    values = noise(4)
    values[3] = np.where(HOLE, 0, 255)
    assert suspicions(write(tmp_path / "a.tif", values, [*RGB, ColorInterp.alpha])) == ()


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("int16", -9999), ("float32", -9999), ("float32", float(np.finfo("float32").min)), ("uint16", 65535),
        ("uint16", 0), ("uint8", 0), ("uint8", 255), ("int32", -2147483648), ("float64", 1e20),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bands", [1, 3])
def test_undeclared_nodata_is_suspected_aloud_and_the_way_out_is_one(tmp_path, dtype, value, bands):
    values = noise(bands, low=1000 if dtype != "uint8" else 20, high=4000 if dtype != "uint8" else 230, dtype=dtype)
    values[:, HOLE] = value
    path = write(tmp_path / "a.tif", values)
    (said,) = suspicions(path)
    word = said.rsplit("--nodata ", 1)[1]
    assert float(word) == pytest.approx(value) and "6%" in said
    assert (read_view(path, reading=Reading(nodata=repr(float(value))))[0].valid == ~HOLE).all()
    assert suspicions(path, Reading(nodata="none")) == ()
    assert suspicions(write(tmp_path / "b.tif", values, nodata=value)) == ()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_plain_pictures_are_not_suspected(tmp_path, dtype):
    assert suspicions(write(tmp_path / "a.tif", noise(dtype=dtype))) == ()
    assert suspicions(write(tmp_path / "b.tif", noise(low=0, high=3, dtype=dtype))) == ()
    assert suspicions(write(tmp_path / "c.tif", np.full((3, 120, 160), 7, dtype))) == ()
    assert suspicions("sample") == ()


def test_nodata_words(tmp_path):
    values = noise(dtype="float32")
    values[:, HOLE] = 0
    path = write(tmp_path / "a.tif", values, nodata=0)
    assert read_view(path, reading=Reading(nodata="none"))[0].valid is None
    assert (read_view(path, reading=Reading(nodata="nan"))[0].valid is None) and read_info(path).nodata == 0
    for bad in ({"nodata": "black"}, {"page": 0}, {"crs": "EPSG:5703"}, {"crs": "utm"}):
        with pytest.raises(BadConfig):
            Reading(**bad)


def test_stretches_are_in_true_values_where_a_scale_is_declared(tmp_path):
    values = noise(low=7000, high=20000, dtype="uint16")
    scale, offset = 2.75e-5, -0.2
    path = write(tmp_path / "a.tif", values, scaling=(scale, offset))
    view, _ = read_view(path, stretch=(0.0, 0.35))
    true = np.clip((values.transpose(1, 2, 0) * scale + offset) / 0.35, 0, 1) * 255
    assert np.abs(view.image - true).max() <= 0.51 and view.image.std() > 20
    plain, _ = read_view(write(tmp_path / "b.tif", values))
    assert np.array_equal(read_view(path)[0].image, plain.image)
    bands, limits = read_limits(path)
    assert np.array_equal(read_view(path, bands=bands, stretch=limits)[0].image, plain.image)
    _, low, high, _, _ = read_statistics(path)[0]
    assert (low, high) == pytest.approx((values[0].min() * scale + offset, values[0].max() * scale + offset))
    bytes_ = write(tmp_path / "c.tif", noise(), scaling=(0.5, 3))
    assert np.array_equal(read_view(bytes_)[0].image, noise().transpose(1, 2, 0))


@pytest.mark.parametrize(
    "descriptions, expected",
    [
        (("blue", "green", "red", "nir"), (3, 2, 1)),
        (("Blue", "Green", "Red", "Near infrared"), (3, 2, 1)),
        (("coastal blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), None),
        (("coastal blue", "blue", "green", "yellow", "red", "red edge", "nir"), (5, 3, 2)),
        (("B02", "B03", "B04", "B08"), (3, 2, 1)),
        (("SR_B2", "SR_B3", "SR_B4", "SR_B5"), (3, 2, 1)),
        (("B8", "B4", "B3", "B2"), (2, 3, 4)),
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4"), None),
        (("Band 1 (Red)", "Band 2 (Green)", "Band 3 (Blue)"), (1, 2, 3)),
        (("red", "green", "", ""), None),
        (("", "", "", ""), None),
        (("red", "red", "green", "blue"), None),
    ],
)
def test_bands_by_description(descriptions, expected):
    assert described_colours(descriptions) == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_planet_scene_is_seen_in_its_colours(tmp_path, dtype):
    values = noise(4, dtype=dtype)
    path = write(tmp_path / "a.tif", values, descriptions=("blue", "green", "red", "nir"))
    view, _ = read_view(path, stretch="none")
    assert np.array_equal(view.image, values[[2, 1, 0]].transpose(1, 2, 0)) and view.valid is None


@pytest.mark.parametrize("gsd", [7, 11.3, 64])
@pytest.mark.parametrize("pixels", [False, True])
def test_coarse_views_do_not_reach_beyond_the_image(tmp_path, gsd, pixels):
    path = write(tmp_path / "a.tif", noise(rows=103, cols=151))
    click = (75.5, 50.5, True) if pixels else (500075.5, 4999949.5, True)
    found = outline(path, [click], "class", Everything(), gsd=gsd, pixels=pixels)
    extent = (0, 0, 151, 103) if pixels else (500000, 4999897, 500151, 5000000)
    assert found.geometry.bounds == pytest.approx(extent) and found.geometry.area == pytest.approx(151 * 103)


@pytest.mark.parametrize(
    "click", [(5, 5), (5, 5, True, 1, 2), (5, "b", True), (5, float("nan"), True), "555", 5, (5, 5, "yes")], ids=str
)
def test_a_click_that_is_none_is_told(click):
    with pytest.raises(BadClick, match=r"expected \(x, y, positive\)"):
        outline("sample", clicks=[click], model="flood", pixels=True)


@pytest.mark.parametrize("box", [(5, 5, True, 1), (5, 5, 5, 9), (5, 5, float("nan"), 9), (9, 5, 5, 9)], ids=str)
def test_four_values_that_are_no_box_are_told(box):
    with pytest.raises(BadClick, match="expected four numbers x1, y1, x2, y2"):
        outline("sample", clicks=[box], model="flood", pixels=True)
