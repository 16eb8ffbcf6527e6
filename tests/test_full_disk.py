"""A full disk, every format and verb: said in a sentence, exit code not 0, nothing old lost, nothing new half there."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from shapely.geometry import box

from terraclick.errors import BadOutput
from terraclick.exchange.export import export
from terraclick.exchange.registry import FORMATS
from terraclick.files import check_output, copy_file, replace_whole, write_bytes, write_text
from terraclick.geo.grid import Grid
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store

UTM = CRS.from_epsg(32633)
GRID = Grid(Affine(0.5, 0, 500000, 0, -0.5, 4650000), UTM, (300, 300))
SAID = ("disk is full", "size limit", "free space", "free some space")


def houses(count):
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 130, (count, 2))
    return [
        MapObject(
            geometry=box(500000 + x, 4649860 + y, 500003.3 + x, 4649863.3 + y).buffer(1.2),
            class_name=f"kind {i % 3}", label="x" * 200, image="town.tif", uuid=f"id-{i}",
        )
        for i, (x, y) in enumerate(places)
    ]  # fmt: skip


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_full_disk import *
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    {body}
except BadOutput as error:
    print("REFUSED", error)
"""


def limited(body, limit, cwd):
    """Run python with no file allowed beyond a limit; gives its output."""
    script = LIMITED.format(tests=str(Path(__file__).parent), limit=limit, body=body)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def terraclick(words, limit, cwd):
    def restrain():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "terraclick", *map(str, words)],
        capture_output=True, text=True, cwd=cwd, timeout=300, preexec_fn=restrain,
    )  # fmt: skip


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("limit", [1024, 20_000])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format(tmp_path, name, limit):
    if name in ("shapefile", "geoparquet"):
        pytest.importorskip("pyogrio")
    target = tmp_path / f"a{FORMATS[name].ending}"
    body = f"export(houses(400), {str(target)!r}, {name!r}, source=UTM, grid=GRID, overwrite=True)"
    said = limited(body, limit, tmp_path)
    if target.exists():  # compressed so well that it fits
        assert target.stat().st_size <= limit and "REFUSED" not in said
    else:
        assert said.startswith("REFUSED") and any(words in said for words in SAID), said
        assert content(tmp_path) == {}
    export(houses(2), target, name, source=UTM, grid=GRID, overwrite=True)
    before = content(tmp_path)
    said = limited(body, limit, tmp_path)
    assert content(tmp_path) == before or "REFUSED" not in said  # the earlier file stands, with all that belongs to it


@pytest.mark.parametrize("limit", [0, 1024, 50_000])
def test_a_session_that_cannot_be_created_leaves_nothing(tmp_path, limit):
    said = limited(f"open_store({str(tmp_path / 's.gpkg')!r}, UTM)", limit, tmp_path)
    assert said.startswith("REFUSED") and content(tmp_path) == {}
    open_store(tmp_path / "s.gpkg", UTM).close()


def test_a_session_that_grows_until_the_disk_is_full_keeps_what_was_acknowledged(tmp_path):
    body = (
        f"store = open_store({str(tmp_path / 's.gpkg')!r}, UTM)\n"
        "    for item in houses(2000):\n"
        "        store.add(item.__class__(geometry=item.geometry, uuid=item.uuid, label=item.label))\n"
        "        print(item.uuid, flush=True)"
    )
    said = limited(body, 400_000, tmp_path).splitlines()
    assert said[-1].startswith("REFUSED") and len(said) > 5
    with open_store(tmp_path / "s.gpkg") as store:
        assert {item.uuid for item in store.objects()} >= set(said[:-1])


@pytest.mark.parametrize("name", ["mask", "gpkg", "coco", "yolo"])
def test_an_export_of_the_server(tmp_path, name):
    pytest.importorskip("fastapi")
    body = (
        "from terraclick.server.files import Exports; from terraclick.formats.common.collection import *; "
        "grid = Picture('town.tif', 'town.tif', GRID); "
        "whole = Collection(tuple(houses(400)), UTM, numbered({'kind 0', 'kind 1', 'kind 2'}, ()), (grid,)); "
        f"Exports(Path('.')).write(whole, {name!r}, 'all', None, False)"
    )
    said = limited(body, 1024, tmp_path)
    assert said.startswith("REFUSED") and any(words in said for words in SAID), said
    assert content(tmp_path) == {}
    assert limited(body, resource.RLIM_INFINITY, tmp_path) == "" and len(content(tmp_path)) >= 1


def test_an_export_of_a_whole_session(tmp_path):
    with open_store(tmp_path / "s.gpkg", UTM) as store:
        store.add_many([(item.__class__(geometry=item.geometry, class_name="x"), (), None) for item in houses(50)])
    before = content(tmp_path)
    ran = terraclick(["export-session", "s.gpkg", "out", "--format", "geojson", "--format", "csv"], 3000, tmp_path)
    assert ran.returncode == 2 and any(words in ran.stderr for words in SAID), ran.stderr
    assert content(tmp_path) == before and not (tmp_path / "out").exists()


