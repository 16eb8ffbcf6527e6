"""Where an image lies: what GDAL (and QGIS) read beside it, its control points, its orientation, its pages."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from pyproj import CRS
from pyproj.datadir import get_data_dir
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from terraclick import outline
from terraclick.cli import cli
from terraclick.errors import BadConfig, BadImage, NotGeoreferenced
from terraclick.geo import opening
from terraclick.geo.carrying import accuracy_note, check_carried
from terraclick.geo.crs_text import parse_crs
from terraclick.geo.grid import Grid
from terraclick.geo.raster import read_info, read_stored, read_tile, read_view
from terraclick.geo.reading import Reading
from terraclick.geo.sidecars import MOST_BYTES, stamp_of

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5e6)
DRIVERS = {"tif": "GTiff", "jpg": "JPEG", "png": "PNG"}
WORLDS = {"tif": "tfw", "jpg": "jgw", "png": "pgw"}
WORLD = "2\n0.1\n0.2\n-2\n600000\n4000000\n"
TRANSFORM = "<GeoTransform> 7e5, 3, 0, 3e6, 0, -3</GeoTransform>"
SRS = f"<SRS>{CRS(32634).to_wkt('WKT1_GDAL')}</SRS>"
ESRI_SRS = (
    '<Metadata domain="xml:ESRI" format="xml"><GeodataXform xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:type="typens:IdentityXform"><SpatialReference xsi:type="typens:ProjectedCoordinateSystem"><WKT>'
    f"{CRS(32634).to_wkt('WKT1_ESRI')}</WKT></SpatialReference></GeodataXform></Metadata>"
)
BANDS = (
    '<PAMRasterBand band="1"><Description>one</Description><NoDataValue>7</NoDataValue><ColorInterp>Blue</ColorInterp>'
    "<Offset>5</Offset><Scale>0.1</Scale></PAMRasterBand>"
)


def picture(path, values=None, **place):
    """A picture of three bands; `place` are rasterio's words."""
    values = np.random.default_rng(1).integers(1, 255, (3, 40, 60)).astype("uint8") if values is None else values
    count, height, width = values.shape
    size = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver=DRIVERS[path.suffix[1:]], **size, **place) as file:
        file.write(values)
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)
    return path


def auxiliary(path, *parts):
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{''.join(parts)}</PAMDataset>")


