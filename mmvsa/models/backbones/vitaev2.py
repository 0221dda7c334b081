"""ViTAEv2 (arXiv 2202.10108) with the attention of every stage chosen by config.

Four stages, strides 4, 8, 16 and 32. A stage is a reduction cell (a pyramid of dilated
convolutions, then attention beside a convolution branch) and normal cells (attention beside a
convolution branch). Maps are channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.layers import (
    FullAttention,
    Mlp,
    ParallelConvolution,
    PyramidReduction,
    WindowedAttention,
    pad_to_multiple,
    to_nchw,
    to_nhwc,
)
from mmvsa.ops.backends import AUTO
from mmvsa.registry import MODELS

from .base import Backbone

ATTENTIONS = ('window', 'full', 'vsa')
DROP_PATH_SCHEDULES = ('cumulative', 'authors')


def _vsa(**options: Any) -> dict[str, Any]:
    return {'rc_attention': ('vsa',) * 4, 'nc_attention': ('vsa',) * 4, **options}


def _arch(embed: Sequence[int], width: int, depth: int, **options: Any) -> dict[str, Any]:
    return dict(
        embed_dims=tuple(embed),
        token_dims=tuple(width * 2**i for i in range(4)),
        depths=(2, 2, depth, 2),
        **options,
    )


_PLAIN_ATTENTION = ('window', 'window', 'full', 'full')
_PLAIN = dict(rc_attention=_PLAIN_ATTENTION, nc_attention=_PLAIN_ATTENTION)
_S_HEADS = dict(num_heads=(1, 2, 4, 8), rc_heads=(1, 1, 2, 4))
_B_VSA = _vsa(num_heads=(4, 8, 16, 32), rc_heads=(4, 8, 16, 32), wide_pcm=True)

# Sizes: the authors' model files (ViTAEv2.py of ViTAE-Transformer, models.py of ViTAE-VSA).
ARCHS: dict[str, dict[str, Any]] = {
    's': _arch((64, 64, 128, 256), 64, 8, **_S_HEADS, **_PLAIN),
    '48m': _arch((64, 64, 192, 384), 96, 11, **_S_HEADS, **_PLAIN),
    'b': _arch(
        (96, 96, 256, 512), 128, 12, num_heads=(1, 4, 8, 16), rc_heads=(1, 1, 4, 8), **_PLAIN
    ),
    # ViTAEv2*-S of the papers: window attention in all four stages.
    's-window': _arch(
        (64, 64, 128, 256),
        64,
        8,
        **_S_HEADS,
        rc_attention=('window',) * 4,
        nc_attention=('window',) * 4,
    ),
    's-vsa': _arch(
        (64, 64, 128, 256), 64, 8, **_vsa(num_heads=(2, 4, 8, 16), rc_heads=(2, 2, 4, 8))
    ),
    's-vsa-widepcm': _arch(
        (64, 64, 128, 256),
        64,
        8,
        **_vsa(num_heads=(2, 4, 8, 16), rc_heads=(2, 4, 8, 16), wide_pcm=True),
    ),
    '48m-vsa': _arch(
        (96, 96, 192, 384),
        96,
        11,
        **_vsa(num_heads=(3, 6, 12, 24), rc_heads=(3, 6, 12, 24), wide_pcm=True),
    ),
    'b-vsa': _arch((128, 128, 256, 512), 128, 12, **_B_VSA),
    'b-vsa-ws12': _arch((128, 128, 256, 512), 128, 12, window_size=12, **_B_VSA),
}

# What an arch may leave out.
ARCH_DEFAULTS: dict[str, Any] = dict(
    downsample=(4, 2, 2, 2),
    kernel_sizes=(7, 3, 3, 3),
    dilations=((1, 2, 3, 4), (1, 2, 3), (1, 2), (1, 2)),
    nc_groups=(1, 32, 64, 128),
    rc_groups=(1, 16, 32, 64),
    window_size=7,
    wide_pcm=False,
    position_conv=None,
    relative_position=None,
    mlp_ratio=4.0,
    rc_mlp_ratio=1.0,
)
_PER_STAGE = (
    'embed_dims',
    'token_dims',
    'depths',
    'num_heads',
    'rc_heads',
    'rc_attention',
    'nc_attention',
    'downsample',
    'kernel_sizes',
    'dilations',
    'nc_groups',
    'rc_groups',
    'window_size',
)
_REQUIRED = _PER_STAGE[:7]


def resolve_arch(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Settings of a named arch or of a dict, complete and checked.

    Raises:
        ValueError: an unknown name or key, a missing key, a per-stage list of the wrong length.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(f'unknown arch {arch!r} of ViTAEv2; choose one of {sorted(ARCHS)}')
        arch = ARCHS[arch.lower()]
    unknown = set(arch) - set(ARCH_DEFAULTS) - set(_REQUIRED)
    missing = set(_REQUIRED) - set(arch)
    if unknown or missing:
        raise ValueError(
            f'an arch dict needs the keys {list(_REQUIRED)} and may have {list(ARCH_DEFAULTS)}; '
            f'unknown: {sorted(unknown)}, missing: {sorted(missing)}'
        )
    settings = {**ARCH_DEFAULTS, **arch}
    num_stages = len(settings['depths'])
    if isinstance(settings['window_size'], int):
        settings['window_size'] = (settings['window_size'],) * num_stages
    for key in _PER_STAGE:
        value = settings[key]
        if key in ARCH_DEFAULTS and key not in arch:
            settings[key] = value = value[:num_stages]
        if len(value) != num_stages:
            raise ValueError(f'{key} has {len(value)} entries for {num_stages} stages: {value}')
    for kind in (*settings['rc_attention'], *settings['nc_attention']):
        if kind not in ATTENTIONS:
            raise ValueError(f'unknown attention {kind!r}; choose one of {ATTENTIONS}')
    return settings


def drop_path_rates(rate: float, depths: Sequence[int], schedule: str) -> list[list[float]]:
    """Drop-path rate of every normal cell, stage by stage.

    ``'cumulative'`` rises linearly over all cells. ``'authors'`` is the published code's, where
    stage i starts at ``depths[i - 1]`` instead of the number of cells before it.
    """
    if schedule not in DROP_PATH_SCHEDULES:
        raise ValueError(
            f'drop_path_schedule must be one of {DROP_PATH_SCHEDULES}, got {schedule!r}'
        )
    last = max(sum(depths) - 1, 1)
    line = [rate * i / last for i in range(sum(depths))]
    starts = [sum(depths[:i]) for i in range(len(depths))]
    if schedule == 'authors':
        starts = [0, *depths[:-1]]
    return [line[start : start + depth] for start, depth in zip(starts, depths, strict=True)]


class Cell(nn.Module):
    """What every cell has: position convolution, attention, MLP.

    Args:
        in_dims: channels of the map that is attended to.
        out_dims: channels of the output.
        attention: the attention module, in_dims -> out_dims.
        position_conv: add a depthwise convolution before the attention.
        norm_eps: of both layer norms.
        position_kernel: size of that convolution.
    """

    def __init__(
        self,
        in_dims: int,
        out_dims: int,
        attention: nn.Module,
        position_conv: bool,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
        norm_eps: float,
        position_kernel: int = 7,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_dims, eps=norm_eps)
        self.pos_conv: nn.Module | None = None
        if position_conv:
            self.pos_conv = nn.Conv2d(
                in_dims, in_dims, position_kernel, padding=position_kernel // 2, groups=in_dims
            )
        self.attn = attention
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(out_dims, eps=norm_eps)
        self.mlp = Mlp(out_dims, int(out_dims * mlp_ratio), drop=drop_rate)

    def add_position(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dims), plus the position convolution if there is one."""
        return x if self.pos_conv is None else x + to_nhwc(self.pos_conv(to_nchw(x)))

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dims) -> (B, H, W, out_dims)."""
        return self.attn(self.norm1(self.add_position(x)))

    def feed_forward(self, x: Tensor) -> Tensor:
        """(B, H, W, out_dims), with the shortcut."""
        return x + self.drop_path(self.mlp(x, self.norm2))


class ReductionCell(Cell):
    """Shrinks the map: PRM, then attention + PCM (no shortcut), then MLP.

    An input that is no multiple of the stride is padded with zeros on the right and bottom.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        out_dims: int,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
        groups: int,
        wide_pcm: bool,
        attention: nn.Module,
        position_conv: bool,
        mlp_ratio: float,
        drop_rate: float,
    ) -> None:
        # The authors give their reduction cells no drop path, and PyTorch's epsilon.
        dims = embed_dims * len(dilations)
        super().__init__(
            dims, out_dims, attention, position_conv, mlp_ratio, drop_rate, 0.0, norm_eps=1e-5
        )
        self.stride = stride
        self.prm = PyramidReduction(in_channels, embed_dims, stride, kernel_size, dilations)
        hidden = 2 * out_dims if wide_pcm else embed_dims
        self.pcm = ParallelConvolution(
            (in_channels, hidden, hidden, out_dims), split_stride(stride), groups
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        x = pad_to_multiple(x, self.stride)
        out = self.attend(to_nhwc(self.prm(x))) + self.drop_path(to_nhwc(self.pcm(x)))
        return self.feed_forward(out)


def split_stride(stride: int) -> tuple[int, int, int]:
    """Strides of three convolutions: 4 -> (2, 2, 1), 2 -> (2, 1, 1)."""
    if stride not in (1, 2, 4, 8):
        raise ValueError(f'a reduction cell shrinks by 1, 2, 4 or 8, got {stride}')
    first, second, third = (2 if stride >= 2**i else 1 for i in (1, 2, 3))
    return first, second, third


class NormalCell(Cell):
    """x + attention(x) + PCM(x), then MLP."""

    def __init__(
        self,
        dims: int,
        groups: int,
        attention: nn.Module,
        position_conv: bool,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
    ) -> None:
        super().__init__(
            dims, dims, attention, position_conv, mlp_ratio, drop_rate, drop_path, norm_eps=1e-6
        )
        hidden = int(dims * mlp_ratio)
        self.pcm = ParallelConvolution((dims, hidden, dims, dims), groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        convolved = self.drop_path(to_nhwc(self.pcm(to_nchw(x))))
        return self.feed_forward(x + self.drop_path(self.attend(x)) + convolved)


class _Stage(nn.Module):
    def __init__(self, reduction: ReductionCell, blocks: Sequence[NormalCell]) -> None:
        super().__init__()
        self.reduction = reduction
        self.blocks = ModuleList(blocks)


@MODELS.register_module()
class ViTAEv2(Backbone):
    """ViTAEv2 and ViTAEv2-VSA.

    Args:
        arch: a name of :data:`ARCHS`, or a dict with ``embed_dims``, ``token_dims``, ``depths``,
            ``num_heads``, ``rc_heads``, ``rc_attention`` and ``nc_attention`` per stage (rc:
            reduction cells, nc: normal cells) and any of :data:`ARCH_DEFAULTS`; ``window_size``
            is one for all stages or one for each.
        out_indices: stages whose maps are returned.
        window_transform: options of the window transform of ``'vsa'`` attention, with its
            ``type`` for another member of the family.
        window_padding: where ``'vsa'`` attention pads: ``'end'`` (the authors' classification
            code) or ``'center'`` (their detection code). Plain window attention pads centred.
        qkv_bias: bias of the projections of q, k and v.
        drop_rate: dropout after projections and in MLPs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: largest drop-path rate.
        drop_path_schedule: see :func:`drop_path_rates`.
        attention_backend: sampling backend, see :mod:`mmvsa.ops.backends`.
        options: in_channels, frozen_stages, norm_eval, with_cp, keep_activations and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)).
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 's-vsa',
        out_indices: Sequence[int] = (3,),
        window_transform: dict[str, Any] | None = None,
        window_padding: str = 'end',
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        drop_path_schedule: str = 'cumulative',
        attention_backend: str = AUTO,
        **options: Any,
    ) -> None:
        settings = resolve_arch(arch)
        num_stages = len(settings['depths'])
        super().__init__(num_stages, out_indices, **options)
        self.arch_settings = settings
        self._attention_options: dict[str, Any] = dict(
            window_transform=window_transform,
            window_padding=window_padding,
            qkv_bias=qkv_bias,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
            backend=attention_backend,
        )
        self.drop_rate = drop_rate
        rates = drop_path_rates(drop_path_rate, settings['depths'], drop_path_schedule)
        self.stages = ModuleList()
        channels = self.in_channels
        for index in range(num_stages):
            self.stages.append(self._build_stage(index, channels, rates[index]))
            channels = settings['token_dims'][index]
        self.out_channels = tuple(settings['token_dims'][index] for index in self.out_indices)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> one (B, C, H', W') map for each of ``out_indices``."""
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

    def _build_stage(self, index: int, in_channels: int, rates: Sequence[float]) -> _Stage:
        settings = self.arch_settings
        dims = settings['token_dims'][index]
        kind = settings['nc_attention'][index]
        heads, window_size = settings['num_heads'][index], settings['window_size'][index]
        blocks = [
            NormalCell(
                dims,
                settings['nc_groups'][index],
                self._attention(kind, dims, dims, heads, window_size, False),
                self._has_position_conv(kind),
                settings['mlp_ratio'],
                self.drop_rate,
                rate,
            )
            for rate in rates
        ]
        return _Stage(self._reduction_cell(index, in_channels, dims), blocks)

    def _reduction_cell(self, index: int, in_channels: int, dims: int) -> ReductionCell:
        settings = self.arch_settings
        kind = settings['rc_attention'][index]
        embed_dims, dilations = settings['embed_dims'][index], settings['dilations'][index]
        heads, window_size = settings['rc_heads'][index], settings['window_size'][index]
        return ReductionCell(
            in_channels,
            embed_dims,
            dims,
            settings['downsample'][index],
            settings['kernel_sizes'][index],
            dilations,
            settings['rc_groups'][index],
            settings['wide_pcm'],
            self._attention(kind, embed_dims * len(dilations), dims, heads, window_size, True),
            self._has_position_conv(kind),
            settings['rc_mlp_ratio'],
            self.drop_rate,
        )

    def _has_position_conv(self, kind: str) -> bool:
        chosen = self.arch_settings['position_conv']
        return kind == 'vsa' if chosen is None else chosen

    def _attention(
        self,
        kind: str,
        in_dims: int,
        out_dims: int,
        heads: int,
        window_size: int,
        reduction: bool,
    ) -> nn.Module:
        """Attention of a cell; the differences between kinds are the authors' code's."""
        options = self._attention_options
        common: dict[str, Any] = dict(
            embed_dims=in_dims,
            num_heads=heads,
            out_dims=out_dims,
            qkv_bias=options['qkv_bias'],
            attn_drop=options['attn_drop'],
            proj_drop=options['proj_drop'],
        )
        if kind == 'full':
            # Their token transformer has no bias and adds the values to the output.
            common['qkv_bias'] = options['qkv_bias'] and not reduction
            return FullAttention(value_skip=reduction, **common)
        relative_position = self.arch_settings['relative_position']
        common['window_size'] = window_size
        common['relative_position'] = (
            kind == 'vsa' if relative_position is None else relative_position
        )
        if kind == 'window':
            return WindowedAttention(
                transform=None, padding='center', padding_token='projected', **common
            )
        return WindowedAttention(
            # Scaled by the width that comes in, not the head's: checkpoints depend on it.
            qk_scale=(in_dims // heads) ** -0.5,
            transform=options['window_transform'] or 'VariedSizeWindow',
            padding=options['window_padding'],
            backend=options['backend'],
            **common,
        )


# Names of mmvsa.get_model and their backbones.
MODELS_BY_NAME = {f'vitaev2-{arch}': dict(type='mmvsa.ViTAEv2', arch=arch) for arch in ARCHS}
