"""Decoders of trimap-free matting: a glance at the classes, a focus on the transition."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmvsa.models.backbones.pooling_vitae import PooledFeatures
from mmvsa.registry import MODELS

from .integration import (
    DeepIntegration,
    ShallowIntegration,
    TripartiteIntegration,
    fuse,
    unpool,
    upsample,
)
from .losses import alpha_loss, composition_loss, laplacian_loss

LOSS_WEIGHTS = dict(glance=1.0, focus=2.0, fused=3.0, composition=1.0)


class MatteOutputs(NamedTuple):
    """What a matting network says of images (B, 3, H, W).

    Attributes:
        glance: Logits (B, 3, H, W) of background, transition and foreground.
        focus: Alpha (B, 1, H, W) that is meant for the transition.
        fused: Alpha (B, 1, H, W).
        sides: More glance logits of the same shape, for training.
    """

    glance: Tensor
    focus: Tensor
    fused: Tensor
    sides: tuple[Tensor, ...] = ()

    def crop(self, height: int, width: int) -> 'MatteOutputs':
        """Return the upper left part of every map."""
        glance, focus, fused = (x[..., :height, :width] for x in self[:3])
        return MatteOutputs(glance, focus, fused, tuple(x[..., :height, :width] for x in self[3]))


class MattingHead(BaseModule):
    """What heads of matting networks share: the outputs and the losses of P3M-Net.

    Args:
        loss_weights: Of ``glance``, ``focus``, ``fused`` and ``composition``; those not named
            are :data:`LOSS_WEIGHTS`. A composition loss needs foregrounds in the dataset.
        init_cfg: MMEngine's.
    """

    pooled = False  # takes PooledFeatures instead of a tuple of maps

    def __init__(
        self, loss_weights: Mapping[str, float] | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.loss_weights = {**LOSS_WEIGHTS, **(loss_weights or {})}
        if self.loss_weights.keys() != LOSS_WEIGHTS.keys():
            raise ValueError(f'loss_weights may name {list(LOSS_WEIGHTS)}, got {loss_weights}')

    @staticmethod
    def finish(glance: Tensor, focus: Tensor, sides: Sequence[Tensor] = ()) -> MatteOutputs:
        """Return the outputs, in float32 at least, from the logits of both decoders."""
        glance, focus, *rest = (
            x.to(torch.promote_types(x.dtype, torch.float32)) for x in (glance, focus, *sides)
        )
        alpha = focus.sigmoid()
        return MatteOutputs(glance, alpha, fuse(glance, alpha), tuple(rest))

    def loss(
        self, outputs: MatteOutputs, images: Tensor, data_samples: Sequence[BaseDataElement]
    ) -> dict[str, Tensor]:
        """Return the weighted losses of P3M-Net.

        Args:
            outputs: Of this head.
            images: (B, 3, H, W), normalized as the samples' foregrounds are.
            data_samples: With ``gt_alpha``, ``gt_trimap`` and, for the composition loss,
                ``gt_foreground`` and ``gt_background``.

        Raises:
            ValueError: The composition loss has a weight, and a sample no foreground.
        """
        alpha = torch.stack([s.gt_alpha for s in data_samples]).to(outputs.focus) / 255
        trimap = torch.stack([s.gt_trimap for s in data_samples]).long()
        classes = (trimap + 1) // 128  # 0, 128, 255 -> 0, 1, 2
        transition = (classes == 1).to(alpha)
        sides = [F.cross_entropy(side, classes[:, 0]) for side in outputs.sides]
        glance = (3 * F.cross_entropy(outputs.glance, classes[:, 0]) + sum(sides)) / 6
        focus = alpha_loss(outputs.focus, alpha, transition)
        focus = focus + laplacian_loss(outputs.focus, alpha, transition)
        fused = alpha_loss(outputs.fused, alpha) + laplacian_loss(outputs.fused, alpha)
        losses = dict(glance=glance, focus=focus, fused=fused)
        if self.loss_weights['composition']:
            layers = _foregrounds(data_samples)
            losses['composition'] = composition_loss(outputs.fused, *layers, images)
        return {f'loss_{k}': self.loss_weights[k] * value for k, value in losses.items()}


def _foregrounds(data_samples: Sequence[BaseDataElement]) -> tuple[Tensor, Tensor]:
    for sample in data_samples:
        if 'gt_foreground' not in sample or 'gt_background' not in sample:
            raise ValueError(
                f'the composition loss needs the foreground and background of '
                f'{sample.get("img_path")}; add them to the data_prefix of the dataset, or set '
                'model.decode_head.loss_weights.composition=0'
            )
    return (
        torch.stack([sample.gt_foreground for sample in data_samples]),
        torch.stack([sample.gt_background for sample in data_samples]),
    )


def _block(in_channels: int, out_channels: int, *, depth: int = 3, plain: int = 0) -> nn.Sequential:
    """Build ``depth`` 3x3 convolutions, all but the last ``plain`` with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Conv2d(out_channels if i else in_channels, out_channels, 3, padding=1))
        if i < depth - plain:
            layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


