"""Files that try to crash, fill memory, reach the network or read what was not named."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from terraclick.errors import BadGrid, BadImage, TerraClickError
from terraclick.geo.raster import read_info, read_view

READ_ONE = """
import json, resource, sys, time
from terraclick.errors import TerraClickError
from terraclick.geo.raster import read_view
start = time.process_time()  # the processor's, so that a busy machine changes nothing; sleepers meet the timeout
try:
    view, grid = read_view(sys.argv[1], bounds=json.loads(sys.argv[2]))
    said = ["work", list(view.shape)]
except TerraClickError as error:
    said = ["error", str(error)]
# ru_maxrss of a fresh child starts at the parent's: the kernel's own peak of this program is in /proc.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps({"said": said, "seconds": time.process_time() - start, "peak_mb": peak}))
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


def apart(path, bounds=None):
    """Read an image in a process of its own: what it said, processor seconds, peak memory; nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ_ONE, str(path), json.dumps(bounds)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    said = json.loads(done.stdout)
    assert said["seconds"] < 10 and said["peak_mb"] < 1500, said
    return said["said"]


def one_sentence(text):
    return text.endswith(".") and "\n" not in text and 20 < len(text) < 500 and "Traceback" not in text


@pytest.fixture
def listener():
    """A loopback address and the list of what knocked there."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    knocks, stop = [], threading.Event()

    def serve():
        while not stop.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            knocks.append(address)
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/a.tif", knocks
    stop.set()
    thread.join()
    server.close()


def vrt(source):
    return (
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def wms(url):
    return f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}</ServerUrl></Service></GDAL_WMS>'


def tif(path, values, **profile):
    profile = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 5e6)} | profile
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, **profile
    ) as file:
        file.write(values)
    return path


def sparse(path, side, **profile):
    profile |= {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 5e6), "bigtiff": "YES", "sparse_ok": True}
    rasterio.open(path, "w", driver="GTiff", count=3, height=side, width=side, dtype="uint8", **profile).close()
    return path


@pytest.mark.parametrize("name", ["a.vrt", "a.tif", "a.png"])
def test_descriptions_of_other_files_are_refused(tmp_path, listener, name):
    url, knocks = listener
    secret = tif(tmp_path / "secret.tif", np.ones((1, 4, 4), dtype="uint8"))
    for text in (vrt(f"/vsicurl/{url}"), vrt("/etc/passwd"), vrt(secret), vrt(name), wms(url), "<html>no</html>"):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadImage, match="not a GeoTIFF") as caught:
            read_view(tmp_path / name)
        assert one_sentence(str(caught.value))
    assert knocks == []


def test_addresses_are_refused(tmp_path, listener):
    url, knocks = listener
    path = tif(tmp_path / "a.tif", np.ones((1, 4, 4), dtype="uint8"))
    names = [url, f"/vsicurl/{url}", f"/vsizip/{path}", f"zip://{path}", f"vrt://{path}?bands=1", f"file://{path}"]
    names += [
        f"GTIFF_DIR:1:{path}",
        f"GTIFF_RAW:{path}",
        f"/vsisubfile/0_100,{path}",
        wms(url),
        "-",
        "",
        "a\0b",
        "/dev/zero",
    ]
    for name in names:
        with pytest.raises(BadImage) as caught:
            read_view(name)
        assert one_sentence(str(caught.value))
    assert knocks == []


def test_names_that_look_like_tricks_are_plain_files(tmp_path):
    for name in ("a b.tif", "a?bands=1.tif", "x!y#z.tif", "ünï.tif", "a.zip"):
        path = tif(tmp_path / "plain.tif", np.ones((1, 4, 4), dtype="uint8")).rename(tmp_path / name)
        assert read_view(path)[0].shape == (4, 4)
    (tmp_path / "link.tif").symlink_to(path)
    assert read_view(tmp_path / "link.tif")[0].shape == (4, 4)


