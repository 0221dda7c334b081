"""ViTAE (arXiv 2106.03348): a plain transformer with the inductive bias of convolutions.

Tiny to Small: two reduction cells (a pyramid of dilated convolutions, then Performer attention
parallel to a convolution branch), a third pyramid, then normal cells at stride 16. Base to Huge: a
patch embedding with a class token, then normal cells. Every normal cell is full attention parallel
to a convolution branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import (
    check_bool,
    check_choice,
    check_int,
    check_ints,
    check_number,
    check_rate,
    check_side,
)
from mmvsa.models.layers import (
    ParallelConvolution,
    PatchReduction,
    PerformerAttention,
    PyramidOnly,
    PyramidReduction,
    ReductionCell,
    Stage,
    TokenBlock,
    build_attention,
    resize_position,
    split_stride,
    to_nchw,
)
from mmvsa.registry import MODELS

from .arch import (
    Attentions,
    drop_path_rates,
    modern_options,
    resolve_arch,
    resolve_attentions,
    stage_key,
)
from .base import Backbone, attention_options

REDUCTIONS = ('performer', 'pyramid', 'patch')
OUT_TYPES = ('featmap', 'avg_featmap')


def _pyramid(tokens: Sequence[int], depth: int, **options: Any) -> dict[str, Any]:
    return dict(
        embed_dims=(64, 64, tokens[-1] // 2),
        token_dims=tuple(tokens),
        depths=(0, 0, depth),
        reductions=('performer', 'performer', 'pyramid'),
        downsample=(4, 2, 2),
        **{'mlp_ratio': 2.0, **options},
    )


def _patch(dims: int, depth: int, heads: int) -> dict[str, Any]:
    return dict(
        token_dims=(dims,),
        depths=(depth,),
        num_heads=(heads,),
        groups=(dims // 4,),
        reductions=('patch',),
        downsample=(16,),
        class_token=True,
        shallow_pcm=True,
    )


# Sizes: the official model file (ViTAE.py of ViTAE-Transformer).
ARCHS: dict[str, dict[str, Any]] = {
    'tiny': _pyramid((64, 64, 256), 7, num_heads=4, groups=64),
    '6m': _pyramid((64, 64, 256), 10, num_heads=4, groups=64),
    '13m': _pyramid((64, 64, 320), 11, num_heads=5, groups=64),
    'small': _pyramid((96, 192, 384), 14, num_heads=6, groups=96, mlp_ratio=3.0),
    'base': _patch(768, 12, 12),
    'large': _patch(1024, 24, 16),
    'huge': _patch(1280, 32, 16),
}


def _by_name(arch: str) -> dict[str, Any]:
    # The archs with a class token normalize the mean of the tokens.
    out_type = 'avg_featmap' if ARCHS[arch].get('class_token') else 'featmap'
    return dict(type='mmvsa.ViTAE', arch=arch, out_type=out_type)


MODELS_BY_NAME = {f'vitae-{arch}': _by_name(arch) for arch in ARCHS}


def _has_blocks(stage: 'ViTAEStage') -> bool:
    return stage.depth > 0


def _has_pyramid(stage: 'ViTAEStage') -> bool:
    return stage.reduction != 'patch'


@dataclass(frozen=True)
class ViTAEStage:
    """One stage of ViTAE; most keys of arch dicts are in the plural."""

    token_dims: int = stage_key('token_dims', check_int)
    depth: int = stage_key('depths', lambda name, value: check_int(name, value, minimum=0))
    num_heads: int = stage_key('num_heads', check_int, used=_has_blocks)
    groups: int = stage_key('groups', check_int, used=_has_blocks)
    reduction: str = stage_key('reductions', lambda n, v: check_choice(n, v, REDUCTIONS))
    downsample: int = stage_key('downsample', check_int)
    embed_dims: int | None = stage_key(
        'embed_dims',
        lambda name, value: None if value is None else check_int(name, value),
        default=None,
    )
    attention: Any = stage_key(
        'attention', lambda n, value: value, default='full', used=_has_blocks
    )
    kernel_size: int = stage_key('kernel_sizes', check_int, default=(7, 3, 3), used=_has_pyramid)
    dilations: tuple[int, ...] = stage_key(
        'dilations',
        check_ints,
        default=((1, 2, 3, 4), (1, 2, 3), (1, 2)),
        sequence=True,
        used=_has_pyramid,
    )
    window_size: int = stage_key('window_size', check_int, default=7, used=_has_blocks)
    mlp_ratio: float = stage_key('mlp_ratio', check_number, default=4.0, used=_has_blocks)
    class_token: bool = stage_key('class_token', check_bool, default=False)
    shallow_pcm: bool = stage_key('shallow_pcm', check_bool, default=False, used=_has_blocks)


@MODELS.register_module()
class ViTAE(Backbone):
    """ViTAE of 2021.

    Args:
        arch: A name of :data:`ARCHS`, or a dict with the keys of :class:`ViTAEStage`, each a tuple
            of one value per stage or one value for all.
        out_indices: Stages whose maps are returned; the archs with a class token have one stage.
        attention: Attention of the normal cells instead of the arch's, see
            :class:`~mmvsa.models.backbones.vitaev2.ViTAEv2`. A class token takes part in full
            attention only.
        out_type: ``'featmap'`` (maps) or ``'avg_featmap'`` (their means, (B, C); with a class
            token through the final layer norm, as the official classifiers have it).
        img_size: Image for which position embeddings are kept (those of archs with a class token);
            others get interpolated ones.
        qkv_bias: Bias of the projections of q, k and v.
        drop_rate: Dropout rate after projections and in MLPs of normal cells.
        attn_drop_rate: Dropout rate of attention weights.
        performer_drop_rate: Dropout rate after projections and in MLPs of reduction cells, 0.1 by
            default; only archs with a performer have it.
        drop_path_rate: Largest drop-path rate; it rises linearly over all normal cells.
        options: in_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)) or
    of (B, C_i).
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 'small',
        out_indices: int | Sequence[int] = (-1,),
        *,
        attention: Attentions = None,
        out_type: str = 'featmap',
        img_size: int | tuple[int, int] | None = None,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        performer_drop_rate: float | None = None,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        stages = resolve_arch(arch, ViTAEStage, ARCHS, 'ViTAE')
        _check_stages(stages, img_size, performer_drop_rate)
        attentions = resolve_attentions(attention, [stage.attention for stage in stages])
        options = modern_options(options, attentions)
        super().__init__(len(stages), out_indices, **options)
        self.out_type = check_choice('out_type', out_type, OUT_TYPES)
        self.drop_rate = drop_rate
        self.performer_drop_rate = 0.1 if performer_drop_rate is None else performer_drop_rate
        self._shared = attention_options(
            qkv_bias=qkv_bias, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate
        )
        self.stages = ModuleList()
        rates = drop_path_rates(drop_path_rate, [stage.depth for stage in stages])
        channels = self.in_channels
        for index, stage in enumerate(stages[: self.num_built_stages]):
            reduction = self._reduction(stage, channels)
            blocks = [self._block(stage, attentions[index], rate) for rate in rates[index]]
            self.stages.append(Stage(reduction, blocks))
            channels = stage.token_dims
        self.out_channels = tuple(stages[index].token_dims for index in self.out_indices)
        self.cls_token: nn.Parameter | None = None
        self.fc_norm: nn.Module | None = None
        if stages[0].class_token:
            self._add_class_token(stages[0], 224 if img_size is None else img_size)
        self.freeze_stages()

    def _add_class_token(self, stage: ViTAEStage, img_size: int | tuple[int, int]) -> None:
        dims, side = stage.token_dims, -(-check_side('img_size', img_size) // stage.downsample)
        self.position_size = (side, side)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, 1, dims), std=0.02))
        position = torch.zeros(1, side * side + 1, dims)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(position, std=0.02))
        if self.out_type == 'avg_featmap':
            self.fc_norm = nn.LayerNorm(dims, eps=1e-6)

    def _reduction(self, stage: ViTAEStage, in_channels: int) -> nn.Module:
        stride, dims = stage.downsample, stage.token_dims
        if stage.reduction == 'patch':
            return PatchReduction(in_channels, dims, stride=stride)
        embed_dims = stage.embed_dims
        assert embed_dims is not None  # checked with the stages
        pyramid = PyramidReduction(
            in_channels,
            embed_dims,
            stride=stride,
            kernel_size=stage.kernel_size,
            dilations=stage.dilations,
        )
        if stage.reduction == 'pyramid':
            return PyramidOnly(pyramid, stride=stride)
        attention = PerformerAttention(
            pyramid.out_channels, dims, proj_drop=self.performer_drop_rate
        )
        convolution = ParallelConvolution(
            (in_channels, embed_dims, embed_dims, dims),
            strides=split_stride(stride),
            norms=(False, True, False),
            last_activation=True,
        )
        return ReductionCell(
            attention, pyramid, convolution, stride=stride, drop=self.performer_drop_rate
        )

    def _block(self, stage: ViTAEStage, config: dict[str, Any], drop_path: float) -> TokenBlock:
        dims, hidden = stage.token_dims, int(stage.token_dims * stage.mlp_ratio)
        attention = build_attention(
            config, dims, stage.num_heads, window_size=stage.window_size, **self._shared
        )
        shallow = stage.shallow_pcm
        convolution = ParallelConvolution(
            (dims, hidden, dims) if shallow else (dims, hidden, dims, dims),
            strides=(1, 1) if shallow else (1, 1, 1),
            groups=stage.groups,
            last_activation=not shallow,
        )
        return TokenBlock(
            attention,
            convolution=convolution,
            mlp_ratio=stage.mlp_ratio,
            drop=self.drop_rate,
            drop_path=drop_path,
        )

    def layer_modules(self) -> list[nn.Module]:
        """Return the reduction cells and the normal cells."""
        return [cell for stage in self.stages for cell in (stage.reduction, *stage.blocks)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to one (B, C, H', W') or (B, C) for each of ``out_indices``."""
        self.check_input(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = self.run_cell(stage.reduction, x)  # (B, H, W, C)
            size = (x.shape[1], x.shape[2])
            tokens = self._embed(x.flatten(1, 2), size)
            for block in stage.blocks:
                tokens = self.run_cell(block, tokens, size)
            tokens = tokens[:, -size[0] * size[1] :]  # without the class token
            x = to_nchw(tokens.unflatten(1, size))
            if index in self.out_indices:
                outputs.append(self._output(x))
        return tuple(outputs)

    def _embed(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Add class token and positions, if the arch has them: (B, H*W, C) -> (B, E + H*W, C)."""
        if self.cls_token is None:
            return tokens
        tokens = torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), 1)
        return tokens + resize_position(self.pos_embed, self.position_size, size)

    def _output(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) in plain memory, or its mean (B, C)."""
        if self.out_type == 'featmap':
            return x.contiguous()
        mean = x.mean((2, 3))
        return mean if self.fc_norm is None else self.fc_norm(mean)


def _check_stages(
    stages: Sequence[ViTAEStage],
    img_size: int | tuple[int, int] | None,
    performer_drop_rate: float | None,
) -> None:
    """Raise ValueError for settings that contradict each other or change nothing."""
    for i, stage in enumerate(stages):
        if stage.reduction == 'patch':
            width = stage.token_dims if stage.embed_dims is None else stage.embed_dims
        elif stage.embed_dims is None:
            raise ValueError(f'embed_dims[{i}] is missing for the reduction {stage.reduction!r}')
        elif stage.reduction == 'pyramid':
            width = stage.embed_dims * len(stage.dilations)
        else:
            continue
        if width != stage.token_dims:
            raise ValueError(
                f'embed_dims: the reduction {stage.reduction!r} of stage {i} is {width} wide, '
                f'token_dims says {stage.token_dims}'
            )
    class_token = stages[0].class_token
    if class_token and [stage.reduction for stage in stages] != ['patch']:
        raise ValueError("class_token needs one stage with the reduction 'patch'")
    if img_size is not None and not class_token:
        raise ValueError('img_size changes nothing without a class token and its positions')
    if performer_drop_rate is not None:
        check_rate('performer_drop_rate', performer_drop_rate)
        if all(stage.reduction != 'performer' for stage in stages):
            raise ValueError('performer_drop_rate changes nothing in an arch without a performer')
