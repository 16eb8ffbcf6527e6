"""Weights of the paper networks: published `.pth` layouts in, `.safetensors` + config `.json` out, strictly.

A published checkpoint is read as data (`stored.py`): its tensors and plain values are taken, every other object in it
becomes a named stub, and nothing of it runs. Every name must be accounted for: renamed by the family's table, or listed
as published but never used by its network. Nothing is left random in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.errors import BadConfig, BadWeights, UnknownName
from terraclick.files import replace_whole, writing
from terraclick.networks.plain_pickle import Damaged, Stub
from terraclick.networks.stored import StoredArray, StoredTensor, open_stored

__all__ = [
    "FAMILIES",
    "Family",
    "as_config",
    "build",
    "convert",
    "family_of",
    "initialise",
    "left_out",
    "load_network",
    "load_published",
    "preset_of",
    "read_config",
    "read_published",
    "rename",
    "reshaped",
    "save_network",
    "weights_name",
]

Renames = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """One paper's networks: how they are made and how their published weights are named."""

    network: Callable[[Any], nn.Module]
    """Config → network."""
    config: type
    """Class of the config."""
    presets: Mapping[str, Any]
    """Published sizes by the name that `load` knows."""
    renames: Renames = ()
    """(pattern, ours): regular expressions matched at the start of a published name; the first that matches renames."""
    unused: tuple[str, ...] = ()
    """Patterns of published names that its network never uses; they are left out."""


VIT_RENAMES: Renames = ((r"backbone\.(patch_embed|pos_embed|blocks)", r"backbone.\1"),)
PYRAMID_RENAMES: Renames = (
    (r"patch_embed_coords\.proj", "embed_clicks"),
    (r"neck\.down_(4|8|16|32)\.", r"neck.stride\1."),
    (r"head\.convs\.(\d)\.", r"head.laterals.\1."),
    (r"head\.fusion_conv\.", "head.fuse."),
    (r"head\.conv_seg\.", "head.logits."),
)
VIT_UNUSED = (r"backbone\.cls_token$", r"backbone\.fc_norm\.", r"backbone\.norm\.", r"backbone\.head\.")


def _up_renames(upsample: int) -> tuple[Renames, tuple[str, ...]]:
    """The head's finer steps are always published; each is used only where the head upsamples so far."""
    steps = {1: 0, 2: 1, 4: 2}[upsample]
    used = tuple((rf"head\.up_conv{k + 1}\.", f"head.up.{k}.") for k in range(steps))
    return used, tuple(rf"head\.up_conv{k + 1}\." for k in range(steps, 2))


def _simpleclick() -> Family:
    from terraclick.networks.simpleclick.model import SIMPLECLICK, SimpleClick, SimpleClickConfig

    return Family(SimpleClick, SimpleClickConfig, SIMPLECLICK, VIT_RENAMES + PYRAMID_RENAMES, VIT_UNUSED)


def _ritm() -> Family:
    from terraclick.networks.ritm.model import RITM, Ritm, RitmConfig

    return Family(Ritm, RitmConfig, RITM)


def _segnext() -> Family:
    from terraclick.networks.segnext.model import RENAMES, SEGNEXT, UNUSED, SegNext, SegNextConfig

    return Family(SegNext, SegNextConfig, SEGNEXT, RENAMES, UNUSED)


