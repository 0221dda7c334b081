"""ViTAE (arXiv 2106.03348): a plain transformer with the inductive bias of convolutions.

Tiny to Small: two reduction cells (a pyramid of dilated convolutions, then Performer attention
beside a convolution branch), a third pyramid, then normal cells at stride 16. Base to Huge: a patch
embedding with a class token, then normal cells. Every normal cell is full attention beside a
convolution branch.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.layers import (
    FullAttention,
    ParallelConvolution,
    PerformerAttention,
    PyramidReduction,
    pad_to_multiple,
    resize_position,
    to_nchw,
    to_nhwc,
)
from mmvsa.registry import MODELS

from .base import Backbone
from .vitaev2 import Cell, drop_path_rates, split_stride

REDUCTIONS = ('performer', 'pyramid', 'patch')
OUT_TYPES = ('featmap', 'avg_featmap')


def _pyramid(
    embed: int, tokens: Sequence[int], depth: int, heads: int, groups: int, mlp_ratio: float = 2.0
) -> dict[str, Any]:
    return dict(
        embed_dims=(64, 64, embed),
        token_dims=tuple(tokens),
        depths=(0, 0, depth),
        num_heads=(1, 1, heads),
        groups=(1, 1, groups),
        reductions=('performer', 'performer', 'pyramid'),
        downsample=(4, 2, 2),
        mlp_ratio=mlp_ratio,
    )


def _patch(dims: int, depth: int, heads: int) -> dict[str, Any]:
    return dict(
        embed_dims=(dims,),
        token_dims=(dims,),
        depths=(depth,),
        num_heads=(heads,),
        groups=(dims // 4,),
        reductions=('patch',),
        downsample=(16,),
        mlp_ratio=4.0,
        class_token=True,
        shallow_pcm=True,
    )


# Sizes: the authors' model file (ViTAE.py of ViTAE-Transformer).
ARCHS: dict[str, dict[str, Any]] = {
    'tiny': _pyramid(128, (64, 64, 256), depth=7, heads=4, groups=64),
    '6m': _pyramid(128, (64, 64, 256), depth=10, heads=4, groups=64),
    '13m': _pyramid(160, (64, 64, 320), depth=11, heads=5, groups=64),
    'small': _pyramid(192, (96, 192, 384), depth=14, heads=6, groups=96, mlp_ratio=3.0),
    'base': _patch(768, 12, 12),
    'large': _patch(1024, 24, 16),
    'huge': _patch(1280, 32, 16),
}
# What an arch may leave out.
ARCH_DEFAULTS: dict[str, Any] = dict(
    kernel_sizes=(7, 3, 3),
    dilations=((1, 2, 3, 4), (1, 2, 3), (1, 2)),
    mlp_ratio=4.0,
    class_token=False,
    shallow_pcm=False,
)
_REQUIRED = (
    'embed_dims',
    'token_dims',
    'depths',
    'num_heads',
    'groups',
    'reductions',
    'downsample',
)
_PER_STAGE = (*_REQUIRED, 'kernel_sizes', 'dilations')


def resolve_arch(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Settings of a named arch or of a dict, complete and checked.

    Raises:
        ValueError: an unknown name or key, a missing key, a per-stage list of the wrong length.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(f'unknown arch {arch!r} of ViTAE; choose one of {sorted(ARCHS)}')
        arch = ARCHS[arch.lower()]
    unknown, missing = set(arch) - {*_REQUIRED, *ARCH_DEFAULTS}, set(_REQUIRED) - set(arch)
    if unknown or missing:
        raise ValueError(
            f'an arch dict needs the keys {list(_REQUIRED)} and may have {list(ARCH_DEFAULTS)}; '
            f'unknown: {sorted(unknown)}, missing: {sorted(missing)}'
        )
    settings = {**ARCH_DEFAULTS, **arch}
    stages = len(settings['depths'])
    for key in _PER_STAGE:
        if key not in arch:
            settings[key] = settings[key][:stages]
        if len(settings[key]) != stages:
            raise ValueError(
                f'{key} has {len(settings[key])} entries for {stages} stages: {settings[key]}'
            )
    _check_reductions(settings)
    return settings


def _check_reductions(settings: dict[str, Any]) -> None:
    for kind in settings['reductions']:
        if kind not in REDUCTIONS:
            raise ValueError(f'unknown reduction {kind!r}; choose one of {REDUCTIONS}')
    for i, kind in enumerate(settings['reductions']):
        if kind == 'pyramid':
            width = settings['embed_dims'][i] * len(settings['dilations'][i])
            if width != settings['token_dims'][i]:
                raise ValueError(
                    f'the pyramid of stage {i} is {width} wide, '
                    f'token_dims says {settings["token_dims"][i]}'
                )
    if settings['class_token'] and settings['reductions'] != ('patch',):
        raise ValueError("a class token needs one stage with the reduction 'patch'")


class PerformerReduction(Cell):
    """Shrinks the map: PRM, then Performer attention + PCM (no shortcut), then MLP."""

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        out_dims: int,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
        groups: int,
        drop_rate: float,
    ) -> None:
        dims = embed_dims * len(dilations)
        attention = PerformerAttention(dims, out_dims, proj_drop=drop_rate)
        super().__init__(dims, out_dims, attention, False, 1.0, drop_rate, 0.0, norm_eps=1e-5)
        self.stride = stride
        self.prm = PyramidReduction(in_channels, embed_dims, stride, kernel_size, dilations)
        self.pcm = ParallelConvolution(
            (in_channels, embed_dims, embed_dims, out_dims),
            split_stride(stride),
            groups,
            norms=(False, True, False),
            last_activation=True,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        x = pad_to_multiple(x, self.stride)
        return self.feed_forward(self.attend(to_nhwc(self.prm(x))) + to_nhwc(self.pcm(x)))


class PyramidOnly(nn.Module):
    """Shrinks the map by a PRM alone (the authors' ``performer_less``)."""

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
    ) -> None:
        super().__init__()
        self.stride = stride
        self.prm = PyramidReduction(in_channels, embed_dims, stride, kernel_size, dilations)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        return to_nhwc(self.prm(pad_to_multiple(x, self.stride)))