@MODELS.register_module()
class P3MHead(MattingHead):
    """The decoders of P3M-Net, on an encoder that keeps the indices of its poolings.

    Args:
        in_channels: Of the encoder's four stages; all other widths follow.
        loss_weights: Those of :class:`MattingHead`.
        init_cfg: MMEngine's.
    """

    pooled = True

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512),
        loss_weights: Mapping[str, float] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(loss_weights, init_cfg)
        a, b, c, d = self.in_channels = tuple(in_channels)
        ends = ((d, c), (c, b), (b, a), (a, a))
        self.glance = ModuleList([*(_block(*end) for end in ends), _block(a, a // 2, plain=1)])
        self.glance_logits = nn.Conv2d(a // 2, 3, 3, padding=1)
        self.focus = ModuleList([*(_block(*end) for end in ends), _block(a, a // 2, depth=2)])
        self.focus_logits = nn.Conv2d(a // 2, 1, 3, padding=1)
        self.tfi = ModuleList(TripartiteIntegration(width) for width in (c, b, a, a))
        strides = ((b, 8), (a, 4), (a, 2))
        self.sbfi = ModuleList(ShallowIntegration(w, a // 2, stride=s) for w, s in strides)
        self.dbfi = ModuleList(DeepIntegration(w, d, stride=s) for w, s in strides)

    def forward(self, images: Tensor, features: PooledFeatures) -> MatteOutputs:
        """Decode the features of images whose sides are multiples of 32."""
        maps, indices = features
        x, levels, sides = maps[-1], [], []
        for i, block in enumerate(self.glance[:4]):
            x = upsample(block(x), 2)
            levels.append(x)
            if i:
                x, side = self.dbfi[i - 1](x, maps[-1])
                sides.append(side)
        glance = self.glance_logits(upsample(self.glance[4](x), 2))
        x = maps[-1]
        for i, block in enumerate(self.focus[:4]):
            x = self.tfi[i](levels[i], unpool(block(x), indices[4 - i]), maps[4 - i])
            if i:
                x = self.sbfi[i - 1](x, maps[0])
        focus = self.focus_logits(unpool(self.focus[4](x), indices[0]))
        return self.finish(glance, focus, sides)


class _UDecoder(nn.Module):
    """Upsample, concatenate the next map, convolve; up to the full size."""

    def __init__(self, widths: Sequence[int], out_channels: int) -> None:
        super().__init__()
        ends = zip(widths[:0:-1], widths[-2::-1], strict=True)  # from the deepest
        self.blocks = ModuleList(_block(deep + skip, skip, depth=2) for deep, skip in ends)
        self.logits = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = maps[-1]
        for block, skip in zip(self.blocks, maps[-2::-1], strict=True):
            x = F.interpolate(x, skip.shape[-2:], mode='bilinear', align_corners=False)
            x = block(torch.cat((x, skip), 1))
        return self.logits(x)


@MODELS.register_module()
class UNetMattingHead(MattingHead):
    """Two U-shaped decoders, glance and focus, on the maps of any backbone.

    Two convolutions of the image stand for the strides 1 and 2, which backbones do not return.

    Args:
        in_channels: Of the backbone's maps, the finest first; the decoders have these widths.
        loss_weights: Those of :class:`MattingHead`.
        init_cfg: MMEngine's.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        loss_weights: Mapping[str, float] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(loss_weights, init_cfg)
        self.in_channels = tuple(in_channels)
        width = max(in_channels[0] // 2, 8)
        self.detail = _block(3, width, depth=2)
        self.detail_half = _block(width, width, depth=2)
        widths = (width, width, *in_channels)
        self.glance, self.focus = _UDecoder(widths, 3), _UDecoder(widths, 1)

    def forward(self, images: Tensor, features: Sequence[Tensor]) -> MatteOutputs:
        """Decode the maps of images of any size."""
        detail = self.detail(images)
        maps = (detail, self.detail_half(F.max_pool2d(detail, 2, ceil_mode=True)), *features)
        return self.finish(self.glance(maps), self.focus(maps))
