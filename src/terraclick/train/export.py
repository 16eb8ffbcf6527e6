"""Trained torch networks to the files the CPU engine runs: ONNX, the encoder in int8, the click net in float16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from terraclick.core.bank import MAP_CHANNELS, SLOTS
from terraclick.core.refit import FIT_CHANNELS, FIT_STRIDE
from terraclick.errors import BadWeights
from terraclick.files import copy_file, replace_whole
from terraclick.inference.runtime import onnx_runtime
from terraclick.networks.onnx_files import check_graph, write_graph
from terraclick.terra.net import ClickNet, TerraEncoder

__all__ = ["export", "export_click_net", "export_encoder", "exported_weights", "quantize_weights", "read_checkpoint"]

OPSET = 17


def _example(side: int = 384, tokens: int = 24) -> dict[str, torch.Tensor]:
    """Click-net inputs of the right shapes."""
    return {
        "image": torch.rand(1, 3, side, side) * 255,
        "clicks": torch.rand(1, 3, side, side),
        "tokens": torch.randn(1, 768, tokens, tokens) / 20,
        "shallow": torch.randn(1, 384, tokens, tokens) / 20,
        "rows": torch.randn(1, 2, SLOTS, 768) / 20,
        "labels": torch.zeros(1, 2, tokens, tokens, dtype=torch.long),
        "maps": torch.rand(1, MAP_CHANNELS, tokens, tokens),
        "fit": torch.rand(1, FIT_CHANNELS, side // FIT_STRIDE, side // FIT_STRIDE),
        "target": torch.tensor([[1.0, 0.0]]),
    }


def _to_onnx(
    module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], path: Path, free: dict[str, dict[int, str]]
) -> None:
    """Trace and write for a batch of one; `free` names the axes whose length stays open."""
    write_graph(path, module, inputs, outputs, free, OPSET)


def _merge_padding(path: Path) -> None:
    """Move zero padding in front of a convolution into the convolution: one pass over memory less."""
    import onnx
    from onnx import numpy_helper

    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # folds constants
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(path))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    makers = {output: node for node in graph.node for output in node.output}
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        pad = makers.get(conv.input[0])
        if pad is None or pad.op_type != "Pad" or pad.input[1] not in constants:
            continue
        amounts = [int(value) for value in constants[pad.input[1]]]  # begins of all axes, then ends
        if any(amounts[i] for i in (0, 1, 4, 5)):
            continue
        pads = next(attribute for attribute in conv.attribute if attribute.name == "pads")
        extra = [amounts[2], amounts[3], amounts[6], amounts[7]]
        pads.ints[:] = [old + more for old, more in zip(pads.ints, extra, strict=True)]
        conv.input[0] = pad.input[0]
    used = {name for node in graph.node for name in node.input}
    for node in [node for node in graph.node if node.op_type == "Pad" and node.output[0] not in used]:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    for entry in [entry for entry in model.opset_import if entry.domain]:
        model.opset_import.remove(entry)
    onnx.save(model, str(path))


def export(checkpoint: Path, out: Path) -> Path:
    """Write a folder that `load("terra", weights=folder)` clicks with: the shipped encoder beside this click net."""
    from terraclick.predictors.spec import WEIGHTS

    out.mkdir(parents=True, exist_ok=True)
    export_click_net(checkpoint, out / "terra_click_net.onnx")
    copy_file(WEIGHTS / "terra_encoder.onnx", out / "terra_encoder.onnx")
    return out


def read_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any]:
    """What a training run saved; nothing in the file is run. Raises BadWeights if it is missing, damaged or hostile."""
    if not path.is_file():
        raise BadWeights(f"{path} does not exist: give a file that a training run wrote.")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # damaged archives and refused pickles raise half a dozen kinds of error
        raise BadWeights(
            f"{path} is damaged or asks to run code, so it was not read: give a file that a training run wrote."
        ) from None
    if not isinstance(content, dict):
        raise BadWeights(f"{path} holds a {type(content).__name__}, not what a training run saves: give another file.")
    return content


def exported_weights(path: Path) -> dict[str, torch.Tensor]:
    """What an exported click net (float16 precision) has of today's state dict, to train on from it. Raises BadWeights.

    Layers without a bias became anonymous matrices in the graph; they are known by their shapes.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception:  # the parser raises errors of its own library
        raise BadWeights(f"{path} is not an ONNX file: give a click_net.pt or an exported click net.") from None
    arrays = {t.name.removesuffix(".half"): numpy_helper.to_array(t).astype(np.float32) for t in graph.initializer}
    wanted = {name: tuple(value.shape) for name, value in ClickNet().state_dict().items()}
    anonymous = {array.T.shape: array.T for name, array in arrays.items() if "MatMul" in name}
    found = {}
    for name, shape in wanted.items():
        array = arrays.get(name, anonymous.get(shape))
        if array is None or array.shape != shape:
            continue  # a layer that the earlier net did not have, or of another width
        found[name] = torch.from_numpy(np.ascontiguousarray(array))
    return found