ISREFINER_RENAMES: Renames = (
    (r"mask_token$", "token"),
    (r"gatefusion\.gate\.0", "gate.gate"),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.offset_conv",
        r"refiner.extractor.blocks.\1.conv.offset",
    ),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.(?:conv1|deform_conv)",
        r"refiner.extractor.blocks.\1.conv",
    ),
    (r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.bn", r"refiner.extractor.blocks.\1.norm"),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.se\.fc\.0",
        r"refiner.extractor.blocks.\1.excite.narrow",
    ),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.se\.fc\.2",
        r"refiner.extractor.blocks.\1.excite.widen",
    ),
    (r"click_refiner\.exact_image_feature\.Exact_Backbone", "refiner.extractor.blocks"),
    (r"click_refiner\.exact_image_feature\.final_conv", "refiner.extractor.project"),
    (r"click_refiner\.dense_fusion_conv", "refiner.dense_fusion"),
    (r"click_refiner\.cross_feat\.cross_attn1", "refiner.fusion.early_attention"),
    (r"click_refiner\.cross_feat\.cross_attn2", "refiner.fusion.image_attention"),
    (r"click_refiner\.cross_feat\.norm1", "refiner.fusion.early_norm"),
    (r"click_refiner\.cross_feat\.norm2", "refiner.fusion.image_norm"),
    (r"click_refiner\.cross_feat\.up_path", "refiner.fusion.up"),
    (r"click_refiner\.cross_feat", "refiner.fusion"),
    (r"click_refiner\.decoder_layers\.(\d)\.token_to_image_attn", r"refiner.layers.\1.token_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.image_to_token_attn", r"refiner.layers.\1.feature_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.self_attn", r"refiner.layers.\1.self_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.mlp\.3", r"refiner.layers.\1.mlp.2"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm1", r"refiner.layers.\1.norms.0"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm2", r"refiner.layers.\1.norms.1"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm3", r"refiner.layers.\1.norms.2"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm4", r"refiner.layers.\1.norms.3"),
    (r"click_refiner\.decoder_layers", "refiner.layers"),
    (r"click_refiner\.final_token_decoder\.token_to_image_attn", "refiner.final_token.attention"),
    (r"click_refiner\.final_token_decoder\.mlp\.3", "refiner.final_token.mlp.2"),
    (r"click_refiner\.final_token_decoder", "refiner.final_token"),
    (r"click_refiner\.multi_scale_fusion\.convs\.(\d)\.conv", r"refiner.scale_fusion.narrow.\1"),
    (r"click_refiner\.multi_scale_fusion\.fusion_conv\.conv", "refiner.scale_fusion.mix"),
    (r"click_refiner\.transposed_conv\.t_conv1", "refiner.up.0"),
    (r"click_refiner\.transposed_conv\.t_conv2", "refiner.up.1"),
    (r"click_refiner\.prev_mask_downscaling\.downscale\.4", "refiner.mask_branch.mix"),
    (r"click_refiner\.prev_mask_downscaling\.downscale\.(\d)\.conv", r"refiner.mask_branch.down.\1.0"),
    (r"click_refiner\.dynamic_conv\.kernel_mlp", "refiner.dynamic.kernel"),
)


def _isrefiner() -> Family:
    from terraclick.networks.isrefiner.model import ISREFINER, IsRefiner, IsRefinerConfig

    renames = VIT_RENAMES + PYRAMID_RENAMES[:2] + ISREFINER_RENAMES
    return Family(IsRefiner, IsRefinerConfig, ISREFINER, renames, VIT_UNUSED)


REFCUT_RENAMES: Renames = (
    (r"mlp_pos\.0", "positive.inner"),
    (r"mlp_pos\.2", "positive.outer"),
    (r"mlp_neg\.0", "negative.inner"),
    (r"mlp_neg\.2", "negative.outer"),
)
"""RefCut's authors published no weights; the prompts are named as CrossCut's, the rest as SimpleClick's."""


def _refcut() -> Family:
    from terraclick.networks.refcut.model import REFCUT, RefCut, RefCutConfig

    below = tuple((pattern, f"base.{ours}") for pattern, ours in VIT_RENAMES + PYRAMID_RENAMES)
    return Family(RefCut, RefCutConfig, REFCUT, REFCUT_RENAMES + below, VIT_UNUSED)


def _focalclick() -> Family:
    from terraclick.networks.focalclick.model import FOCALCLICK, RENAMES, UNUSED, FocalClick, FocalClickConfig

    return Family(FocalClick, FocalClickConfig, FOCALCLICK, RENAMES, UNUSED)


def _crosscut() -> Family:
    from terraclick.networks.crosscut.model import CROSSCUT, CrossCut, CrossCutConfig

    renames = (*VIT_RENAMES, *PYRAMID_RENAMES, (r"mlp_pos\.", "prompt."))
    return Family(CrossCut, CrossCutConfig, CROSSCUT, renames, VIT_UNUSED)


def _mfp() -> Family:
    from terraclick.networks.mfp.model import MFP, Mfp, MfpConfig

    renames = (
        *VIT_RENAMES,
        *PYRAMID_RENAMES,
        (r"head\.conv_prevMod\.", "head.maps."),
        (r"head\.refine_fusion\.", "head.refine."),
    )
    return Family(Mfp, MfpConfig, MFP, renames, VIT_UNUSED)


def _bicor() -> Family:
    from terraclick.networks.bicor.model import PUBLISHED, RENAMES, UNUSED, BicorNetwork, build_published

    return Family(build_published, BicorNetwork, PUBLISHED, RENAMES, UNUSED)


FAMILIES: dict[str, Callable[[], Family]] = {
    "bicor": _bicor,
    "focalclick": _focalclick,
    "ritm": _ritm,
    "segnext": _segnext,
    "simpleclick": _simpleclick,
    "crosscut": _crosscut,
    "mfp": _mfp,
    "isrefiner": _isrefiner,
    "refcut": _refcut,
}
"""Families by name; each is imported when asked for."""


