"""The command line in processes of its own: the main job, and bad input answered by one sentence and no file."""

import json
import os
import sqlite3
import subprocess
import sys

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from terraclick.cli import main
from terraclick.data.synthetic import make_square_scene
from terraclick.store.geopackage import GeoPackageStore

SQUARE = (500030.0, 4649940.0, 500050.0, 4649960.0)
INSIDE = "500041.3,4649948.7"


def terraclick(*words, cwd=None, timeout=180):
    command = [sys.executable, "-m", "terraclick.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout)


def segment(image, *words, cwd=None):
    return terraclick("segment", image, "--model", "grabcut", *words, cwd=cwd)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return make_square_scene(tmp_path_factory.mktemp("cli") / "square.tif", SQUARE)


def write_tif(path, image, **profile):
    shape = {"height": image.shape[0], "width": image.shape[1], "count": 1, "dtype": image.dtype}
    place = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 4650000)}
    with rasterio.open(path, "w", driver="GTiff", **(shape | place | profile)) as file:
        file.write(image, 1)
    return path


# --- the main job


def test_session_file_holds_object_clicks_and_view(scene, tmp_path):
    done = segment(
        scene, "--click", INSIDE, "--exclude", "500000,4649900", "--class", "roof", "--out", "a.gpkg", cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "")
    with GeoPackageStore.open(tmp_path / "a.gpkg") as store:
        (found,) = store.objects()
        assert (found.class_name, found.n_clicks, found.model, found.target) == ("roof", 2, "grabcut", "object")
        assert found.area_m2 == pytest.approx(400, rel=0.01)
        assert [click.positive for click in store.clicks_of(found.uuid)] == [True, False]
        assert store.clicks_of(found.uuid)[0].x == pytest.approx(500041.3)
        assert store.view_of(found.uuid).shape == (256, 256)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gpkg"]