def export_encoder(weights: Path, path: Path, int8: bool = True) -> None:
    """Write the frozen encoder from a safetensors file of ViT weights; int8 keeps a quarter of the size."""
    from safetensors.torch import load_file

    encoder = TerraEncoder()
    state = load_file(str(weights))
    known = encoder.vit.state_dict().keys()
    try:
        encoder.vit.load_state_dict({name: value for name, value in state.items() if name in known})
        encoder.principal.load_state_dict({"weight": state["principal.weight"]})
    except (KeyError, RuntimeError) as error:
        raise BadWeights(f"{weights} does not fit the encoder: {error}.") from None
    side = TerraEncoder.SIDE
    outputs = ["tokens", "shallow", "principal"]
    with replace_whole(path, errors=(RuntimeError,), check=check_graph) as part:
        _to_onnx(encoder, {"image": torch.rand(1, 3, side, side) * 255}, outputs, part, {})
        if int8:
            quantize_weights(part)


def export_click_net(checkpoint: Path, path: Path) -> None:
    """Write the click net of a training run's `click_net.pt`, constants as float16. Raises BadWeights."""
    content = read_checkpoint(checkpoint)
    if content.get("arch") != "terra-click-net":
        raise BadWeights(f"{checkpoint} holds {content.get('arch')!r}, not a terra click net.")
    net = ClickNet()
    try:
        net.load_state_dict(content["weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise BadWeights(f"{checkpoint} does not fit the click net ({reason}): train it with this version.") from None
    free = {name: {2: "rows", 3: "cols"} for name in ("image", "clicks", "logits")}
    free["fit"] = {2: "quarter_rows", 3: "quarter_cols"}
    with replace_whole(path, errors=(RuntimeError,), check=check_graph) as part:
        _to_onnx(net, _example(), ["logits"], part, free)
        _merge_padding(part)
        _store_half(part)


def _large_constants(graph: Any, smallest: int) -> list[Any]:
    return [t for t in graph.initializer if t.data_type == 1 and int(np.prod(t.dims)) >= smallest]


def _store_half(path: Path) -> None:
    """Keep large float constants as float16, widened by a Cast when the file is loaded."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    for tensor in _large_constants(model.graph, 512):
        name = tensor.name
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name + ".half")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
        model.graph.node.insert(0, helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT))
    onnx.save(model, str(path))


def quantize_weights(path: Path) -> None:
    """Keep matrix weights as int8 with one scale per output channel; arithmetic stays in float."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    matrices = {node.input[1]: 1 for node in graph.node if node.op_type == "MatMul"}
    matrices |= {node.input[1]: 0 for node in graph.node if node.op_type == "Conv"}
    for tensor in _large_constants(graph, 4096):
        array = numpy_helper.to_array(tensor)
        name = tensor.name
        axis = matrices.get(name)
        if axis is None:
            continue
        others = tuple(i for i in range(array.ndim) if i != axis)
        scale = np.maximum(np.abs(array).max(axis=others) / 127, 1e-12).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(array.ndim)]
        levels = np.clip(np.rint(array / scale.reshape(shape)), -127, 127).astype(np.int8)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(levels, name + ".levels"))
        graph.initializer.append(numpy_helper.from_array(scale, name + ".scale"))
        graph.initializer.append(numpy_helper.from_array(np.zeros(len(scale), np.int8), name + ".zero"))
        parts = [name + ".levels", name + ".scale", name + ".zero"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=axis))
    onnx.save(model, str(path))