@pytest.mark.parametrize(
    "parts", [(), (TRANSFORM,), (SRS,), (TRANSFORM, SRS), (ESRI_SRS,), (ESRI_SRS, TRANSFORM), (BANDS,)]
)
@pytest.mark.parametrize("world", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("ending", DRIVERS)
def test_sidecars_are_read_as_gdal_reads_them(tmp_path, ending, own, world, parts):
    place = {"transform": PLACE, "crs": "EPSG:32633", "nodata": 3} if own and ending == "tif" else {}
    path = picture(tmp_path / f"a.{ending}", **place)
    if world:
        (tmp_path / f"a.{WORLDS[ending]}").write_text(WORLD)
    if parts:
        auxiliary(path, *parts)
    with rasterio.open(path) as file:  # GDAL as it comes
        theirs, crs, colours = file.transform, file.crs, file.colorinterp
        nodata, scales = file.nodatavals, list(zip(file.scales, file.offsets, strict=True))
    with opening.opened(path) as file:
        placed = theirs != Affine.identity()
        assert tuple(file.grid.transform) == pytest.approx(tuple(theirs), rel=1e-12)
        assert (file.grid.crs is None) == (crs is None or not placed)
        assert file.grid.crs is None or file.grid.crs.to_epsg() == crs.to_epsg()
        assert (file.nodatavals, list(file.scales)) == (nodata, scales) and list(file.meaning) == list(colours)


@pytest.mark.parametrize("name", ["a.tfw", "a.TFW", "a.tifw", "a.wld", "a.WLD"])
def test_every_name_of_a_world_file_counts_and_a_comma_may_be_the_decimal_sign(tmp_path, name):
    path = picture(tmp_path / "a.tif", crs="EPSG:25833")
    assert read_info(path).grid.crs is None
    (tmp_path / name).write_text("0,5\r\n0\r\n0\r\n-0,5\r\n400000,25\r\n5000000\r\n")
    grid = read_info(path).grid
    assert grid.crs.to_epsg() == 25833 and grid.bounds == (400000.0, 4999980.25, 400030.0, 5000000.25)


@pytest.mark.parametrize(
    "text", ["", "1\n2\n", "a\nb\nc\nd\ne\nf\n", "0\n0\n0\n0\n1\n1\n", "nan\n0\n0\n-1\n1\n1\n", "1\n" * 3 * MOST_BYTES]
)
def test_a_world_file_that_is_none_is_named_and_left_aside(tmp_path, text):
    path = picture(tmp_path / "a.tif")
    (tmp_path / "a.tfw").write_text(text)
    info = read_info(path)
    assert info.grid.transform == Affine.identity()
    assert any("a.tfw" in note for note in info.notes)


@pytest.mark.parametrize("ending", DRIVERS)
def test_a_prj_counts_where_nothing_else_names_a_system(tmp_path, ending):
    path = picture(tmp_path / f"a.{ending}")
    (tmp_path / f"a.{WORLDS[ending]}").write_text(WORLD)
    info = read_info(path)
    assert info.grid.crs is None and "--image-crs" in info.unplaced
    (tmp_path / "a.prj").write_text(CRS(32634).to_wkt("WKT1_ESRI"))
    info = read_info(path)
    assert info.grid.crs.to_epsg() == 32634 and any("a.prj" in note for note in info.notes)
    auxiliary(path, f"<SRS>{CRS(32635).to_wkt()}</SRS>")
    assert read_info(path).grid.crs.to_epsg() == 32635
    assert read_info(path, Reading(crs="EPSG:32636")).grid.crs.to_epsg() == 32636


@pytest.mark.parametrize(
    "text",
    [
        "+proj=utm +zone=33 +nadgrids=/etc/passwd",
        "/etc/passwd",
        "[" * 100000,
        'PROJCS["x",EXTENSION["PROJ4","+proj=merc +nadgrids=/etc/passwd"]]',
    ],
)
def test_a_prj_cannot_make_anybody_open_files(tmp_path, text):
    path = picture(tmp_path / "a.tif", transform=PLACE)
    (tmp_path / "a.prj").write_text(text)
    info = read_info(path)
    assert info.grid.crs is None and any("a.prj" in note for note in info.notes)


def test_nor_can_the_coordinate_system_of_a_tiff(tmp_path):
    datum = 'DATUM["D",SPHEROID["Bessel 1841",6377397.155,299.1528128],EXTENSION["PROJ4_GRIDS","/tmp/grid"]]'
    wkt = f'PROJCS["x",GEOGCS["x",{datum},PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION'
    wkt += '["Transverse_Mercator"],PARAMETER["central_meridian",9],PARAMETER["false_easting",3500000],UNIT["metre",1]]'
    crs = rasterio.crs.CRS.from_wkt(wkt)
    path = picture(tmp_path / "a.tif", transform=PLACE, crs=crs, GEOTIFF_KEYS_FLAVOR="ESRI_PE")
    with rasterio.open(path) as file:
        assert "/tmp/grid" in file.crs.to_wkt()  # else this test shows nothing
    info = read_info(path)
    assert info.grid.crs is None and "--image-crs" in info.unplaced


def test_overviews_in_a_file_that_the_image_names_are_not_opened(tmp_path):
    values = np.random.default_rng(1).integers(1, 255, (3, 400, 600)).astype("uint8")
    path = picture(tmp_path / "a.tif", values, transform=PLACE, crs="EPSG:32633")
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "other.tif"))
    picture(tmp_path / "other.tif", np.full((3, 200, 300), 7, np.uint8))
    with pytest.raises(BadImage, match="overviews"):
        read_view(path, gsd=8.0)


def test_an_auxiliary_file_that_is_a_bomb_or_broken_is_left_aside(tmp_path):
    path = picture(tmp_path / "a.tif", transform=PLACE, crs="EPSG:32633")
    plain = read_info(path).grid
    bomb = '<!DOCTYPE a [<!ENTITY b "x">]><PAMDataset><GeoTransform>1,2,0,3,0,-4</GeoTransform></PAMDataset>'
    for text in (bomb, "<PAMDataset>", "", "<VRTDataset/>", "<PAMDataset>" + " " * MOST_BYTES):
        (tmp_path / "a.tif.aux.xml").write_text(text)
        info = read_info(path)
        assert info.grid == plain and any("a.tif.aux.xml" in note for note in info.notes)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    path = picture(tmp_path / "a.tif")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "secret").write_text(WORLD)
    (tmp_path / "a.tfw").symlink_to(tmp_path / "b" / "secret")
    assert read_info(path).grid.transform == Affine.identity()
    (tmp_path / "a.tfw").unlink()
    (tmp_path / "world.txt").write_text(WORLD)
    (tmp_path / "a.tfw").symlink_to(tmp_path / "world.txt")
    assert read_info(path).grid.transform != Affine.identity()