def test_segment_says_so_and_keeps_the_earlier_file(tmp_path):
    words = ["segment", "sample", "--click", "500264.6,4649637.1", "--out"]
    for name in ("m.tif", "s.gpkg", "g.geojson", "c.coco.json", "y.txt"):
        ran = terraclick([*words, name], 1024, tmp_path)
        if ran.returncode == 0:
            assert (tmp_path / name).stat().st_size <= 1024
        else:
            assert "Error: " in ran.stderr and "wrong inside" not in ran.stderr, ran.stderr
            assert any(words in ran.stderr for words in SAID), ran.stderr
            assert content(tmp_path) == {}, name
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()


def test_segment_overwriting_a_session(tmp_path):
    with GeoPackageStore.create(tmp_path / "s.gpkg", CRS.from_epsg(32633)) as store:
        store.add(MapObject(geometry=box(500000, 4650000, 500010, 4650010), uuid="kept"))
    before = content(tmp_path)
    words = ["segment", "sample", "--click", "500264.6,4649637.1", "--out", "s.gpkg", "--overwrite"]
    ran = terraclick(words, 60_000, tmp_path)
    assert ran.returncode != 0 and content(tmp_path) == before, ran.stderr
    ran = terraclick([*words, "--crs", "EPSG:5703"], resource.RLIM_INFINITY, tmp_path)
    assert ran.returncode != 0 and content(tmp_path) == before, ran.stderr


def test_a_map_on_a_full_disk(tmp_path):
    rows = "r = RowFile(Path('r.raw'), 1, (300, 300)); "
    levels = "np.random.default_rng(0).integers(1, 4, (1, 300, 300)).astype(np.uint8)"
    write = (
        "write_cog(r, Path('m.tif'), GRID, 0, ['class'], {1: (1, 2, 3), 2: (4, 5, 6), 3: (7, 8, 9)}, {'CLASS_1': 'x'})"
    )
    start = "from terraclick.geo.classmap import RowFile, write_cog; " + rows
    said = limited(f"{start} r.create(); r.write(0, {levels}); {write}", resource.RLIM_INFINITY, tmp_path)
    assert said == ""
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags()["CLASS_1"] == "x" and (tmp_path / "m.tif.aux.xml").is_file()
    before = content(tmp_path)
    for limit in (0, 1024, 15_000):
        said = limited(f"{start} {write}", limit, tmp_path)
        assert said.startswith("REFUSED") and any(words in said for words in SAID), said
        assert content(tmp_path) == before


def test_a_checkpoint_on_a_full_disk(tmp_path):
    torch = pytest.importorskip("torch")
    from terraclick.train.saving import save_checkpoint

    save_checkpoint(tmp_path / "checkpoint.pt", {"a": torch.arange(10)})
    before = content(tmp_path)
    body = (
        "import torch; from terraclick.train.saving import save_checkpoint; "
        "save_checkpoint(Path('checkpoint.pt'), {'a': torch.zeros(100_000)})"
    )
    said = limited(body, 50_000, tmp_path)
    assert said.startswith("REFUSED") and any(words in said for words in SAID), said
    assert content(tmp_path) == before


def test_weights_on_a_full_disk_and_their_rights(tmp_path):
    pytest.importorskip("torch")
    from terraclick.networks.checkpoint import build, save_network

    network, _, config = build("focalclick-b0", None)
    path = save_network(network, "focalclick", config, tmp_path / "w")
    usual = tmp_path / "usual"
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode
    assert path.with_suffix(".json").stat().st_mode == usual.stat().st_mode
    usual.unlink()
    before = content(tmp_path)
    body = (
        "from terraclick.networks.checkpoint import build, save_network; n, f, c = build('focalclick-b0', None); "
        "save_network(n, 'ritm', c, Path('w'))"
    )
    assert limited(body, 100_000, tmp_path).startswith("REFUSED") and content(tmp_path) == before


