"""A network of the SAM family as it is tuned: the image encoder stays as published, the mask decoder learns.

The prompt encoder may learn, too. What is kept is one file under the names of `transformers`, which `load` and
`terraclick models add` read like the published one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import normalise
from terraclick.errors import BadConfig, require_extra
from terraclick.files import replace_whole, writing
from terraclick.networks.checkpoint import weights_name
from terraclick.networks.sam.network import SAM, decoded, fresh, kept_features, read_file
from terraclick.networks.sam.prompted import CORNERS, END

__all__ = ["TUNED", "SamTuning", "TunedSam"]


@dataclass(frozen=True)
class SamTuning:
    """Which network is tuned, and what of it beside the mask decoder."""

    size: str = "sam-vit-b"
    """Its name, as in `load`."""
    prompts: bool = False
    """Whether the prompt encoder learns, too."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Other sizes than the published ones, as the network's config in `transformers` takes them."""


class TunedSam(nn.Module):
    """The network, asked for batches. Raises BadConfig for a name that is none of the family's, MissingExtra."""

    def __init__(self, config: SamTuning) -> None:
        super().__init__()
        if config.size not in SAM:
            raise BadConfig(f"size {config.size!r} is none of SAM's networks: choose one of {', '.join(SAM)}.")
        self.config = config
        self.network = fresh(config.size, SAM[config.size], self.own_config())

    def own_config(self) -> Any:
        """The network's config where it has other sizes than published; None otherwise."""
        if not self.config.sizes:
            return None
        with require_extra("sam"):
            import transformers
        return getattr(transformers, SAM[self.config.size].network).config_class(**self.config.sizes)

    def mask_decoder_parts(self) -> Sequence[nn.Module]:
        """What learns; the frequencies of positions never do, they are drawn once."""
        parts: list[nn.Module] = [self.network.mask_decoder]
        if self.config.prompts:
            children = self.network.prompt_encoder.named_children()
            parts += [child for name, child in children if name != "shared_embedding"]
        return parts

    @property
    def side(self) -> int:
        """Side of the input square in pixels."""
        side = self.network.config.prompt_encoder_config.image_size
        return int(side if isinstance(side, int) else side[0])

    def start(self, path: Path) -> None:
        """Begin with the weights of a published or a kept file. Raises BadWeights."""
        self.network.load_state_dict(read_file(self.config.size, path, self.own_config()).state_dict())

    def encode(self, image: Tensor) -> dict[str, Any]:
        """(B, 3, S, S) in 0…1, of whatever side → what the mask decoder reads, without a gradient."""
        with torch.no_grad():
            square = functional.interpolate(image, (self.side, self.side), mode="bilinear", antialias=True)
            return kept_features(self.network, normalise(square))

    def masks(
        self, encoded: Mapping[str, Any], points: Tensor, boxes: Tensor | None, previous: Tensor | None, several: bool
    ) -> tuple[Tensor, Tensor]:
        """points (B, 2P, 3) of row, col, order (the first P include; −1 where empty), boxes (B, 4) of top, left,
        bottom, right, both in pixels of the input square; previous logits (B, 1, h, w) → logits (B, M, h, w), IoU
        (B, M). M is three if `several` are asked for.
        """
        half = points.shape[1] // 2
        kinds = torch.tensor([1] * half + [0] * half, device=points.device).expand(len(points), -1)
        labels = torch.where(points[..., 0] >= 0, kinds, torch.full_like(kinds, END))
        places = points[..., [1, 0]]
        if boxes is not None:
            places = torch.cat([places, boxes[:, [1, 0, 3, 2]].reshape(-1, 2, 2)], dim=1)
            corners = torch.tensor(CORNERS, device=points.device).expand(len(points), -1)
            labels = torch.cat([labels, corners], dim=1)
        answer = decoded(self.network, encoded, places[:, None], labels[:, None], previous, several)
        return answer.pred_masks[:, 0], answer.iou_scores[:, 0]

    def keep(self, stem: Path) -> Path:
        """Write STEM.safetensors, whole or not at all; returns its path. Raises BadOutput."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = weights_name(stem)
        state = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replace_whole(path, errors=(SafetensorError,)) as part:
            save_file(state, part)
        return path


TUNED = TunedSam
"""What training builds of a `SamTuning`."""