@pytest.mark.parametrize(
    "name, word", [("a.tab", "MapInfo"), ("a.tif.msk", "mask"), ("a.RPB", "RPC"), ("a_rpc.txt", "RPC")]
)
def test_what_is_not_read_is_named(tmp_path, name, word):
    path = picture(tmp_path / "a.tif", transform=PLACE, crs="EPSG:32633")
    (tmp_path / name).write_text("x")
    assert any(name in note and word in note for note in read_info(path).notes)


def test_a_coordinate_system_without_a_transform_places_nothing(tmp_path):
    path = picture(tmp_path / "a.tif", crs="EPSG:25833")
    assert read_view(path)[1] == Grid(Affine.identity(), None, (40, 60))
    assert any("its pixels are counted" in note for note in read_info(path).notes)
    with pytest.raises(NotGeoreferenced, match="ETRS89 / UTM zone 33N but nothing says where"):
        outline(str(path), [(5, 5, True)], model="grabcut")
    assert outline(str(path), [(5, 5, True)], model="grabcut", pixels=True).crs is None


def test_an_identity_that_is_written_down_is_a_place(tmp_path):
    path = picture(tmp_path / "a.tif", crs="EPSG:3857", transform=Affine(1, 0, 0, 0, 1, 0))
    assert read_info(path).grid.crs.to_epsg() == 3857


def test_rpcs_are_named(tmp_path):
    terms = {f"{side}_{part}_coeff": [1.0] + [0.0] * 19 for side in ("line", "samp") for part in ("num", "den")}
    scales = {f"{name}_{kind}": 1.0 for name in ("lat", "long", "height", "line", "samp") for kind in ("off", "scale")}
    path = picture(tmp_path / "a.tif", rpcs=RPC(**terms, **scales, err_bias=0.0, err_rand=0.0), crs="EPSG:4326")
    assert "RPC" in read_info(path).unplaced and "gdalwarp -rpc" in read_info(path).unplaced


def test_control_points_of_an_auxiliary_file(tmp_path):
    path = picture(tmp_path / "a.jpg")
    points = "".join(f'<GCP Id="" Pixel="{c}" Line="{r}" X="{10 + c}" Y="{50 - r}"/>' for r in (0, 39) for c in (0, 59))
    auxiliary(path, f'<GCPList Projection="EPSG:4326">{points}</GCPList>')
    assert read_info(path).grid.bounds == pytest.approx((10, 10, 70, 50))


@pytest.mark.parametrize("values", [[(0, 0), (0, 10), (0, 20)], [(float("nan"), 0), (1, 1), (2, 5)], [(0, 0)]])
def test_control_points_that_span_nothing_place_nothing(tmp_path, values):
    points = [GroundControlPoint(row, col, 100 + col, 100 - row) for row, col in values]
    path = picture(tmp_path / "a.tif", gcps=points, crs="EPSG:32633")
    assert read_info(path).grid.crs is None


def test_an_accent_in_latin_1_is_no_damage(tmp_path):
    wkt = CRS.from_proj4("+proj=tmerc +lon_0=15.5 +k=0.9996 +x_0=5e5 +ellps=WGS84").to_wkt("WKT1_GDAL")
    path = picture(tmp_path / "a.tif", transform=PLACE, crs=wkt.replace('PROJCS["unknown', 'PROJCS["Cr?ation / essai'))
    path.write_bytes(path.read_bytes().replace(b"Cr?ation", "Création".encode("latin-1")))
    info = read_info(path)
    assert info.grid.crs.name == "Création / essai" and info.grid.transform == PLACE
    assert read_view(path)[0].image.any()


@pytest.mark.parametrize("code", ["EPSG:5703", "EPSG:4978"])
def test_heights_and_geocentric_coordinates_are_no_map(tmp_path, code):
    with pytest.raises(BadConfig, match="give one for maps"):
        parse_crs(code)
    path = picture(tmp_path / "a.tif", transform=PLACE)
    (tmp_path / "a.prj").write_text(CRS(code).to_wkt())
    assert read_info(path).grid.crs is None


# --- orientation -----------------------------------------------------------------------------------------------------


