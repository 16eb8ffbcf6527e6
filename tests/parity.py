"""Recorded truth: arrays of the published code on tiny random weights, and how close ours must come."""

import json

import numpy as np
import torch


def fixture(shared, name):
    """(arrays, config) of a recorded case."""
    manifest = json.loads((shared / "parity" / "manifest.json").read_text())
    return np.load(shared / "parity" / f"{name}.npz"), manifest["fixtures"][f"{name}.npz"]["config"]


def state(arrays):
    """The published state dict kept in a fixture."""
    return {k.removeprefix("sd/"): torch.from_numpy(arrays[k]) for k in arrays.files if k.startswith("sd/")}


def image(array):
    """(B, H, W, 3) uint8 → (B, 3, H, W) in 0…1."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).float() / 255


def previous(array):
    """(B, 1, H, W) uint8 → probabilities."""
    return torch.from_numpy(array).float() / 255


def close(ours, truth, absolute=1e-4, relative=1e-3):
    """Assert |ours − truth| ≤ 1e-4 + 1e-3·|truth| everywhere; says the largest difference."""
    ours, truth = np.asarray(ours, np.float64), np.asarray(truth, np.float64)
    assert ours.shape == truth.shape
    difference = np.abs(ours - truth)
    assert (difference <= absolute + relative * np.abs(truth)).all(), f"differs by up to {difference.max():.2e}"
    return float(difference.max())
