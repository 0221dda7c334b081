"""Swin's stages with varied-size windows (arXiv 2204.08446) or quadrangles (arXiv 2303.15105).

Windows are never shifted: the attention is chosen by config, and a depthwise convolution before
each attention tells positions. Maps are channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn.bricks.transformer import PatchEmbed, PatchMerging
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.layers import WindowedAttention, to_nchw
from mmvsa.ops.backends import AUTO
from mmvsa.registry import MODELS

from .base import Backbone
from .vitaev2 import Cell, drop_path_rates

# Sizes of Swin (arXiv 2103.14030), which both papers keep.
ARCHS: dict[str, dict[str, Any]] = {
    't': dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    's': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    'b': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
}
# What an arch may leave out.
ARCH_DEFAULTS: dict[str, Any] = dict(window_size=7, mlp_ratio=4.0, patch_size=4)
_REQUIRED = ('embed_dims', 'depths', 'num_heads')
RELATIVE_POSITIONS = ('v1', 'v2', None)


def resolve_arch(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Settings of a named arch or of a dict, complete and checked.

    Raises:
        ValueError: an unknown name or key, a missing key, lists of different lengths.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(f'unknown arch {arch!r} of SwinVSA; choose one of {sorted(ARCHS)}')
        arch = ARCHS[arch.lower()]
    unknown, missing = set(arch) - {*_REQUIRED, *ARCH_DEFAULTS}, set(_REQUIRED) - set(arch)
    if unknown or missing:
        raise ValueError(
            f'an arch dict needs the keys {list(_REQUIRED)} and may have {list(ARCH_DEFAULTS)}; '
            f'unknown: {sorted(unknown)}, missing: {sorted(missing)}'
        )
    stages, heads = len(arch['depths']), len(arch['num_heads'])
    if stages != heads:
        raise ValueError(f'num_heads has {heads} entries for {stages} stages: {arch["num_heads"]}')
    return {**ARCH_DEFAULTS, **arch}


class SwinBlock(Cell):
    """Position convolution, attention and MLP, each with a shortcut.

    The position convolution starts at zero, so that Swin's weights mean the same here.
    """

    def __init__(
        self,
        dims: int,
        attention: WindowedAttention,
        position_conv: bool,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
    ) -> None:
        kernel = attention.window_size // 2 * 2 + 1
        super().__init__(
            dims, dims, attention, position_conv, mlp_ratio, drop_rate, drop_path, 1e-5, kernel
        )
        if self.pos_conv is not None:
            nn.init.zeros_(self.pos_conv.weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.pos_conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = self.add_position(x)
        return self.feed_forward(x + self.drop_path(self.attn(self.norm1(x))))


class _Stage(nn.Module):
    """Blocks, then a patch merging unless it is the last stage."""

    def __init__(self, blocks: Sequence[SwinBlock], dims: int, last: bool) -> None:
        super().__init__()
        self.blocks = ModuleList(blocks)
        self.downsample: PatchMerging | None = None
        if not last:
            self.downsample = PatchMerging(dims, 2 * dims)
            nn.init.trunc_normal_(self.downsample.reduction.weight, std=0.02)

    def shrink(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2C); the last stage leaves x alone."""
        if self.downsample is None:
            return x
        merged, size = self.downsample(x.flatten(1, 2), x.shape[1:3])
        return merged.unflatten(1, size)


