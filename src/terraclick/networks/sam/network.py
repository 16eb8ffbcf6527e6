"""The SAM family as predictors, through `transformers`: SAM, SAM-HQ and SAM 2, weights from a local folder only.

Kirillov et al., Segment Anything, ICCV 2023; Ke et al., Segment Anything in High Quality, NeurIPS 2023; Ravi et al.,
SAM 2, 2024. The image encoder runs once per view; a click costs the prompt encoder and the mask decoder.

How a view comes into the input square and an answer back onto it: `prompted.py`.

Nothing is ever fetched: a published file is read as data (`published.py`), or a folder with `config.json` and
`model.safetensors`, both strictly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terraclick.blocks.layers import normalise
from terraclick.errors import BadConfig, BadWeights, require_extra
from terraclick.networks.checkpoint import fit, read_published
from terraclick.networks.predictor import PRECISIONS
from terraclick.networks.sam.efficient import EfficientSam, EfficientSamConfig
from terraclick.networks.sam.prompted import BEST, CORNERS, PromptedSam
from terraclick.networks.sam.published import mobile_names, transformers_names
from terraclick.networks.sam.tiny_vit import MobileSamConfig, TinyVit

__all__ = [
    "SAM",
    "SamFeatures",
    "SamPredictor",
    "SamSize",
    "decoded",
    "fresh",
    "kept_features",
    "load_sam",
    "read_file",
    "tensors_in",
]


@dataclass(frozen=True)
class SamSize:
    """One published size: which network of `transformers`, and the config that differs from its defaults."""

    network: str
    """Class of the network."""
    kinds: tuple[str, ...]
    """`model_type` values of a `config.json` that fit."""
    width: int
    """Channels of the image encoder, by which a folder of another size is told."""
    vision: Mapping[str, Any]
    """Settings of the image encoder."""
    stretch: bool = False
    """Whether the view is stretched to a square instead of padded."""


def _vit(network: str, kind: str, width: int, depth: int, heads: int, every: tuple[int, ...]) -> SamSize:
    vision = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
    return SamSize(network, (kind,), width, {**vision, "global_attn_indexes": list(every)})


def _hiera(
    width: int, heads: int, blocks: list[int], every: list[int], window: int = 14, last: int = 7, grid: int = 7
) -> SamSize:
    dims = [width << level for level in range(4)]
    backbone = {
        "hidden_size": width,
        "num_attention_heads": heads,
        "embed_dim_per_stage": dims,
        "num_attention_heads_per_stage": [heads << level for level in range(4)],
        "blocks_per_stage": blocks,
        "global_attention_blocks": every,
        "window_size_per_stage": [8, 4, window, last],
        "window_positional_embedding_background_size": [grid, grid],
    }
    vision = {"backbone_config": backbone, "backbone_channel_list": dims[::-1]}
    return SamSize("Sam2Model", ("sam2", "sam2_video"), width, vision, stretch=True)


_DEPTHS: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "b": (768, 12, 12, (2, 5, 8, 11)),
    "l": (1024, 24, 16, (5, 11, 17, 23)),
    "h": (1280, 32, 16, (7, 15, 23, 31)),
}

SAM: dict[str, SamSize] = {
    **{f"sam-vit-{size}": _vit("SamModel", "sam", *numbers) for size, numbers in _DEPTHS.items()},
    **{f"sam-hq-vit-{size}": _vit("SamHQModel", "sam_hq", *numbers) for size, numbers in _DEPTHS.items()},
    "mobile-sam": SamSize("SamModel", (), 256, {}),
    "efficient-sam-ti": SamSize("EfficientSam", (), 192, {"dim": 192, "heads": 3}, stretch=True),
    "efficient-sam-s": SamSize("EfficientSam", (), 384, {"dim": 384, "heads": 6}, stretch=True),
    "sam2-hiera-tiny": _hiera(96, 1, [1, 2, 7, 2], [5, 7, 9]),
    "sam2-hiera-small": _hiera(96, 1, [1, 2, 11, 2], [7, 10, 13]),
    "sam2-hiera-base-plus": _hiera(112, 2, [2, 3, 16, 3], [12, 16, 20], grid=14),
    "sam2-hiera-large": _hiera(144, 2, [2, 6, 36, 4], [23, 33, 43], window=16, last=8),
}
"""The published sizes by name (SAM 2 and 2.1 share theirs)."""


@dataclass(frozen=True, eq=False)
class SamPredictor(PromptedSam):
    """Answer clicks with a network of the SAM family. Raises BadClick without a positive click or previous answer."""

    network: Any
    """A `SamModel`, `SamHQModel` or `Sam2Model`."""
    stretch: bool = False
    """Whether the view is stretched to the input square (SAM 2) or padded (SAM, SAM-HQ)."""
    device: str = "cpu"
    """Where the network runs."""
    precision: str = "float32"
    """float32, bfloat16 or float16 arithmetic (autocast) of the image encoder; clicks are answered in float32."""
    level: str = BEST
    """Which of the first answer's masks is taken, see `LEVELS`."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BadConfig(f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}: choose one of them.")
        self.network.to(self.device).eval()

    @property
    def side(self) -> int:
        """Side of the input square in pixels."""
        side = self.network.config.prompt_encoder_config.image_size
        return int(side if isinstance(side, int) else side[0])

    def features(self, square: NDArray[np.float32]) -> SamFeatures:
        """The image encoder on (1, 3, S, S) in 0…1."""
        with torch.inference_mode(), self._arithmetic():
            image = normalise(torch.from_numpy(square).to(self.device))
            return SamFeatures(kept_features(self.network, image))

    def masks(
        self,
        kept: SamFeatures,
        points: NDArray[np.float32],
        labels: NDArray[np.int64],
        mask: NDArray[np.float32] | None,
        several: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The mask decoder, see `PromptedSam`."""
        with torch.inference_mode():
            places, kinds = (torch.from_numpy(part).to(self.device)[None, None] for part in (points, labels))
            prompt = None if mask is None else torch.from_numpy(mask).to(self.device)[None, None]
            answer = decoded(self.network, kept.tensors, places, kinds, prompt, several)
        return answer.pred_masks[0, 0].float().cpu().numpy(), answer.iou_scores[0, 0].float().cpu().numpy()

    def _arithmetic(self) -> torch.autocast:
        kind = PRECISIONS[self.precision]
        return torch.autocast(self.device.split(":")[0], dtype=kind or torch.bfloat16, enabled=kind is not None)


@dataclass(frozen=True, eq=False)
class SamFeatures:
    """What the mask decoder reads of a view, by the name of the network's argument."""

    tensors: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(part.nbytes for value in self.tensors.values() for part in tensors_in(value))


def decoded(
    network: Any, kept: Mapping[str, Any], points: torch.Tensor, labels: torch.Tensor, mask: Any, several: bool
) -> Any:
    """What the mask decoder answers: points (B, 1, P, 2), labels (B, 1, P), mask prompts (B, 1, S/4, S/4) or None.

    The corners of a box stand last in every row or in none. `pred_masks` (B, 1, M, h, w), `iou_scores` (B, 1, M).
    """
    said = {"input_points": points, "input_labels": labels}
    if CORNERS[1] in labels and not isinstance(network, EfficientSam):  # which takes them for points
        said = {"input_boxes": points[:, 0, -2:].reshape(len(points), 1, 4)}
        if points.shape[2] > 2:
            said |= {"input_points": points[:, :, :-2], "input_labels": labels[:, :, :-2]}
    return network(**kept, **said, input_masks=mask, multimask_output=several)


def kept_features(network: Any, image: torch.Tensor) -> dict[str, Any]:
    """The image encoder on (1, 3, S, S), normalised → float32 arguments of the network by name."""
    features = network.get_image_embeddings(image)
    if isinstance(features, tuple):  # SAM-HQ
        kept = {"image_embeddings": features[0], "intermediate_embeddings": features[1]}
    else:
        kept = {"image_embeddings": features}
    return {name: _floats(value) for name, value in kept.items()}


def tensors_in(value: Any) -> list[torch.Tensor]:
    """A tensor, or a list of them, as a list."""
    return [value] if isinstance(value, torch.Tensor) else [part for item in value for part in tensors_in(item)]


def _floats(value: Any) -> Any:
    """Tensors, or lists of them, in float32."""
    return value.float() if isinstance(value, torch.Tensor) else [_floats(part) for part in value]


def load_sam(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    device: str = "cpu",
    precision: str = "float32",
    level: str = BEST,
) -> SamPredictor:
    """A predictor of the SAM family: `weights` a published file or a folder of `transformers`, or `random` a seed.

    `config` (of `transformers`) replaces the published size. Raises BadWeights without either, or when the folder does
    not fit; MissingExtra without `transformers`.
    """
    size = SAM[name]
    if weights is None and random is None:
        raise BadWeights(
            f"{name} needs weights, which are not shipped: download the published file, or its folder in the "
            f"transformers layout, and give its path (--weights PATH, or load({name!r}, weights=PATH))."
        )
    if weights is not None and Path(weights).is_file():
        network = read_file(name, Path(weights), config)
    elif weights is not None:
        network = _read(_kind(name, size), name, size, Path(weights), config is None)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random or 0))
            network = fresh(name, size, config)
            _stir(network)
    return SamPredictor(network, size.stretch, device, precision, level)


