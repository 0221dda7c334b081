"""ViTAEv2 (arXiv 2202.10108) with the attention of every stage chosen by config.

Four stages, strides 4, 8, 16 and 32. A stage is a reduction cell (a pyramid of dilated
convolutions, then attention parallel to a convolution branch) and normal cells (attention parallel
to a convolution branch). Maps are channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_int, check_ints, check_number
from mmvsa.models.layers import (
    Block,
    ParallelConvolution,
    PyramidReduction,
    ReductionCell,
    Stage,
    build_attention,
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


def _arch(embed: Sequence[int], width: int, depth: int, **options: Any) -> dict[str, Any]:
    return dict(
        embed_dims=tuple(embed),
        token_dims=tuple(width * 2**i for i in range(4)),
        depths=(2, 2, depth, 2),
        **options,
    )


_S, _48M, _B = (64, 64, 128, 256), (96, 96, 192, 384), (128, 128, 256, 512)
_S_HEADS = dict(num_heads=(1, 2, 4, 8), rc_heads=(1, 1, 2, 4))
_PLAIN = dict(attention=('window', 'window', 'full', 'full'))
_VSA = dict(attention=('vsa',) * 4)
_WIDE_VSA = dict(**_VSA, wide_pcm=True)

# Sizes: the official model files (ViTAEv2.py of ViTAE-Transformer, models.py of ViTAE-VSA).
ARCHS: dict[str, dict[str, Any]] = {
    's': _arch(_S, 64, 8, **_S_HEADS, **_PLAIN),
    '48m': _arch((64, 64, 192, 384), 96, 11, **_S_HEADS, **_PLAIN),
    'b': _arch(
        (96, 96, 256, 512), 128, 12, num_heads=(1, 4, 8, 16), rc_heads=(1, 1, 4, 8), **_PLAIN
    ),
    # ViTAEv2*-S of the papers: window attention in all four stages.
    's-window': _arch(_S, 64, 8, **_S_HEADS, attention=('window',) * 4),
    's-vsa': _arch(_S, 64, 8, num_heads=(2, 4, 8, 16), rc_heads=(2, 2, 4, 8), **_VSA),
    's-vsa-widepcm': _arch(_S, 64, 8, num_heads=(2, 4, 8, 16), rc_heads=(2, 4, 8, 16), **_WIDE_VSA),
    '48m-vsa': _arch(_48M, 96, 11, num_heads=(3, 6, 12, 24), rc_heads=(3, 6, 12, 24), **_WIDE_VSA),
    'b-vsa': _arch(_B, 128, 12, num_heads=(4, 8, 16, 32), rc_heads=(4, 8, 16, 32), **_WIDE_VSA),
}
ARCHS['b-vsa-ws12'] = dict(ARCHS['b-vsa'], window_size=12)

MODELS_BY_NAME = {f'vitaev2-{arch}': dict(type='mmvsa.ViTAEv2', arch=arch) for arch in ARCHS}


def _has_blocks(stage: 'ViTAEv2Stage') -> bool:
    return stage.depth > 0


@dataclass(frozen=True)
class ViTAEv2Stage:
    """One stage of ViTAEv2; the keys of arch dicts are in the plural."""

    embed_dims: int = stage_key('embed_dims', check_int)
    token_dims: int = stage_key('token_dims', check_int)
    depth: int = stage_key('depths', lambda name, value: check_int(name, value, minimum=0))
    num_heads: int = stage_key('num_heads', check_int, used=_has_blocks)
    rc_heads: int = stage_key('rc_heads', check_int)
    attention: Any = stage_key('attention', lambda name, value: value)
    reduction_attention: Any = stage_key(
        'reduction_attention', lambda name, value: value, default=None
    )
    downsample: int = stage_key('downsample', check_int, default=(4, 2, 2, 2))
    kernel_size: int = stage_key('kernel_sizes', check_int, default=(7, 3, 3, 3))
    dilations: tuple[int, ...] = stage_key(
        'dilations', check_ints, default=((1, 2, 3, 4), (1, 2, 3), (1, 2), (1, 2)), sequence=True
    )
    nc_groups: int = stage_key('nc_groups', check_int, default=(1, 32, 64, 128), used=_has_blocks)
    rc_groups: int = stage_key('rc_groups', check_int, default=(1, 16, 32, 64))
    window_size: int = stage_key('window_size', check_int, default=7)
    wide_pcm: bool = stage_key('wide_pcm', check_bool, default=False)
    position_conv: bool | None = stage_key(
        'position_conv', lambda name, v: v if v is None else check_bool(name, v), default=None
    )
    mlp_ratio: float = stage_key('mlp_ratio', check_number, default=4.0, used=_has_blocks)
    rc_mlp_ratio: float = stage_key('rc_mlp_ratio', check_number, default=1.0)


@MODELS.register_module()
class ViTAEv2(Backbone):
    """ViTAEv2 and ViTAEv2-VSA.

    Args:
        arch: A name of :data:`ARCHS`, or a dict with the keys of :class:`ViTAEv2Stage`, each a
            tuple of one value per stage or one value for all (rc: reduction cells, nc: normal
            cells). ``reduction_attention`` is that of the reduction cells where it differs.
        out_indices: Stages whose maps are returned.
        attention: Attention of the stages instead of the arch's, see
            :func:`~mmvsa.models.backbones.arch.resolve_attentions`: a preset (``'full'``,
            ``'window'``, ``'vsa'``, ``'rvsa'``, ``'quadrangle'``), a dict such as
            ``dict(type='vsa', padding='center')``, a dict of options without ``type``, or a tuple
            of these.
        qkv_bias: Bias of the projections of q, k and v.
        drop_rate: Dropout rate after projections and in MLPs of normal cells; reduction cells have
            none, as in the official implementation.
        attn_drop_rate: Dropout rate of attention weights of normal cells.
        drop_path_rate: Largest drop-path rate.
        drop_path_schedule: See :func:`~mmvsa.models.backbones.arch.drop_path_rates`.
        options: in_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)).
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 's-vsa',
        out_indices: int | Sequence[int] = (3,),
        *,
        attention: Attentions = None,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        drop_path_schedule: str = 'cumulative',
        **options: Any,
    ) -> None:
        stages = resolve_arch(arch, ViTAEv2Stage, ARCHS, 'ViTAEv2')
        attentions = resolve_attentions(attention, [s.attention for s in stages])
        reductions = resolve_attentions(
            attention, [s.reduction_attention or s.attention for s in stages]
        )
        options = modern_options(options, attentions, reductions)
        super().__init__(len(stages), out_indices, **options)
        self._shared = attention_options(
            qkv_bias=qkv_bias, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate
        )
        self.drop_rate = drop_rate
        rates = drop_path_rates(drop_path_rate, [s.depth for s in stages], drop_path_schedule)
        self.stages = ModuleList()
        channels = self.in_channels
        for index, stage in enumerate(stages[: self.num_built_stages]):
            reduction = self._reduction_cell(stage, reductions[index], channels)
            blocks = [self._block(stage, attentions[index], rate) for rate in rates[index]]
            self.stages.append(Stage(reduction, blocks))
            channels = stage.token_dims
        self.out_channels = tuple(stages[index].token_dims for index in self.out_indices)
        self.freeze_stages()

    def layer_modules(self) -> list[nn.Module]:
        """Return the reduction cells and the normal cells."""
        return [cell for stage in self.stages for cell in (stage.reduction, *stage.blocks)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to one (B, C, H', W') map for each of ``out_indices``."""
        self.check_input(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = self.run_cell(stage.reduction, x)  # (B, H, W, C)
            for block in stage.blocks:
                x = self.run_cell(block, x)
            x = to_nchw(x)
            if index in self.out_indices:
                # Plain NCHW memory: mmcv's RoIAlign misreads channels_last on a CPU.
                outputs.append(x.contiguous())
        return tuple(outputs)

    def _block(self, stage: ViTAEv2Stage, attention: dict[str, Any], drop_path: float) -> Block:
        dims = stage.token_dims
        hidden = int(dims * stage.mlp_ratio)
        return Block(
            self._attention(stage, attention, dims, reduction=False),
            convolution=ParallelConvolution((dims, hidden, dims, dims), groups=stage.nc_groups),
            position_kernel=_position_kernel(stage, attention),
            mlp_ratio=stage.mlp_ratio,
            drop=self.drop_rate,
            drop_path=drop_path,
        )

    def _reduction_cell(
        self, stage: ViTAEv2Stage, attention: dict[str, Any], in_channels: int
    ) -> ReductionCell:
        pyramid = PyramidReduction(
            in_channels,
            stage.embed_dims,
            stride=stage.downsample,
            kernel_size=stage.kernel_size,
            dilations=stage.dilations,
        )
        hidden = 2 * stage.token_dims if stage.wide_pcm else stage.embed_dims
        convolution = ParallelConvolution(
            (in_channels, hidden, hidden, stage.token_dims),
            strides=split_stride(stage.downsample),
            groups=stage.rc_groups,
        )
        return ReductionCell(
            self._attention(stage, attention, pyramid.out_channels, reduction=True),
            pyramid,
            convolution,
            stride=stage.downsample,
            mlp_ratio=stage.rc_mlp_ratio,
            position_kernel=_position_kernel(stage, attention),
        )

    def _attention(
        self, stage: ViTAEv2Stage, config: dict[str, Any], in_dims: int, *, reduction: bool
    ) -> nn.Module:
        """Build the attention of a cell with the defaults of the official implementation."""
        heads = stage.rc_heads if reduction else stage.num_heads
        options = dict(self._shared, out_dims=stage.token_dims)
        if reduction:
            options.update(attn_drop=0.0, proj_drop=0.0)
        if config['type'] == 'FullAttention':
            # T2T's token transformer has no bias and adds the values to the output.
            options.update(qkv_bias=options['qkv_bias'] and not reduction, value_skip=reduction)
        elif config['type'] == 'WindowAttention':
            options.update(padding='center', padding_token='projected', position=None)
        elif config['type'] == 'SampledWindowAttention':
            # Scaled by the width that comes in, not the head's: checkpoints depend on it.
            options['qk_scale'] = max(in_dims // heads, 1) ** -0.5
        return build_attention(config, in_dims, heads, window_size=stage.window_size, **options)


def _position_kernel(stage: ViTAEv2Stage, attention: dict[str, Any]) -> int | None:
    sampled = attention['type'] == 'SampledWindowAttention'
    return 7 if (sampled if stage.position_conv is None else stage.position_conv) else None