def exif(orientation):
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def turned(tmp_path, ending, orientation):
    """A picture file with an orientation, and its stored pixels."""
    stored = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (48, 80, 3)).astype("uint8"), (0, 0), 4)
    path = tmp_path / f"a.{ending}"
    if ending == "tif":
        picture(path, stored.transpose(2, 0, 1))
        data = bytearray(path.read_bytes())
        (at,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, at)
        entries = [bytes(data[at + 2 + 12 * i : at + 14 + 12 * i]) for i in range(count)]
        entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
        entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
        block = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
        struct.pack_into("<I", data, 4, len(data))
        path.write_bytes(bytes(data) + block)
        return path, stored
    encoded = cv2.imencode(f".{ending}", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    if ending == "jpg":
        block = b"Exif\0\0" + exif(orientation)
        encoded = encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + encoded[2:]
    else:
        import zlib

        chunk = b"eXIf" + exif(orientation)
        encoded = (
            encoded[:33]
            + struct.pack(">I", len(chunk) - 4)
            + chunk
            + struct.pack(">I", zlib.crc32(chunk))
            + encoded[33:]
        )
    path.write_bytes(encoded)
    return path, stored


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", DRIVERS)
def test_pixels_are_those_that_viewers_show(tmp_path, ending, orientation):
    image, exif_transpose = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps").exif_transpose
    path, _ = turned(tmp_path, ending, orientation)
    shown = np.asarray(exif_transpose(image.open(io.BytesIO(path.read_bytes()))).convert("RGB"))
    view, grid = read_view(path)
    assert grid == Grid(Affine.identity(), None, shown.shape[:2])
    assert np.abs(view.image.astype(int) - shown).max() <= 8  # decoders differ a little
    part, _ = read_view(path, bounds=(5, 9, 25, 40))
    assert np.array_equal(part.image, view.image[9:40, 5:25])
    assert np.array_equal(read_stored(path), view.image)
    assert np.array_equal(read_stored(path, window=opening.Window(9, 5, 31, 20)), part.image)
    coarse, _ = read_view(path, gsd=2)
    tile = read_tile(path, opening.Window(0, 0, 256, 256), 2.0)
    assert np.array_equal(coarse.image, tile.image) and coarse.shape == (shown.shape[0] // 2, shown.shape[1] // 2)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_turned_photograph_with_a_world_file_lies_where_gdal_puts_it(tmp_path, orientation):
    path, _ = turned(tmp_path, "jpg", orientation)
    (tmp_path / "a.jgw").write_text(WORLD)
    view, grid = read_view(path)
    with rasterio.open(path) as file:
        theirs, transform = file.read().transpose(1, 2, 0), file.transform
    for row, col in ((3, 7), (30, 60)):
        at = grid.to_click(*Grid(transform, None, theirs.shape[:2]).to_map(row, col))
        assert np.array_equal(view.image[round(at.row), round(at.col)], theirs[row, col])


def test_a_geotiff_with_a_place_keeps_its_rows(tmp_path):
    path, stored = turned(tmp_path, "tif", 6)
    (tmp_path / "a.tfw").write_text(WORLD)
    view, _ = read_view(path)
    assert np.array_equal(view.image, stored) and any("orientation" in note for note in read_info(path).notes)


# --- pages, compressions, large pictures ------------------------------------------------------------------------------


def test_pages_are_said_and_chosen(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.tif"
    pages = [image.fromarray(np.full((20 * n, 30 * n, 3), 40 * n, np.uint8)) for n in (1, 2, 3)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    info = read_info(path)
    assert info.pages == ("30 x 20", "60 x 40", "90 x 60") and any("--page" in note for note in info.notes)
    for page in (1, 2, 3):
        view, grid = read_view(path, reading=Reading(page=page))
        assert grid.shape == (20 * page, 30 * page) and (view.image == 40 * page).all()
    with pytest.raises(BadConfig, match="holds 3"):
        read_view(path, reading=Reading(page=4))
    with pytest.raises(BadConfig, match="holds 1"):
        read_view(picture(tmp_path / "b.png"), reading=Reading(page=2))


def test_overviews_are_no_pages(tmp_path):
    path = picture(tmp_path / "a.tif", np.ones((3, 600, 600), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    assert read_info(path).pages == () and read_info(path).notes == ()


@pytest.mark.parametrize("number, name", [(50002, "JPEG XL"), (34712, "JPEG 2000"), (61234, "61234")])
def test_a_compression_that_is_not_known_here_is_named(tmp_path, number, name):
    path = picture(tmp_path / "a.tif", compress="lzw")
    data = bytearray(path.read_bytes())
    entry = struct.pack("<HHIH", 259, 3, 1, 5)
    assert data.count(entry) == 1
    path.write_bytes(bytes(data).replace(entry, struct.pack("<HHIH", 259, 3, 1, number)))
    with pytest.raises(BadImage, match=f"{name}.*gdal_translate") as caught:
        read_view(path)
    assert "damaged" not in str(caught.value)


def test_the_lower_part_of_a_large_jpeg_can_be_used_or_the_way_out_is_true(tmp_path, monkeypatch):
    path = picture(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (3, 600, 500)).astype("uint8"))
    monkeypatch.setattr(opening, "DECODE_BYTES", 500_000)  # of 900,000
    assert read_view(path, bounds=(100, 560, 140, 600))[0].shape == (40, 40)
    monkeypatch.setattr(opening, "SEQUENTIAL_BYTES", 700_000)
    with pytest.raises(BadImage, match="tiled GeoTIFF") as caught:
        read_view(path, bounds=(100, 560, 140, 600))
    assert "overviews" not in str(caught.value) and "smaller" not in str(caught.value)


# --- carried elsewhere -----------------------------------------------------------------------------------------------

MARS = CRS.from_user_input("IAU_2015:49910")
MINE = CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')


@pytest.mark.parametrize("crs", [MARS, MINE], ids=["Mars", "mine"])
def test_what_leads_nowhere_is_refused_with_a_way_out(crs):
    with pytest.raises(BadConfig, match=r"--out NAME\.gpkg"):
        check_carried(Grid(PLACE, crs, (10, 10)), CRS(4326), "a.tif")
    check_carried(Grid(PLACE, CRS(32633), (10, 10)), CRS(4326), "a.tif")


def test_a_datum_grid_that_is_missing_is_said():
    britain = Grid(Affine(1, 0, 530000, 0, -1, 180000), CRS(27700), (100, 100))
    if (Path(get_data_dir()) / "uk_os_OSTN15_NTv2_OSGBtoETRS.tif").exists():
        pytest.skip("the grid of OSTN15 is installed here")
    assert "uk_os_OSTN15" in accuracy_note(britain, CRS(4326)) and " m or more off" in accuracy_note(britain, CRS(4326))
    assert accuracy_note(Grid(PLACE, CRS(32633), (10, 10)), CRS(4326)) == ""
    assert accuracy_note(britain, CRS(27700)) == ""


def test_exports_imports_and_points_say_it_too(tmp_path):
    if (Path(get_data_dir()) / "uk_os_OSTN15_NTv2_OSGBtoETRS.tif").exists():
        pytest.skip("the grid of OSTN15 is installed here")
    image = np.full((3, 80, 80), 40, np.uint8)
    image[:, 30:50, 30:50] = 220
    picture(tmp_path / "a.tif", image, transform=Affine(1, 0, 530000, 0, -1, 180000), crs="EPSG:27700")
    (tmp_path / "points.geojson").write_text(
        '{"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [-0.1277927, 51.5036222]}}'
    )

    def notes(*words):
        told = CliRunner().invoke(cli, [str(word) for word in words])
        assert told.exit_code == 0, told.output
        return told.stderr.count("for the grid uk_os_OSTN15")

    made, model = tmp_path / "s.gpkg", ("--model", "grabcut")
    assert notes("segment", tmp_path / "a.tif", "--click", "530040,179960", "--out", made, *model) == 0
    points = ("--points", tmp_path / "points.geojson")
    assert notes("segment", tmp_path / "a.tif", *points, "--out", tmp_path / "t.gpkg", *model) == 1
    assert notes("export-session", made, tmp_path / "out.geojson") == 1
    assert notes("export-session", made, tmp_path / "set", "--format", "geojson", "--format", "coco") == 1
    assert notes("export-session", made, tmp_path / "out.csv", "--crs", "EPSG:4326") == 1
    assert notes("export-session", made, tmp_path / "same.csv") == 0
    assert notes("import-session", tmp_path / "out.geojson", tmp_path / "back.gpkg", "--crs", "EPSG:27700") == 1
    assert notes("import-session", tmp_path / "same.csv", tmp_path / "again.gpkg", "--crs", "EPSG:27700") == 0


def test_a_stamp_changes_with_the_image_and_what_lies_beside_it(tmp_path):
    path = picture(tmp_path / "a.tif")
    seen = {stamp_of(path)}
    (tmp_path / "a.tfw").write_text(WORLD)
    seen.add(stamp_of(path))
    (tmp_path / "a.tfw").write_text(WORLD.replace("2", "30"))
    seen.add(stamp_of(path))
    picture(path, np.ones((3, 50, 50), np.uint8))
    seen.add(stamp_of(path))
    path.unlink()
    assert len(seen) == 4 and stamp_of(path) == ()