def _kind(name: str, size: SamSize) -> Any:
    """The class of `transformers`. Raises BadWeights for networks that have no folder in its layout, MissingExtra."""
    if not size.kinds:
        raise BadWeights(f"{name} has no folder in the transformers layout: give the file that its authors published.")
    with require_extra("sam"):
        import transformers
    return getattr(transformers, size.network)


def fresh(name: str, size: SamSize, config: Any) -> Any:
    """A network of a size, or of a config of its kind, with the weights it starts with."""
    if size.network == "EfficientSam":
        return EfficientSam(config or EfficientSamConfig(**size.vision))
    if name == "mobile-sam":
        with require_extra("sam"):
            import transformers
        small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_dim": 8}
        whole = config or MobileSamConfig(transformers.SamConfig(vision_config=small))
        network = transformers.SamModel(whole.sam)
        network.vision_encoder = TinyVit(whole.encoder)  # type: ignore[assignment]
        return network
    kind = _kind(name, size)
    return kind(config or _published(kind, size))


def _published(kind: Any, size: SamSize) -> Any:
    """The config of a published size."""
    config = kind.config_class(vision_config=_vision(kind, size))
    if hasattr(config.mask_decoder_config, "vit_dim"):
        config.mask_decoder_config.vit_dim = size.width
    return config