def test_folders_missing_and_empty_files(tmp_path):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "dangling.tif").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.tif")
    said = {
        "": "folder",
        "none.tif": "does not exist",
        "empty.tif": "empty",
        "dangling.tif": "exist",
        "pipe.tif": "plain",
    }
    for name, words in said.items():
        with pytest.raises(BadImage, match=words) as caught:
            read_info(tmp_path / name)
        assert one_sentence(str(caught.value))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_of_what_lies_beside_the_file_only_its_place_is_read(tmp_path):
    path = tif(tmp_path / "a.tif", np.zeros((1, 4, 4), dtype="uint8"), crs=None, transform=None)
    before = read_info(path)
    (tmp_path / "a.tif.ovr").write_bytes(path.read_bytes())
    (tmp_path / "a.tif.msk").write_bytes(path.read_bytes())
    overviews = "<Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>a.tif.ovr</MDI></Metadata>"
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset>{overviews}</PAMDataset>")
    after = read_info(path)
    assert (after.grid, after.has_overviews) == (before.grid, False) and read_view(path)[0].valid is None
    assert {p.name for p in tmp_path.iterdir()} == {"a.tif", "a.tif.aux.xml", "a.tif.ovr", "a.tif.msk"}


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_cut_files_work_or_say_why(tmp_path, suffix, keep):
    values = np.random.default_rng(0).integers(0, 255, (3, 200, 200)).astype("uint8")
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tif(path, values, compress="deflate")
    else:
        cv2.imwrite(str(path), values.transpose(1, 2, 0))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    try:
        assert read_view(path)[0].shape == (200, 200)
    except BadImage as error:
        assert one_sentence(str(error)) and "previous exception" not in str(error)


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_work_or_say_why(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tif(tmp_path / "a.tif", np.full((3, 40, 40), 7, dtype="uint8"), compress="deflate")
    data = bytearray(path.read_bytes())
    for place in rng.integers(4, len(data), 12):
        data[place] = rng.integers(0, 256)
    path.write_bytes(data)
    try:
        read_view(path, max_side=64)
    except TerraClickError as error:
        assert one_sentence(str(error))


def geotransform_tif(path, matrix):
    """A tiny TIFF whose ModelTransformation tag (34264) is given raw: GDAL would not write such a one."""
    entries = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 400),
               (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 4), (34264, 12, 16, 200)]  # fmt: skip
    data = b"II*\0" + struct.pack("<IH", 8, len(entries))
    data += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    path.write_bytes(data.ljust(200, b"\0") + struct.pack("<16d", *matrix).ljust(200, b"\0") + b"\1\2\3\4")
    return path


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_transforms_that_cannot_be_used(tmp_path, bad):
    good = geotransform_tif(tmp_path / "g.tif", [2, 0, 0, 5, 0, -2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1])
    assert read_info(good).grid.transform == Affine(2, 0, 5, 0, -2, 9)
    with pytest.raises(BadGrid, match=r"b\.tif") as caught:
        read_view(geotransform_tif(tmp_path / "b.tif", [2, 0, 0, 5, 0, bad, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1]))
    assert one_sentence(str(caught.value))


@needs_proc
def test_sparse_terabytes(tmp_path):
    path = sparse(tmp_path / "a.tif", 1_000_000, tiled=True, blockxsize=4096, blockysize=4096)
    assert apart(path, (5e5 + 1000, 5e6 - 1500, 5e5 + 1500, 5e6 - 1000)) == ["work", [500, 500]]
    verdict, text = apart(path)
    assert verdict == "error" and one_sentence(text) and "bounds" in text


@needs_proc
def test_bombs(tmp_path):
    zeros = np.zeros((1, 20000, 15008), np.uint8)
    tiles = {"tiled": True, "blockxsize": 15008, "blockysize": 20000}
    one_block = tif(tmp_path / "block.tif", zeros, compress="deflate", zlevel=1, **tiles)
    verdict, text = apart(one_block)
    assert verdict == "error" and "blocks" in text
    png = tmp_path / "bomb.png"
    for interlaced in (0, 1):
        rows = zlib.compress(bytes(20001 * 2000), 1)
        head = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, interlaced)
        chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
        png.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
        )
        verdict, text = apart(png)
        assert verdict == "error" and one_sentence(text)


@pytest.mark.slow
@needs_proc
def test_deflate_bomb_of_900_megabytes_works_in_time(tmp_path):
    zeros = np.zeros((1, 30000, 30000), np.uint8)
    path = tif(tmp_path / "a.tif", zeros, compress="deflate", zlevel=1, tiled=True)
    assert apart(path)[0] == "work"


def expectations(shared):
    folder = shared / "hostile"
    return [(folder / entry["file"], entry["expect"]) for entry in json.loads((folder / "manifest.json").read_text())]


def test_every_hostile_file_works_or_says_why(shared):
    for path, expected in expectations(shared):
        if "sparse" in path.name:
            expected = "error"  # the whole of three terabytes; see test_sparse_terabytes for a part
        try:
            view, grid = read_view(path)
            assert expected != "error", path
            assert view.image.dtype == np.uint8 and grid.shape == view.shape
        except TerraClickError as error:
            assert expected != "work", (path, error)
            assert one_sentence(str(error))


@pytest.mark.slow
@needs_proc
def test_every_hostile_file_apart(shared):
    for path, expected in expectations(shared):
        verdict, said = apart(path)
        assert verdict == "work" or one_sentence(said)
        assert expected in ("work_or_error", verdict) or "sparse" in path.name
