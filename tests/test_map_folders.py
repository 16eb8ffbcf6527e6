"""Map models from strangers: every fault of a folder is one sentence, in time, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import rasterio
from affine import Affine

onnx = pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from terraclick.classmap.model import OnnxMap, load_map, open_map  # noqa: E402
from terraclick.cli import main  # noqa: E402
from terraclick.errors import BadWeights  # noqa: E402
from terraclick.inference import timed  # noqa: E402
from terraclick.inference.graph import Graph  # noqa: E402
from terraclick.inference.timed import run_within  # noqa: E402

SIDE = 32
SPEC = {
    "classes": [{"id": 1, "name": "dark", "colour": "#000000"}, {"id": 2, "name": "light", "colour": "#ffffff"}],
    "side": SIDE,
    "gsd": None,
    "tokens": False,
    "heat": False,
    "licence": "",
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    place = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 4650000)}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=3, height=40, width=50, **place) as file:
        file.write(np.full((3, 40, 50), 90, np.uint8))
    return path


def graph(
    weight, name="image", side=SIDE, nodes=(), output="made", shape=None, kind=TensorProto.FLOAT, output_kind=None
):
    """A graph that weighs the bands of a picture (1, 3, S, S): one output value per row of `weight`."""
    weight = np.asarray(weight, np.float32).reshape(-1, 3, 1, 1)
    made = helper.make_graph(
        [helper.make_node("Conv", [name, "weight"], ["made"]), *nodes],
        "map",
        [helper.make_tensor_value_info(name, kind, [1, 3, side, side])],
        [helper.make_tensor_value_info(output, output_kind or TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


GOOD = [[0, 0, 0], [0.01, 0, 0]]


def endless():
    """The bands weighed again and again, without end."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Conv", ["before", "same"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1), "same")],
    )
    model = graph(GOOD, nodes=[helper.make_node("Loop", ["", "yes", "made"], ["ended"], body=body)], output="ended")
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return model


def folder_of(path, spec=SPEC, model=None):
    path.mkdir()
    (path / "map.json").write_text(spec if isinstance(spec, str) else json.dumps(spec), encoding="utf-8")
    if model is not None:
        onnx.save(model, str(path / "map_net.onnx"))
    return path


def changed(**parts):
    return SPEC | parts


def with_class(**parts):
    return changed(classes=[SPEC["classes"][0] | parts, SPEC["classes"][1]])


MANY = [{"id": i % 254 + 1, "name": f"c{i}", "colour": "#000000"} for i in range(5000)]
SPECS = {
    "float side": changed(side=32.0),
    "boolean side": changed(side=True),
    "side as text": changed(side="32"),
    "no side": changed(side=None),
    "side of nothing": changed(side=0),
    "huge side": changed(side=10**9),
    "bad colour": with_class(colour="red"),
    "short colour": with_class(colour="#fff"),
    "colour no text": with_class(colour=7),
    "name with an escape": with_class(name="\x1b[31m"),
    "name of two lines": with_class(name="a\nb"),
    "empty name": with_class(name=""),
    "float id": with_class(id=1.0),
    "boolean id": with_class(id=True),
    "id as text": with_class(id="1"),
    "id out of range": with_class(id=255),
    "id twice": with_class(id=2),
    "too many classes": changed(classes=MANY),
    "no classes": changed(classes=[]),
    "classes no list": changed(classes=3),
    "class no object": changed(classes=[1, 2]),
    "gsd as text": changed(gsd="0.3"),
    "negative gsd": changed(gsd=-1),
    "endless gsd": json.dumps(SPEC).replace('"gsd": null', '"gsd": Infinity'),
    "gsd not a number": json.dumps(changed(gsd=None)).replace('"gsd": null', '"gsd": NaN'),
    "tokens as text": changed(tokens="no"),
    "heat a number": changed(heat=1),
    "licence no text": changed(licence=["MIT"]),
    "an unknown key": changed(wings=2),
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "a long number": '{"side": ' + "9" * 6000 + "}",
    "large": '{"classes": "' + "x" * 2_000_000 + '"}',
    "other letters": '{"classes": "\udcff"}',
}
MODELS = {
    "none": None,
    "another input name": graph(GOOD, name="picture"),
    "another side": graph(GOOD, side=64),
    "another type of input": graph(GOOD, kind=TensorProto.FLOAT16),
    "too few classes": graph(GOOD[:1], shape=[1, 1, SIDE, SIDE]),
    "too many classes, shape open": graph(GOOD * 2),
    "smaller answer": graph(
        GOOD,
        nodes=[helper.make_node("MaxPool", ["made"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2])],
        output="pooled",
    ),
    "answer of one side": graph(GOOD, nodes=[helper.make_node("Flatten", ["made"], ["flat"])], output="flat"),
    "NaN everywhere": graph([[np.nan] * 3] * 2),
    "NaN of one class": graph([[0, 0, 0], [np.nan, 0, 0]]),
    "infinite": graph([[np.inf, 0, 0], [0, 0, 0]]),
    "whole numbers": graph(
        GOOD,
        nodes=[helper.make_node("Cast", ["made"], ["cast"], to=TensorProto.INT64)],
        output="cast",
        output_kind=TensorProto.INT64,
    ),
    "fails while it runs": graph(
        GOOD, nodes=[helper.make_node("Reshape", ["made", "to"], ["reshaped"])], output="reshaped"
    ),
}
MODELS["fails while it runs"].graph.initializer.append(numpy_helper.from_array(np.array([7, 11]), "to"))