@MODELS.register_module()
class SwinVSA(Backbone):
    """Swin with varied-size window attention.

    Args:
        arch: a name of :data:`ARCHS`, or a dict with ``embed_dims``, ``depths``, ``num_heads`` and
            any of :data:`ARCH_DEFAULTS`.
        out_indices: stages whose maps are returned, each through a layer norm of its own.
        window_transform: the window transform (a registered name, or a dict with or without
            ``type``); options without a type are those of the default,
            :attr:`default_transform`.
        rpe: relative position: ``'v1'`` (a table, Swin's), ``'v2'`` (decomposed into a height and
            a width term) or None.
        position_conv: a depthwise convolution before each attention.
        window_padding: where maps are padded to whole windows, ``'end'`` or ``'center'``.
        qkv_bias: bias of the projections of q, k and v.
        drop_rate: dropout after the patch embedding, after projections and in MLPs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: largest drop-path rate; it rises linearly over all blocks.
        attention_backend: sampling backend, see :mod:`mmvsa.ops.backends`.
        options: in_channels, frozen_stages, norm_eval, with_cp, keep_activations and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`; the patch embedding is frozen with the
            first stage.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)).
    """

    default_transform: dict[str, Any] = dict(type='VariedSizeWindow', offset_unit='padded')

    def __init__(
        self,
        arch: str | dict[str, Any] = 't',
        out_indices: Sequence[int] = (3,),
        window_transform: str | dict[str, Any] | None = None,
        rpe: str | None = 'v1',
        position_conv: bool = True,
        window_padding: str = 'end',
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        attention_backend: str = AUTO,
        **options: Any,
    ) -> None:
        settings = resolve_arch(arch)
        depths = settings['depths']
        super().__init__(len(depths), out_indices, **options)
        if rpe not in RELATIVE_POSITIONS:
            raise ValueError(f'rpe must be one of {RELATIVE_POSITIONS}, got {rpe!r}')
        self.arch_settings = settings
        self._attention_options = dict(
            window_size=settings['window_size'],
            transform=self._transform_config(window_transform),
            qkv_bias=qkv_bias,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
            relative_position=rpe == 'v1',
            decomposed_position=rpe == 'v2',
            padding=window_padding,
            backend=attention_backend,
        )
        self._block_options = (position_conv, settings['mlp_ratio'], drop_rate)
        self.patch_embed = PatchEmbed(
            self.in_channels,
            settings['embed_dims'],
            kernel_size=settings['patch_size'],
            stride=settings['patch_size'],
            norm_cfg=dict(type='LN'),
        )
        self.drop = nn.Dropout(drop_rate)
        rates = drop_path_rates(drop_path_rate, depths, 'cumulative')
        self.stages = ModuleList(self._build_stage(i, rates[i]) for i in range(len(depths)))
        self.out_channels = tuple(settings['embed_dims'] * 2**i for i in self.out_indices)
        for index, width in zip(self.out_indices, self.out_channels, strict=True):
            self.add_module(f'norm{index}', nn.LayerNorm(width))

    def _transform_config(self, given: str | dict[str, Any] | None) -> dict[str, Any]:
        options = dict(type=given) if isinstance(given, str) else dict(given or {})
        default = self.default_transform
        same = options.get('type', default['type']).removeprefix('mmvsa.') == default['type']
        return {**default, **options} if same else options

    def _build_stage(self, index: int, rates: Sequence[float]) -> _Stage:
        dims = self.arch_settings['embed_dims'] * 2**index
        heads = self.arch_settings['num_heads'][index]
        blocks = [
            SwinBlock(
                dims,
                WindowedAttention(dims, heads, **self._attention_options),
                *self._block_options,
                rate,
            )
            for rate in rates
        ]
        return _Stage(blocks, dims, last=index == len(self.arch_settings['depths']) - 1)

    def frozen_modules(self) -> list[nn.Module]:
        """The patch embedding, the first stages and their norms."""
        frozen = super().frozen_modules()
        norms = [getattr(self, f'norm{i}') for i in self.out_indices if i < len(frozen)]
        return [self.patch_embed, *frozen, *norms] if frozen else []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> one (B, C, H', W') map for each of ``out_indices``."""
        self.check_input(x)
        tokens, size = self.patch_embed(x)
        x = self.drop(tokens).unflatten(1, size)  # (B, H, W, C)
        outputs = []
        for index, stage in enumerate(self.stages):
            for block in stage.blocks:
                x = self.run_cell(block, x)
            if index in self.out_indices:
                # Plain NCHW memory: mmcv's RoIAlign misreads channels_last on a CPU.
                outputs.append(to_nchw(getattr(self, f'norm{index}')(x)).contiguous())
            x = stage.shrink(x)
        return tuple(outputs)


@MODELS.register_module()
class QFormer(SwinVSA):
    """Swin with quadrangle attention (arXiv 2303.15105); arguments of :class:`SwinVSA`.

    The authors trained with ``window_transform=dict(coords_lambda=0.1)`` (T, S) and 0.5 (B).
    """

    default_transform = dict(type='Quadrangle')


# Names of mmvsa.get_model and their backbones.
MODELS_BY_NAME = {
    **{f'swin-{arch}-vsa': dict(type='mmvsa.SwinVSA', arch=arch) for arch in ARCHS},
    **{f'qformer-{arch}': dict(type='mmvsa.QFormer', arch=arch) for arch in ARCHS},
}