def family_of(name: str) -> str:
    """The family of a preset such as "simpleclick-b", or of its own name. Raises UnknownName with the list."""
    if name in FAMILIES:
        return name
    for family, made in FAMILIES.items():
        if name.startswith(family) and name in made().presets:
            return family
    known = ", ".join(preset for made in FAMILIES.values() for preset in made().presets)
    raise UnknownName(f"no network {name!r} has published weights here. Known: {known}.")


def preset_of(name: str) -> Any:
    """The config of a published size. Raises UnknownName."""
    return FAMILIES[family_of(name)]().presets[name]


def build(name: str, config: Any = None) -> tuple[nn.Module, Family, Any]:
    """An untrained network of a preset's or family's name → (network, family, config used)."""
    family = FAMILIES[name]() if name in FAMILIES else FAMILIES[family_of(name)]()
    if config is None:
        if name not in family.presets:
            raise BadConfig(f"the family {name!r} has several sizes: name one of {', '.join(family.presets)}.")
        config = family.presets[name]
    return family.network(config), family, config


def read_published(path: str | Path, tell: Callable[[Mapping[str, int]], object] | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint, from under `state_dict`, `model` … or its top level; runs no code of the file.

    PyTorch's, Jittor's and Lightning's files are read, pickles of arrays, and `.safetensors`. `tell` hears which
    objects of which name were left out as stubs. Raises BadWeights if the file is missing, damaged, or has no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise BadWeights(f"no weights file at {path}: give the path of a .pth or .safetensors file.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        found = open_stored(path)
        tensors = {name: stored.read() for name, stored in _state_of(found.value).items()}
    except Damaged as error:
        raise BadWeights(f"{path.name} is damaged or no checkpoint: {error}; download it again.") from None
    except (OSError, MemoryError) as error:
        raise BadWeights(f"{path.name} cannot be read: {error or 'not enough memory'}.") from None
    if tell is not None:
        tell(found.stubs)
    if not tensors:
        said = f"{path.name} holds no tensors: give a checkpoint with a state dict. {left_out(found.stubs)}"
        raise BadWeights(said.rstrip())
    for shared in ("module.", "net."):  # of a network in a wrapper: data-parallel, or a training module
        if all(key.startswith(shared) for key in tensors):
            tensors = {key.removeprefix(shared): value for key, value in tensors.items()}
    return tensors


STATES = ("state_dict", "model", "teacher", "net", "model_state_dict", "model_state", "ema_state_dict")
"""Where checkpoints keep their state dict, in the order in which it is looked for."""


def _state_of(content: Any) -> dict[str, StoredTensor | StoredArray]:
    """The tensors of a checkpoint: of a state dict in it, or of its top level."""
    content = _entries(content)
    for key in STATES:
        inner = _entries(content.get(key))
        if any(isinstance(value, StoredTensor | StoredArray) for value in inner.values()):
            content = inner
            break
    return {str(key): value for key, value in content.items() if isinstance(value, StoredTensor | StoredArray)}


def _entries(value: Any) -> Mapping[Any, Any]:
    """A dict's content, or that of an object that is a kind of dict."""
    if isinstance(value, Stub):
        value = value.entries or value.state
    return value if isinstance(value, Mapping) else {}


SHOWN = 12
"""Names of stubs that a sentence lists."""


def left_out(stubs: Mapping[str, int]) -> str:
    """What was left out of a checkpoint, as one sentence; "" for nothing."""
    if not stubs:
        return ""
    shown = [name if count < 2 else f"{name} ({count})" for name, count in sorted(stubs.items())]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"Left out, not imported and not run: {', '.join(shown[:SHOWN])}{more}."


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"{path.name} is damaged or no safetensors file ({error}): write it again.") from None


def rename(state: Mapping[str, Tensor], renames: Renames, unused: tuple[str, ...]) -> dict[str, Tensor]:
    """Published names → ours; names that match no rule stay, names listed as unused go."""
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        if any(re.match(pattern, name) for pattern in unused):
            continue
        for pattern, replacement in renames:
            if re.match(pattern, name):
                name = re.sub(rf"^(?:{pattern})", replacement, name)
                break
        ours[name] = value
    return ours


def _fit(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load strictly, or say in one sentence what does not fit."""
    expected = network.state_dict()
    state = reshaped(state, expected)
    counters = {name for name in expected if name.endswith("num_batches_tracked") and name not in state}
    missing = sorted(set(expected) - set(state) - counters)
    extra = sorted(set(state) - set(expected))
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    complaints = [
        f"{len(names)} {kind} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"
        for kind, names in (("missing", missing), ("unknown", extra), ("of another shape", shapes))
        if names
    ]
    if complaints:
        raise BadWeights(
            f"{what} does not fit this network: of {len(expected)} arrays {'; '.join(complaints)}; "
            "name the network it was trained as."
        )
    network.load_state_dict({**{name: expected[name] for name in counters}, **state}, strict=True)


def reshaped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays whose shape differs from the expected one by sides of one alone (a layer scale (C, 1, 1)) get that."""

    def same(one: Tensor, other: Tensor) -> bool:
        return [side for side in one.shape if side > 1] == [side for side in other.shape if side > 1]

    return {
        name: value.reshape(expected[name].shape) if name in expected and same(value, expected[name]) else value
        for name, value in state.items()
    }


def load_published(name: str, state: Mapping[str, Tensor], config: Any = None, what: str = "the checkpoint") -> Any:
    """A network with the weights of a published state dict; strict. Returns it in eval mode."""
    network, family, config = build(name, config)
    used, unused = _up_renames(getattr(getattr(config, "base", config), "upsample", 1))
    _fit(network, rename(state, family.renames + used, family.unused + unused), what)
    return network.eval()


def save_network(network: nn.Module, family: str, config: Any, path: str | Path) -> Path:
    """Write `path` (.safetensors) and the config beside it (.json); returns the path. Raises BadOutput."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    path = weights_name(Path(path))
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}

    def check(part: Path) -> None:
        with safe_open(part, "pt") as file:
            if set(file.keys()) != set(state):
                raise OSError(None, "arrays are missing in the written file")

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replace_whole(path, errors=(SafetensorError,), check=check) as part:
        save_file(state, part)
        part.with_suffix(".json").write_text(
            json.dumps({"family": family, "config": asdict(config)}, indent=2) + "\n", "utf-8"
        )
    return path


def weights_name(path: Path) -> Path:
    """The path with the ending of converted weights, whatever points its name has."""
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def as_config(kind: type, values: Mapping[str, Any]) -> Any:
    """A config dataclass from what JSON kept of it; lists become tuples, nested objects nested configs.

    Raises BadWeights on names the config does not have or values it refuses.
    """
    known = {field.name for field in fields(kind)}
    if set(values) - known:
        raise BadWeights(f"the config names {sorted(set(values) - known)}, which {kind.__name__} does not have.")
    hints = get_type_hints(kind)
    return kind(**{name: _as_value(hints[name], value) for name, value in values.items()})


def _as_value(hint: Any, value: Any) -> Any:
    options = [hint, *get_args(hint)]
    nested = next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)
    if nested is not None and isinstance(value, Mapping):
        return as_config(nested, value)
    if isinstance(value, list) and any(option is tuple or get_origin(option) is tuple for option in options):
        return tuple(_as_value(Any, item) for item in value)
    if isinstance(value, list):
        return tuple(_as_value(Any, item) for item in value)
    return value


def load_network(name: str, weights: str | Path | None = None, random: int | None = None, config: Any = None) -> Any:
    """A network by preset name with weights from a file (ours or published), or random ones from a seed; eval mode.

    Raises BadWeights without either, or when the file does not fit.
    """
    if weights is None and random is None:
        raise BadWeights(
            f"{name} needs weights, which are not shipped: download the published checkpoint and give its path "
            f"(--weights PATH, or load({name!r}, weights=PATH))."
        )
    if weights is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random or 0))
            return build(name, config)[0].eval()
    path = Path(weights)
    if path.suffix != ".safetensors":
        return load_published(name, read_published(path), config, path.name)
    described = path.with_suffix(".json")
    if config is None and described.is_file():
        config = read_config(described, name)
    network, _, _ = build(name, config)
    _fit(network, read_published(path), path.name)
    return network.eval()


def read_config(path: Path, name: str) -> Any:
    """The config that `save_network` wrote beside weights; it must describe the network `name`. Raises BadWeights."""
    wanted = family_of(name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        family, values = content["family"], content["config"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadWeights(f"{path.name} does not describe a network: convert the checkpoint again.") from None
    if family != wanted:
        raise BadWeights(f"{path.name} describes a {family} network, not {wanted}: name the network it was trained as.")
    try:
        return as_config(FAMILIES[family]().config, values)
    except TypeError as error:
        raise BadWeights(f"{path.name} holds an incomplete config ({error}): convert the checkpoint again.") from None


def convert(
    source: str | Path,
    destination: str | Path,
    name: str,
    config: Any = None,
    tell: Callable[[Mapping[str, int]], object] | None = None,
) -> Path:
    """A published checkpoint → our `.safetensors` and `.json`; returns the path written.

    `tell` hears what was left out, see `read_published`. Raises BadWeights when the checkpoint holds no weights, is
    damaged, or is of another network.
    """
    path = Path(source)
    network = load_published(name, read_published(path, tell), config, path.name)
    return save_network(network, family_of(name), config or preset_of(name), destination)


PLAIN_UNUSED = (
    r"cls_token$",
    r"dist_token$",
    r"mask_token$",
    r"register_tokens$",
    r"reg_token$",
    r"storage_tokens$",
    r"norm\.",
    r"fc_norm\.",
    r"head\.",
    r"decoder_",
)
"""Parts of MAE's, DINOv2's and timm's ViTs that click networks do not have."""


def initialise(
    name: str,
    source: str | Path,
    seed: int = 0,
    config: Any = None,
    tell: Callable[[Mapping[str, int]], object] | None = None,
) -> Any:
    """A network to be trained, its backbone taken from a plain ViT (MAE, DINOv2 or timm layout), the rest by `seed`.

    Positions are resized bicubically to the network's grid; patches of another size (DINOv2's 14 px) so that a picture
    enlarged as they are gives the same tokens; a layer scale is multiplied into the projection it follows, which
    changes no number. `tell` as of `read_published`. Raises BadWeights where the ViT is of another size.
    """
    network = load_network(name, random=seed, config=config)
    backbone = getattr(getattr(network, "base", network), "backbone", None)
    if not hasattr(backbone, "pos_embed"):
        raise BadConfig(f"{name} has no plain ViT to start from: give its own checkpoint.")
    path = Path(source)
    state = {key.removeprefix("backbone."): value for key, value in read_published(path, tell).items()}
    state = _fold_layer_scale(rename(state, (), PLAIN_UNUSED))
    table, wanted = state.get("pos_embed"), backbone.pos_embed.shape
    if table is not None and table.ndim == 3 and table.shape != wanted and table.shape[-1] == wanted[-1]:
        state["pos_embed"] = _square_positions(table, backbone.config.grid)
    patches, kernel = state.get(PATCHES), backbone.state_dict()[PATCHES].shape
    if patches is not None and patches.ndim == 4 and patches.shape != kernel and patches.shape[:2] == kernel[:2]:
        state[PATCHES] = _resized_patches(patches, (kernel[2], kernel[3]))
    _fit(backbone, state, path.name)
    return network


PATCHES = "patch_embed.proj.weight"


def _resized_patches(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Patch weights (C, 3, h, w) for patches of another size (FlexiViT's rule, the pseudo-inverse of the resize).

    With B the bilinear resize of a patch to `size`, the new weights w' give w'ᵀ(Bx) = wᵀx for every patch x where
    patches grow, and are nearest to it where they shrink.
    """
    rows, cols = kernel.shape[2:]
    basis = torch.eye(rows * cols, dtype=torch.float64).reshape(rows * cols, 1, rows, cols)
    resized = functional.interpolate(basis, size=size, mode="bilinear", align_corners=False)
    back = torch.linalg.pinv(resized.reshape(rows * cols, -1))
    flat = kernel.to(torch.float64).reshape(-1, rows * cols) @ back.T
    return flat.reshape(*kernel.shape[:2], *size).to(kernel.dtype)


def _fold_layer_scale(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply each `ls1.gamma` into the attention's projection and each `ls2.gamma` into the MLP's last layer."""
    folded = {name: value for name, value in state.items() if not name.endswith((".ls1.gamma", ".ls2.gamma"))}
    for name, gamma in state.items():
        for scale, layer in ((".ls1.gamma", ".attn.proj"), (".ls2.gamma", ".mlp.fc2")):
            if name.endswith(scale):
                before = name.removesuffix(scale) + layer
                for part, factor in ((".weight", gamma[:, None]), (".bias", gamma)):
                    if before + part in folded:
                        folded[before + part] = folded[before + part] * factor
    return folded


def _square_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """A position table (1, [1 +] n², C) on another grid, with a class entry (zero where there was none)."""
    from terraclick.blocks.vit import resize_positions

    for classes in (1, 0):
        side = round((table.shape[1] - classes) ** 0.5)
        if side * side + classes == table.shape[1]:
            break
    if classes == 0:
        table = torch.cat([torch.zeros_like(table[:, :1]), table], dim=1)
    return resize_positions(table, (side, side), grid)