def test_a_small_disk(tmp_path):
    """The same on a file system of 64 kB, where that can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        for name in FORMATS:
            target = place / f"a{FORMATS[name].ending}"
            try:
                export(houses(700), target, name, source=UTM, grid=GRID, overwrite=True)
            except BadOutput as error:
                assert any(words in str(error) for words in SAID), error
                assert content(place) == {}, name
            else:
                for path in place.iterdir():
                    path.unlink()
        with pytest.raises(BadOutput, match="full"):
            write_bytes(place / "x", b"x" * 100_000)
        assert content(place) == {}
    finally:
        subprocess.run(["umount", place], check=True)


# --- replacing --------------------------------------------------------------------------------------------------------


def test_files_that_belong_to_the_output_are_refused_unasked_and_replaced_together(tmp_path):
    pytest.importorskip("pyogrio")
    cases = [("y.txt", "y.classes.txt"), ("y.txt", "y.objects.csv"), ("s.shp", "s.dbf"), ("s.shp", "s.prj")]
    cases += [("m.tif", "m.tif.aux.xml"), ("m.tif", "m.tif.ovr"), ("m.tif", "m.tfw"), ("g.gpkg", "g.gpkg-wal")]
    for name, other in cases:
        (tmp_path / other).write_text("mine")
        with pytest.raises(BadOutput, match=other):
            export(houses(2), tmp_path / name, source=UTM, grid=GRID)
        assert content(tmp_path) == {Path(other): b"mine"}
        export(houses(2), tmp_path / name, source=UTM, grid=GRID, overwrite=True)
        assert content(tmp_path).get(Path(other)) != b"mine"
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()


def test_stale_files_that_programs_believe_go_with_the_old_file(tmp_path):
    pytest.importorskip("pyogrio")
    export(houses(2), tmp_path / "s.shp", source=UTM, grid=GRID)
    export(houses(2), tmp_path / "m.tif", source=UTM, grid=GRID)
    for name in ("s.qix", "s.sbn", "m.tif.ovr", "m.TFW", "m.tif.msk"):
        (tmp_path / name).write_text("stale")
    for name in ("s.qml", "m.txt", "s2.qix", "m.jpg", "m.wld"):  # not theirs, or harmless
        (tmp_path / name).write_text("mine")
    for name in ("s.shp", "m.tif"):
        export(houses(3), tmp_path / name, source=UTM, grid=GRID, overwrite=True)
    left = {path.name for path in tmp_path.iterdir() if path.stat().st_size < 6}
    assert left == {"s.qml", "m.txt", "s2.qix", "m.jpg", "m.wld", "s.cpg"}


def test_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("a.geojson", "a.gpkg"):
        target, link = tmp_path / "real" / name, tmp_path / name
        export(houses(1), target, source=UTM)
        link.symlink_to(target)
        export(houses(3), link, source=UTM, overwrite=True)
        assert link.is_symlink() and link.resolve() == target
        assert target.read_bytes().count(b"id-2") >= 1
    (tmp_path / "later.csv").symlink_to(tmp_path / "real" / "new.csv")
    export(houses(1), tmp_path / "later.csv", source=UTM)
    assert (tmp_path / "real" / "new.csv").is_file() and (tmp_path / "later.csv").is_symlink()


@pytest.mark.parametrize("name", ["a\nb.csv", "a\tb.csv", "no/such/x.csv", ".", "x" * 300 + ".csv", "a\\b.csv"])
def test_names_that_cannot_be(tmp_path, name):
    with pytest.raises(BadOutput):
        export(houses(1), tmp_path / name, "csv", source=UTM)
    assert content(tmp_path) == {}


def test_a_device_is_not_replaced():
    with pytest.raises(BadOutput, match="no plain file"):
        write_text("/dev/null", "x")
    assert not Path("/dev/null").is_file()


def test_rights_of_a_replaced_file_stay(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "one")
    os.chmod(path, 0o640)
    write_text(path, "two")
    assert path.stat().st_mode & 0o777 == 0o640 and path.read_text() == "two"


def test_a_file_that_fails_its_check_replaces_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def check(part):
        raise OSError(None, "it is not whole")

    with pytest.raises(BadOutput, match="not whole"), replace_whole(path, check=check) as part:
        part.write_text("new")
    with pytest.raises(KeyboardInterrupt), replace_whole(path) as part:
        part.write_text("new")
        raise KeyboardInterrupt
    with pytest.raises(BadOutput, match="empty"), replace_whole(path) as part:
        part.touch()
    with pytest.raises(BadOutput, match="not made"), replace_whole(path):
        pass
    assert content(tmp_path) == {Path("a.txt"): b"old"}


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(BadOutput, match="meanwhile"), replace_whole(tmp_path / "a.txt", overwrite=False) as part:
        part.write_text("mine")
        (tmp_path / "a.txt").write_text("theirs")
    assert content(tmp_path) == {Path("a.txt"): b"theirs"}


def test_a_sidecar_that_cannot_be_replaced_brings_all_back(tmp_path):
    pytest.importorskip("pyogrio")
    path = export(houses(1), tmp_path / "s.shp", source=UTM)
    before = content(tmp_path)
    (tmp_path / "s.qix").mkdir()  # cannot be removed as a file
    with pytest.raises(BadOutput):
        export(houses(3), path, source=UTM, overwrite=True)
    assert content(tmp_path) == before


def test_a_session_in_use_is_not_replaced(tmp_path):
    path = tmp_path / "s.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        store.add(MapObject(geometry=box(500000, 4650000, 500010, 4650010), uuid="kept"))
        words = ["segment", "sample", "--click", "500264.6,4649637.1", "--out", "s.gpkg", "--overwrite"]
        ran = terraclick(words, resource.RLIM_INFINITY, tmp_path)
        assert ran.returncode == 2 and "open in another program" in ran.stderr, ran.stderr
        assert [item.uuid for item in store.objects()] == ["kept"]


def test_check_and_copy(tmp_path):
    (tmp_path / "a").write_text("x")
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "x"
    with pytest.raises(BadOutput, match="already exists"):
        check_output(tmp_path / "b", overwrite=False)
    assert check_output(tmp_path / "b", overwrite=True) == (tmp_path / "b").resolve()