def refused(folder, scene, tmp_path, monkeypatch, capsys, *words):
    """The sentence with which `terraclick map` answers; nothing is left in the folder it ran in."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    load_map.cache_clear()
    with pytest.raises(SystemExit) as stopped:
        main(["map", str(scene), "--model", str(folder), "--out", "map.tif", *words])
    said = capsys.readouterr().err
    assert stopped.value.code == 2, said
    assert said.startswith("Error: ") and said.count("\n") == 1 and "inside TerraClick" not in said, said
    assert len(said) < 600 and said.rstrip("\n").isprintable()
    assert list(place.iterdir()) == []
    return said


@pytest.mark.parametrize("kind", SPECS)
def test_a_description_that_is_none(kind, scene, tmp_path, monkeypatch, capsys):
    spec = SPECS[kind]
    folder = folder_of(tmp_path / "model", "" if isinstance(spec, str) else spec, graph(GOOD))
    if isinstance(spec, str):
        (folder / "map.json").write_bytes(spec.encode("utf-8", "surrogateescape"))
    refused(folder, scene, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("kind", MODELS)
def test_a_graph_that_does_not_fit(kind, scene, tmp_path, monkeypatch, capsys):
    said = refused(folder_of(tmp_path / "model", SPEC, MODELS[kind]), scene, tmp_path, monkeypatch, capsys)
    assert "map_net.onnx" in said


def test_a_good_folder_maps(scene, tmp_path):
    folder = folder_of(tmp_path / "model", SPEC, graph(GOOD))
    with pytest.raises(SystemExit, match="0"):
        main(["map", str(scene), "--model", str(folder), "--out", str(tmp_path / "map.tif")])
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.read(1) == 2).all()
    assert not (tmp_path / "map.tif.work").exists()


def test_an_endless_graph_is_stopped_in_time(scene, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(OnnxMap, "seconds", 1.0)
    _, *others = OnnxMap.__init__.__defaults__
    monkeypatch.setattr(OnnxMap.__init__, "__defaults__", (1.0, *others))
    start = time.monotonic()
    said = refused(folder_of(tmp_path / "model", SPEC, endless()), scene, tmp_path, monkeypatch, capsys)
    assert "gave no answer within 1 s" in said and time.monotonic() - start < 30


def test_an_endless_graph_can_be_interrupted(scene, tmp_path):
    """Ctrl-C while a graph runs that never ends: one sentence, nothing left, and soon."""
    folder = folder_of(tmp_path / "model", SPEC, endless())
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-m", "terraclick", "map", str(scene), "--model", str(folder), "--out", "map.tif"]
    # a test run in the background ignores Ctrl-C, and what it starts would too
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 60
    while not (place / "map.tif.work").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "Error: stopped" in said, said and os.listdir(place) == []


def test_a_graph_of_a_click_model_is_stopped_too(tmp_path):
    model = folder_of(tmp_path / "model", SPEC, endless())
    session = open_map(model).network._runtime
    image = {"image": np.zeros((1, 3, SIDE, SIDE), np.float32)}
    with pytest.raises(BadWeights, match=r"click\.onnx gave no answer within 0\.5 s"):
        run_within(session, image, "click.onnx", 0.5)
    assert timed.TIME_LIMIT >= 60


def test_a_click_net_of_ones_own_is_stopped_too(tmp_path, monkeypatch):
    monkeypatch.setattr(timed.run_within, "__defaults__", (0.5,))
    onnx.save(endless(), str(tmp_path / "terra_click_net.onnx"))
    with pytest.raises(BadWeights, match=r"terra_click_net\.onnx gave no answer within 0\.5 s"):
        Graph(tmp_path / "terra_click_net.onnx")({"image": np.zeros((1, 3, SIDE, SIDE), np.float32)})


def test_a_damaged_journal_is_said(scene, tmp_path, monkeypatch, capsys):
    folder = folder_of(tmp_path / "model", SPEC, graph(GOOD))
    for content in ("{", "[]", '{"fingerprint": 3, "done_rows": 0}', '{"fingerprint": "x", "done_rows": "y"}', "{}"):
        work = tmp_path / "map.tif.work"
        work.mkdir(exist_ok=True)
        (work / "journal.json").write_text(content)
        with pytest.raises(SystemExit, match="2"):
            main(["map", str(scene), "--model", str(folder), "--out", str(tmp_path / "map.tif"), "--resume"])
        assert "is damaged" in capsys.readouterr().err
