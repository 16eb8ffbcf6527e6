"""Click models from strangers: a folder that is damaged, or does not answer as it says, is one sentence."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
onnx = pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.catalogue import load  # noqa: E402
from terraclick.errors import BadWeights  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.networks.simpleclick.onnx import EXPORT  # noqa: E402
from terraclick.predictors.spec import WEIGHTS  # noqa: E402
from terraclick.values import (  # noqa: E402
    Click,
    Prompt,
    View,
)

TINY = SimpleClickConfig(ClickViTConfig(dim=32, heads=2, depth=4, size=224), (8, 16, 32, 64), 16)
PROMPT = Prompt((Click(60.0, 90.0),))
VIEW = View(np.random.default_rng(0).integers(0, 256, (130, 170, 3)).astype(np.uint8))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return EXPORT.export("simpleclick-b", tmp_path_factory.mktemp("made") / "m", random=0, size=(224, 224), config=TINY)


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "m")


def answer(folder, name="simpleclick-b"):
    predictor = load(name, weights=folder)
    return predictor.predict(predictor.encode(VIEW), PROMPT, None)


def assert_refused(folder, name="simpleclick-b"):
    with pytest.raises(BadWeights) as caught:
        answer(folder, name)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 500 and said.endswith(".")


def test_the_folder_itself_answers(folder):
    assert np.isfinite(answer(folder).probs).all()


VALUES = [None, True, -1, 0, 1.5, 10**9, "x", [], {}, [1], [224], ["a", "b"], [224.0, 224.0], [True, True], {"a": 1}]


@pytest.mark.parametrize("key", ["name", "size", "kept", "modulation"])
def test_values_that_are_none(key, folder):
    said = json.loads((folder / "network.json").read_text())
    for value in VALUES:
        if value in (said.get(key), None) and key == "modulation":
            continue
        (folder / "network.json").write_text(json.dumps(said | {key: value}))
        assert_refused(folder)


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000, '{"name": "' + "x" * 2_000_000 + '"}', ""])
def test_a_description_that_is_none(text, folder):
    (folder / "network.json").write_text(text)
    assert_refused(folder)


def spoilt(path, value):
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            array = np.full(list(tensor.dims), value, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(model, str(path))


def renamed(path, which):
    """The graph under other names of its inputs or outputs."""
    model = onnx.load(str(path))
    values = getattr(model.graph, which)
    for value in values:
        for node in model.graph.node:
            for part in (node.input, node.output):
                for index, name in enumerate(part):
                    if name == value.name:
                        part[index] = f"other_{name}"
        value.name = f"other_{value.name}"
    onnx.save(model, str(path))


@pytest.mark.parametrize("file", ["encode.onnx", "click.onnx"])
@pytest.mark.parametrize("fault", ["missing", "cut", "swapped", "NaN", "renamed inputs"])
def test_graphs_that_do_not_fit(file, fault, folder):
    path = folder / file
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif fault == "swapped":
        shutil.copyfile(folder / ("click.onnx" if file == "encode.onnx" else "encode.onnx"), path)
    elif fault == "NaN":
        spoilt(path, np.nan)
    else:
        renamed(path, "input")
    assert_refused(folder)


@pytest.mark.parametrize("file", ["terra_encoder.onnx", "terra_click_net.onnx"])
@pytest.mark.parametrize("fault", ["cut", "swapped", "empty"])
def test_a_click_net_of_ones_own_that_does_not_fit(file, fault, tmp_path):
    for name in ("terra_encoder.onnx", "terra_click_net.onnx"):
        shutil.copyfile(WEIGHTS / name, tmp_path / name)
    path = tmp_path / file
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif fault == "empty":
        path.write_bytes(b"")
    else:
        other = "terra_click_net.onnx" if file == "terra_encoder.onnx" else "terra_encoder.onnx"
        shutil.copyfile(WEIGHTS / other, path)
    assert_refused(tmp_path, "terra")


def test_an_option_that_a_model_does_not_have_is_still_a_type_error(folder):
    with pytest.raises(TypeError, match="wings"):
        load("simpleclick-b", weights=folder, wings=2)