def _vision(kind: Any, size: SamSize) -> dict[str, Any]:
    vision = dict(size.vision)
    if "backbone_config" in vision:
        vision["backbone_config"] = {"model_type": "sam2_hiera_det_model", **vision["backbone_config"]}
        vision["model_type"] = "sam2_vision_model"
    return vision


def _stir(network: Any) -> None:
    """Random weights of a size that keeps signals alive: what an untrained network starts with answers flat."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=float(np.prod(parameter.shape[1:])) ** -0.5)


def read_file(name: str, path: Path, config: Any = None) -> Any:
    """A network from its authors' file, or from what tuning kept; strict. Raises BadWeights."""
    size = SAM[name]
    state: Mapping[str, torch.Tensor] = read_published(path)
    try:
        if any(own.startswith("vision_encoder.") for own in state):  # what tuning kept
            pass
        elif name == "mobile-sam":
            state = mobile_names(state)
        elif size.kinds:
            state = transformers_names(state, size.stretch)
    except BadWeights:
        raise BadWeights(f"{path.name} is no published file of {name}: its image_encoder is missing.") from None
    with torch.random.fork_rng(devices=[]):
        network = fresh(name, size, config)
    fit(network, state, path.name)
    return network


def _read(kind: Any, name: str, size: SamSize, folder: Path, check_width: bool) -> Any:
    """A network from a local folder; strict, safetensors only, offline."""
    if not (folder / "config.json").is_file():
        raise BadWeights(
            f"{folder} is not a folder with a config.json: give the folder of {name} (transformers layout)."
        )
    if not list(folder.glob("*.safetensors")):
        raise BadWeights(
            f"{folder} holds no .safetensors file: download the safetensors of {name}; pickles are not read."
        )
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found, width = described.get("model_type"), _width(described)
    except (OSError, ValueError, AttributeError, TypeError):
        raise BadWeights(f"{folder / 'config.json'} is damaged: download {name} again.") from None
    if found not in size.kinds:
        raise BadWeights(f"{folder} holds a {found} network, not {name}: name the network it was trained as.")
    if check_width and width is not None and width != size.width:
        raise BadWeights(f"{folder} has {width} channels, {name} {size.width}: name the size it was trained as.")
    try:
        network, report = _quietly(
            lambda: kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        )
    except Exception as error:  # transformers and safetensors raise a dozen kinds for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise BadWeights(f"{folder} cannot be read as {name} ({reason}): download it again.") from None
    wrong = {key: sorted(map(str, report[key])) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    complaints = [f"{len(names)} {key.split('_')[0]} ({names[0]}, …)" for key, names in wrong.items() if names]
    if complaints:
        raise BadWeights(f"{folder} does not fit {name}: arrays {'; '.join(complaints)}: download it again.")
    return network


def _width(described: Mapping[str, Any]) -> int | None:
    """Channels of the image encoder that a config.json names, if it does."""
    vision = described.get("vision_config") or {}
    width = (vision.get("backbone_config") or vision).get("hidden_size")
    return None if width is None else int(width)


def _quietly(make: Callable[[], Any]) -> Any:
    """Run `make` without the progress bars and notices of transformers."""
    import transformers

    log = transformers.utils.logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    bars = log.is_progress_bar_enabled()
    log.disable_progress_bar()
    try:
        return make()
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()