class PatchReduction(nn.Module):
    """Shrinks the map by one convolution of patches."""

    def __init__(self, in_channels: int, out_dims: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.projection = nn.Conv2d(in_channels, out_dims, stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        return to_nhwc(self.projection(pad_to_multiple(x, self.stride)))


class TokenCell(Cell):
    """x + attention(x) + PCM(x), then MLP; of tokens that may begin with a class token.

    The class token takes part in the attention and the MLP, not in the convolutions.
    """

    def __init__(
        self,
        dims: int,
        groups: int,
        attention: FullAttention,
        shallow_pcm: bool,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
    ) -> None:
        super().__init__(
            dims, dims, attention, False, mlp_ratio, drop_rate, drop_path, norm_eps=1e-6
        )
        hidden = int(dims * mlp_ratio)
        if shallow_pcm:
            self.pcm = ParallelConvolution((dims, hidden, dims), (1, 1), groups)
        else:
            self.pcm = ParallelConvolution(
                (dims, hidden, dims, dims), groups=groups, last_activation=True
            )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, E + H*W, C) of a map of ``size`` (H, W) -> the same shape."""
        extra = x.shape[1] - size[0] * size[1]
        image = to_nchw(x[:, extra:].unflatten(1, size))
        convolved = self.drop_path(to_nhwc(self.pcm(image)).flatten(1, 2))
        x = x + self.drop_path(self.attend(x.unsqueeze(1)).squeeze(1))
        x = torch.cat((x[:, :extra], x[:, extra:] + convolved), 1)
        return self.feed_forward(x)


class _Stage(nn.Module):
    def __init__(self, reduction: nn.Module, blocks: Sequence[TokenCell]) -> None:
        super().__init__()
        self.reduction = reduction
        self.blocks = ModuleList(blocks)


@MODELS.register_module()
class ViTAE(Backbone):
    """ViTAE of 2021.

    Args:
        arch: a name of :data:`ARCHS`, or a dict with ``embed_dims``, ``token_dims``, ``depths``,
            ``num_heads``, ``groups``, ``reductions`` (of :data:`REDUCTIONS`) and ``downsample``
            per stage and any of :data:`ARCH_DEFAULTS`.
        out_indices: stages whose maps are returned; the archs with a class token have one stage.
        out_type: ``'featmap'`` (maps) or ``'avg_featmap'`` (their means, (B, C); with a class
            token through the final layer norm, as the authors' classifiers have it).
        img_size: image for which position embeddings are kept; others get interpolated ones.
        qkv_bias: bias of the projections of q, k and v.
        drop_rate: dropout after projections and in MLPs of normal cells.
        attn_drop_rate: dropout of attention weights.
        performer_drop_rate: dropout after projections and in MLPs of reduction cells.
        drop_path_rate: largest drop-path rate; it rises linearly over all normal cells.
        options: in_channels, frozen_stages, norm_eval, with_cp, keep_activations and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)) or
    of (B, C_i).
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 'small',
        out_indices: Sequence[int] = (-1,),
        out_type: str = 'featmap',
        img_size: int = 224,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        performer_drop_rate: float = 0.1,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        settings = resolve_arch(arch)
        depths = settings['depths']
        super().__init__(len(depths), out_indices, **options)
        if out_type not in OUT_TYPES:
            raise ValueError(f'out_type must be one of {OUT_TYPES}, got {out_type!r}')
        self.arch_settings, self.out_type = settings, out_type
        self.drop_rate, self.performer_drop_rate = drop_rate, performer_drop_rate
        self._attention_options = dict(
            qkv_bias=qkv_bias, attn_drop=attn_drop_rate, proj_drop=drop_rate
        )
        self.stages = ModuleList()
        rates = drop_path_rates(drop_path_rate, depths, 'cumulative')
        channels = self.in_channels
        for index in range(len(depths)):
            reduction = self._reduction(index, channels)
            self.stages.append(_Stage(reduction, self._blocks(index, rates[index])))
            channels = settings['token_dims'][index]
        self.out_channels = tuple(settings['token_dims'][index] for index in self.out_indices)
        self.cls_token: nn.Parameter | None = None
        self.fc_norm: nn.Module | None = None
        if settings['class_token']:
            self._add_class_token(channels, img_size)

    def _add_class_token(self, dims: int, img_size: int) -> None:
        side = -(-img_size // self.arch_settings['downsample'][0])
        self.position_size = (side, side)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, 1, dims), std=0.02))
        position = torch.zeros(1, side * side + 1, dims)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(position, std=0.02))
        if self.out_type == 'avg_featmap':
            self.fc_norm = nn.LayerNorm(dims, eps=1e-6)

    def _reduction(self, index: int, in_channels: int) -> nn.Module:
        settings = self.arch_settings
        embed_dims, dims = settings['embed_dims'][index], settings['token_dims'][index]
        stride, kernel = settings['downsample'][index], settings['kernel_sizes'][index]
        dilations, kind = settings['dilations'][index], settings['reductions'][index]
        if kind == 'patch':
            return PatchReduction(in_channels, dims, stride)
        if kind == 'pyramid':
            return PyramidOnly(in_channels, embed_dims, stride, kernel, dilations)
        # The authors' convolutions of reduction cells have one group in every size.
        return PerformerReduction(
            in_channels,
            embed_dims,
            dims,
            stride,
            kernel,
            dilations,
            1,
            self.performer_drop_rate,
        )

    def _blocks(self, index: int, rates: Sequence[float]) -> list[TokenCell]:
        settings = self.arch_settings
        dims, heads = settings['token_dims'][index], settings['num_heads'][index]
        return [
            TokenCell(
                dims,
                settings['groups'][index],
                FullAttention(dims, heads, **self._attention_options),  # type: ignore[arg-type]
                settings['shallow_pcm'],
                settings['mlp_ratio'],
                self.drop_rate,
                rate,
            )
            for rate in rates
        ]

    def train(self, mode: bool = True) -> 'ViTAE':
        super().train(mode)
        if self.cls_token is not None and self.frozen_stages > 0:
            self.cls_token.requires_grad_(False)
            self.pos_embed.requires_grad_(False)
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> one (B, C, H', W') or (B, C) for each of ``out_indices``."""
        self.check_input(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = self.run_cell(stage.reduction, x)  # (B, H, W, C)
            size = (x.shape[1], x.shape[2])
            tokens = self._embed(x.flatten(1, 2), size)
            for block in stage.blocks:
                tokens = self.run_cell(functools.partial(block, size=size), tokens)
            tokens = tokens[:, -size[0] * size[1] :]  # without the class token
            x = to_nchw(tokens.unflatten(1, size))
            if index in self.out_indices:
                outputs.append(self._output(x))
        return tuple(outputs)

    def _embed(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, H*W, C) -> (B, E + H*W, C) with class token and positions, if the arch has them."""
        if self.cls_token is None:
            return tokens
        tokens = torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), 1)
        return tokens + resize_position(self.pos_embed, self.position_size, size)

    def _output(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same in plain memory, or (B, C)."""
        if self.out_type == 'featmap':
            return x.contiguous()
        mean = x.mean((2, 3))
        return mean if self.fc_norm is None else self.fc_norm(mean)


# Names of mmvsa.get_model and their backbones; with a class token, the final norm follows the mean.
MODELS_BY_NAME = {
    f'vitae-{arch}': dict(
        type='mmvsa.ViTAE',
        arch=arch,
        out_type='avg_featmap' if settings.get('class_token') else 'featmap',
    )
    for arch, settings in ARCHS.items()
}
