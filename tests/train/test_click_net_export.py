"""Files of trained networks: the int8 bound, and files that do not fit or ask to run code."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
onnx = pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadWeights  # noqa: E402
from terraclick.inference.graph import Graph  # noqa: E402
from terraclick.terra.net import ClickNet  # noqa: E402
from terraclick.train.export import (  # noqa: E402
    export_click_net,
    export_encoder,
    exported_weights,
    quantize_weights,
    read_checkpoint,
)


@pytest.fixture
def graph(tmp_path):
    """y = x · w as a file, w (80, 64)."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).normal(size=(80, 64)).astype(np.float32) * np.linspace(0.01, 3, 64, dtype="f4")
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 80]), ("y", [1, 64]))]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    body = helper.make_graph([node], "g", values[:1], values[1:], [numpy_helper.from_array(weight, "w")])
    path = tmp_path / "graph.onnx"
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path, weight


def test_quantised_weights_stay_within_half_a_step(graph):
    path, weight = graph
    quantize_weights(path)
    kept = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
    assert kept["w.levels"].dtype == np.int8 and not kept["w.zero"].any() and "w" not in kept
    assert (np.abs(kept["w.levels"] * kept["w.scale"] - weight) <= kept["w.scale"] / 2 * (1 + 1e-5)).all()
    x = np.random.default_rng(1).normal(size=(1, 80)).astype(np.float32)
    assert np.allclose(Graph(path, 1)({"x": x}), x @ (kept["w.levels"] * kept["w.scale"]), atol=1e-4)


class Runs:
    """Pickled, it asks the reader to make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_file_that_asks_to_run_code_is_not_read(tmp_path):
    trap = str(tmp_path / "trap")
    torch.save({"arch": "terra-click-net", "weights": Runs(trap)}, tmp_path / "bad.pt")
    with pytest.raises(BadWeights, match="asks to run code"):
        export_click_net(tmp_path / "bad.pt", tmp_path / "out.onnx")
    assert not os.path.exists(trap) and not (tmp_path / "out.onnx").exists()


def test_missing_damaged_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(BadWeights, match="does not exist"):
        read_checkpoint(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(BadWeights, match="damaged"):
        read_checkpoint(tmp_path / "bad.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(BadWeights, match="holds a list"):
        read_checkpoint(tmp_path / "list.pt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"arch": "other"}, "'other', not a terra click net"),
        ({"arch": "terra-click-net"}, "does not fit"),
        ({"arch": "terra-click-net", "weights": {"logits.weight": torch.zeros(3)}}, "does not fit"),
    ],
)
def test_another_networks_weights_are_refused(content, says, tmp_path):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(BadWeights, match=says):
        export_click_net(tmp_path / "net.pt", tmp_path / "out.onnx")


def test_another_encoder_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"norm.weight": torch.zeros(384)}, str(tmp_path / "vit.safetensors"))
    with pytest.raises(BadWeights, match="does not fit the encoder"):
        export_encoder(tmp_path / "vit.safetensors", tmp_path / "out.onnx")


def test_an_export_leaves_nothing_beside_its_file(tmp_path):
    torch.save({"arch": "terra-click-net", "weights": ClickNet().state_dict()}, tmp_path / "net.pt")
    export_click_net(tmp_path / "net.pt", tmp_path / "out.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.pt", "out.onnx"]
    assert (tmp_path / "out.onnx").stat().st_size < (tmp_path / "net.pt").stat().st_size * 0.6


def test_an_exported_net_can_be_trained_on(tmp_path):
    torch.manual_seed(0)
    net = ClickNet()
    for weight in net.parameters():  # a trained net has no two layers of zeros, which the file would keep once
        torch.nn.init.normal_(weight, std=0.1)
    torch.save({"arch": "terra-click-net", "weights": net.state_dict()}, tmp_path / "net.pt")
    export_click_net(tmp_path / "net.pt", tmp_path / "net.onnx")
    found = exported_weights(tmp_path / "net.onnx")
    assert found.keys() == net.state_dict().keys()
    assert all(torch.allclose(found[name], value, rtol=1e-3, atol=1e-4) for name, value in net.state_dict().items())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(BadWeights):
        exported_weights(tmp_path / "bad.onnx")
