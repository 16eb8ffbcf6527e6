"""Add principal components of the tokens to the frozen encoder's weights, and export the encoder.

    python dev/principal_tokens.py encoder.safetensors DATA_TRAIN terra_encoder.onnx

Components come from 336 px squares of every training dataset alike. Each is scaled by the fourth root of its variance:
that lies between plain components, which hide the rare directions, and whitened ones, which are mostly noise.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from terraclick.data.datasets import open_datasets
from terraclick.terra.net import PRINCIPAL, TerraEncoder
from terraclick.terra.patches import GREY, cut
from terraclick.train.export import export_encoder
from terraclick.values import Window

SQUARES = 16


def main() -> None:
    weights, data, target = (Path(argument) for argument in sys.argv[1:4])
    torch.set_num_threads(2)
    encoder = TerraEncoder().eval()
    state = load_file(str(weights))
    encoder.vit.load_state_dict({name: value for name, value in state.items() if name in encoder.vit.state_dict()})
    rng = np.random.default_rng(0)
    covariance, count = np.zeros((768, 768)), 0
    for dataset in open_datasets(data):
        for number in rng.choice(len(dataset.pictures), min(SQUARES, len(dataset.pictures)), replace=False):
            image = dataset.pictures[number].image()
            side = int(min(336 * 2.0 ** rng.uniform(-0.7, 1.0), max(image.shape[:2])))
            row, col = (int(rng.integers(0, max(size - side, 0) + 1)) for size in image.shape[:2])
            square = cut(image, Window(row, col, side, side), 336, GREY)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                tokens = encoder(torch.from_numpy(square.transpose(2, 0, 1)[None]).float())[0][0].float()
            flat = tokens.flatten(1).numpy()
            flat = flat - flat.mean(axis=1, keepdims=True)
            covariance += flat @ flat.T
            count += flat.shape[1]
    values, vectors = np.linalg.eigh(covariance / count)
    values, vectors = values[::-1][:PRINCIPAL], vectors[:, ::-1][:, :PRINCIPAL]
    print("share of variance kept:", values.sum() / (np.trace(covariance) / count))
    basis = vectors.T / values[:, None] ** 0.25
    basis /= np.sqrt((values**0.5).mean())
    state["principal.weight"] = torch.from_numpy(basis[:, :, None, None].astype(np.float32)).contiguous()
    save_file(state, str(weights))
    export_encoder(weights, target)
    print("pictures:", cv2.getVersionString(), count // 576)


if __name__ == "__main__":
    main()
