"""Networks of the papers in small sizes with random weights, in files as `terraclick convert` writes them."""

from dataclasses import replace

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.checkpoint import build, save_network
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.families import family_of
from terraclick.networks.focalclick.network import FocalClickConfig
from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.mfp.network import MfpConfig
from terraclick.networks.refcut.network import RefCutConfig
from terraclick.networks.ritm.network import RitmConfig
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.variants import base_name

VIT = ClickViTConfig(dim=32, heads=2, depth=4, size=224)
SIMPLE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
TINY = {
    "simpleclick-b": SIMPLE,
    "ritm-hrnet18": RitmConfig(width=4, ocr_width=8, small=True),
    "ritm-hrnet32": RitmConfig(width=4, ocr_width=8, small=True),
    "segnext-b": SegNextConfig(SegNextViTConfig(dim=16, depth=3, heads=2, size=224), pyramid=(4, 8, 16, 32), head=8),
    "mfp-b": MfpConfig(SIMPLE),
    "crosscut-b": CrossCutConfig(SIMPLE),
    "refcut-b": RefCutConfig(SIMPLE, reference_side=224),
    "focalclick-b0": FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8),
    "isrefiner-b": IsRefinerConfig(replace(VIT, dim=64), (8, 16, 32, 64), widths=(8, 16, 24, 32)),
}


def write_tiny(name, folder, seed=0):
    """The file of a network with weights of a seed, settings of the name left aside; its config lies beside it."""
    import torch

    name = base_name(name)
    path = folder / f"{name}.safetensors"
    if not path.exists():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network, _, config = build(name, TINY[name])
        save_network(network, family_of(name), config, path)
    return path