def test_many_objects_from_points_and_append(scene, tmp_path):
    points = tmp_path / "points.csv"
    points.write_text(
        "x,y,object,positive,class\n500041,4649949,a,1,roof\n500000,4649900,a,0,roof\n500010,4649990,b,1,ground\n"
    )
    out = tmp_path / "many.gpkg"
    assert segment(scene, "--points", points, "--out", out).returncode == 0
    assert segment(scene, "--click", INSIDE, "--out", out, "--append").returncode == 0
    with GeoPackageStore.open(out) as store:
        assert [item.class_name for item in store.objects()] == ["roof", "ground", ""]
    assert sqlite3.connect(out).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_points_in_geojson_are_longitude_and_latitude(scene, tmp_path):
    place = {"type": "Point", "coordinates": [15.0004995, 42.0000093]}
    from pyproj import Transformer

    place["coordinates"] = Transformer.from_crs(32633, 4326, always_xy=True).transform(500041.3, 4649948.7)
    feature = {"type": "Feature", "geometry": place, "properties": {"class": "roof"}}
    (tmp_path / "p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    done = segment(scene, "--points", tmp_path / "p.geojson", "--out", tmp_path / "o.gpkg", "--json")
    assert json.loads(done.stdout)["area_m2"] == pytest.approx(400, rel=0.01)


def test_negative_coordinates_and_output_crs(tmp_path):
    image = np.full((64, 64), 60, np.uint8)
    image[20:40, 20:40] = 220
    write_tif(tmp_path / "n.tif", image, transform=Affine(1e-5, 0, -71.2, 0, -1e-5, 46.8), crs="EPSG:4326")
    done = segment("n.tif", "--click", "-71.1997,46.7997", "--out", "n.gpkg", "--crs", "EPSG:32619", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with GeoPackageStore.open(tmp_path / "n.gpkg") as store:
        assert store.crs.to_epsg() == 32619
        assert store.objects()[0].area_m2 == pytest.approx(400 * 1.1132 * 0.7625, rel=0.1)


def test_pixels_of_a_plain_picture(tmp_path):
    image = np.full((80, 100, 3), 60, np.uint8)
    image[20:40, 30:70] = 220
    cv2.imwrite(str(tmp_path / "plain.png"), image)
    done = segment("plain.png", "--click", "50,30", "--pixels", "--out", "p.gpkg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with GeoPackageStore.open(tmp_path / "p.gpkg") as store:
        assert store.objects()[0].geometry.bounds == (30, 20, 70, 40)


def test_preview_shows_outline_and_clicks(scene, tmp_path):
    done = segment(scene, "--click", INSIDE, "--preview", tmp_path / "p.png")
    assert json.loads(done.stdout)["type"] == "FeatureCollection"
    picture = cv2.imread(str(tmp_path / "p.png")).astype(int)
    assert min(picture.shape[:2]) > 500
    assert (np.abs(picture - (70, 200, 40)).sum(axis=2) < 20).any(), "a green dot for the click"
    assert (np.abs(picture - (30, 225, 255)).sum(axis=2) < 20).any(), "a yellow line for the outline"


def test_sample_is_copied_and_accepted(tmp_path):
    assert terraclick("sample", "--out", tmp_path / "s.tif").returncode == 0
    assert terraclick("sample", "--out", tmp_path / "s.tif").returncode == 2
    with rasterio.open(tmp_path / "s.tif") as file:
        assert file.crs.to_epsg() == 32633


def test_doctor_and_models_as_json():
    health = json.loads(terraclick("doctor", "--json").stdout)
    assert health["engine"]["name"] == "onnxruntime" and health["base"]["numpy"]
    kinds = {model["name"]: model["kind"] for model in json.loads(terraclick("models", "--json").stdout)}
    assert {"terra", "grabcut", "randomwalk", "greenness"} <= set(kinds)
    assert (kinds["terra"], kinds["greenness"]) == ("clicks", "map")
    assert "for terraclick map" in terraclick("models", "greenness").stdout


# --- bad input


def damaged(kind, folder, scene):
    """A file of some kind of damage, and words to ask about it."""
    path, click = folder / "bad.tif", ("--click", INSIDE)
    if kind == "missing":
        return folder / "no.tif", click
    if kind == "folder":
        return folder, click
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "not a raster":
        path.write_text("<html>not found</html>")
    elif kind == "truncated":
        path.write_bytes(scene.read_bytes()[:5000])
    elif kind == "corrupt":
        path.write_bytes(b"II*\0" + os.urandom(3000))
    elif kind == "vrt in disguise":
        path.write_text(
            f'<VRTDataset rasterXSize="9" rasterYSize="9"><SourceFilename>{scene}</SourceFilename></VRTDataset>'
        )
    elif kind == "address":
        return "https://127.0.0.1:9/scene.tif", click
    elif kind == "virtual path":
        return f"/vsizip/{scene}", click
    elif kind == "sparse terabytes":
        huge = {"height": 2_000_000, "width": 2_000_000, "count": 1, "dtype": "uint8", "tiled": True, "BIGTIFF": "YES"}
        place = {"crs": "EPSG:32633", "transform": Affine(1, 0, 0, 0, -1, 6_000_000)}
        with rasterio.open(
            path, "w", driver="GTiff", blockxsize=16384, blockysize=16384, SPARSE_OK=True, **huge, **place
        ):
            pass
        return path, (*click, "--bounds", "0,4000000,2000000,6000000", "--gsd", "1")
    elif kind == "singular transform":
        write_tif(path, np.zeros((9, 9), np.uint8), transform=Affine(1, 1, 0, 1, 1, 0))
    elif kind == "nan transform":
        write_tif(path, np.zeros((9, 9), np.uint8), transform=Affine(float("nan"), 0, 0, 0, -1, 0))
    elif kind == "no crs":
        write_tif(path, np.zeros((9, 9), np.uint8), crs=None)
        return path, ("--click", "4,4")
    return path, click


KINDS = ["missing", "folder", "empty", "not a raster", "truncated", "corrupt", "vrt in disguise", "address"]
KINDS += ["virtual path", "sparse terabytes", "singular transform", "nan transform", "no crs"]


def assert_one_sentence(done, folder, before):
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert sorted(folder.iterdir()) == before


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_bad_images(kind, scene, tmp_path):
    image, words = damaged(kind, tmp_path, scene)
    before = sorted(tmp_path.iterdir())
    done = segment(image, *words, "--out", tmp_path / "out.gpkg", "--preview", tmp_path / "out.png")
    assert_one_sentence(done, tmp_path, before)


@pytest.mark.parametrize(
    "words",
    [
        ["--click", "499000,4649948"],
        ["--click", "nan,4649948"],
        ["--click", "500041"],
        ["--exclude", INSIDE],
        [],
        ["--click", INSIDE, "--bounds", "500000,4649900,500010,4649910"],
        ["--click", INSIDE, "--bounds", "0,0,10,10"],
        ["--click", INSIDE, "--bounds", "10,10,0,0"],
        ["--click", INSIDE, "--gsd", "-1"],
        ["--click", INSIDE, "--gsd", "0.000001"],
        ["--click", INSIDE, "--bands", "7,8,9"],
        ["--click", INSIDE, "--stretch", "wild"],
        ["--click", INSIDE, "--simplify", "-2"],
        ["--click", INSIDE, "--crs", "EPSG:1"],
        ["--click", INSIDE, "--model", "no-such-model"],
        ["--click", INSIDE, "--target", "thing"],
        ["--click", INSIDE, "--out", "no/such/folder/a.gpkg"],
        ["--click", INSIDE, "--out", "a.xyz"],
        ["--click", INSIDE, "--out", "kept.gpkg"],
        ["--click", INSIDE, "--out", "kept.geojson"],
        ["--click", INSIDE, "--preview", "kept.png"],
        ["--click", INSIDE, "--append", "--out", "kept.gpkg"],
        ["--points", "nothing.csv"],
        ["--points", "kept.png"],
        ["--points", "words.csv"],
        ["--points", "excluded.csv"],
        ["--points", "one_outside.csv"],
    ],
    ids=" ".join,
)
def test_bad_words(words, scene, tmp_path, monkeypatch, capsys):
    for name in ("kept.gpkg", "kept.geojson"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "kept.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    (tmp_path / "words.csv").write_text("x,y\nhere,there\n")
    (tmp_path / "excluded.csv").write_text("x,y,object,positive\n500041,4649949,a,0\n")
    (tmp_path / "one_outside.csv").write_text("x,y\n500041,4649949\n1,1\n")
    before = sorted(tmp_path.iterdir())
    given = words if "--out" in words else [*words, "--out", "out.gpkg"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["segment", str(scene), "--model", "grabcut", *given])
    said = capsys.readouterr()
    done = subprocess.CompletedProcess(given, stopped.value.code, said.out, said.err)
    assert_one_sentence(done, tmp_path, before)
    assert (tmp_path / "kept.gpkg").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segment"], "Missing argument 'IMAGE' (see: terraclick segment --help)."),
        (["sample"], "Missing option '--out' / '-o' (see: terraclick sample --help)."),
        (["doctor", "why"], "(see: terraclick doctor --help)."),
        (["draw"], "No such command 'draw' (see: terraclick --help)."),
        (["segment", "sample", "--click", "1"], "expected two numbers X,Y without a space."),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_missing_word_says_where_the_words_are(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and told.endswith(said + "\n") and told.count("\n") == 1


def test_unwritable_folder(scene, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "shut").mkdir(mode=0o500)
    assert_one_sentence(segment(scene, "--click", INSIDE, "--out", tmp_path / "shut" / "a.gpkg"), tmp_path / "shut", [])


def test_overwrite_replaces(scene, tmp_path):
    (tmp_path / "a.gpkg").write_text("old")
    assert segment(scene, "--click", INSIDE, "--out", tmp_path / "a.gpkg", "--overwrite").returncode == 0
    with GeoPackageStore.open(tmp_path / "a.gpkg") as store:
        assert len(store.objects()) == 1


def test_an_unexpected_fault_is_one_sentence_too(monkeypatch, capsys):
    import terraclick.files as room

    def break_down(*words):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(room, "copy_file", break_down)
    with pytest.raises(SystemExit, match="1"):
        main(["sample", "--out", "x.tif"])
    assert capsys.readouterr().err.count("\n") == 1
