"""Swin's stages with varied-size windows (arXiv 2204.08446) or quadrangles (arXiv 2303.15105).

Windows are never shifted: the attention is chosen by config, and a depthwise convolution before
each attention encodes position. Maps are channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmcv.cnn.bricks.transformer import PatchEmbed
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_int, check_number
from mmvsa.models.layers import Block, PatchMerging, build_attention, pad_to_multiple, to_nchw
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

# Sizes of Swin (arXiv 2103.14030), which both papers keep.
ARCHS: dict[str, dict[str, Any]] = {
    't': dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    's': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    'b': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
}

MODELS_BY_NAME = {
    **{f'swin-{arch}-vsa': dict(type='mmvsa.SwinVSA', arch=arch) for arch in ARCHS},
    **{f'qformer-{arch}': dict(type='mmvsa.QFormer', arch=arch) for arch in ARCHS},
}


@dataclass(frozen=True)
class SwinStage:
    """One stage of Swin; ``embed_dims`` is the width of the first, doubled from stage to stage."""

    embed_dims: int = stage_key('embed_dims', check_int)
    depth: int = stage_key('depths', check_int)
    num_heads: int = stage_key('num_heads', check_int)
    attention: Any = stage_key('attention', lambda name, value: value, default=None)
    window_size: int = stage_key('window_size', check_int, default=7)
    mlp_ratio: float = stage_key('mlp_ratio', check_number, default=4.0)
    patch_size: int = stage_key('patch_size', check_int, default=4)


class _Stage(nn.Module):
    """Blocks, then a patch merging unless it is the last stage."""

    def __init__(self, blocks: Sequence[Block], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = ModuleList(blocks)
        self.downsample = downsample


@MODELS.register_module()
class SwinVSA(Backbone):
    """Swin with varied-size window attention.

    Args:
        arch: A name of :data:`ARCHS`, or a dict with the keys of :class:`SwinStage`; ``embed_dims``
            and ``patch_size`` are one number, the others one for all stages or one for each.
        out_indices: Stages whose maps are returned, each through a layer norm of its own.
        attention: Attention of the stages instead of :attr:`default_attention`, see
            :class:`~mmvsa.models.backbones.vitaev2.ViTAEv2`. ``position='table'`` is the official
            ``rpe='v1'``, ``'decomposed'`` is ``'v2'``.
        position_conv: Add a depthwise convolution before each attention.
        qkv_bias: Bias of the projections of q, k and v.
        drop_rate: Dropout rate after the patch embedding, after projections and in MLPs.
        attn_drop_rate: Dropout rate of attention weights.
        drop_path_rate: Largest drop-path rate; it rises linearly over all blocks.
        options: in_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`; the patch embedding is frozen with the
            first stage.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)).
    """

    default_attention = 'vsa'

    def __init__(
        self,
        arch: str | dict[str, Any] = 't',
        out_indices: int | Sequence[int] = (3,),
        *,
        attention: Attentions = None,
        position_conv: bool = True,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        stages = resolve_arch(arch, SwinStage, ARCHS, type(self).__name__)
        _check_stages(stages)
        own = [stage.attention or self.default_attention for stage in stages]
        attentions = resolve_attentions(attention, own)
        options = modern_options(options, attentions)
        super().__init__(len(stages), out_indices, **options)
        self.position_conv = check_bool('position_conv', position_conv)
        self.drop_rate = drop_rate
        self.patch_size = stages[0].patch_size
        self._shared = attention_options(
            qkv_bias=qkv_bias, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate
        )
        self.patch_embed = PatchEmbed(
            self.in_channels,
            stages[0].embed_dims,
            kernel_size=self.patch_size,
            stride=self.patch_size,
            padding=0,
            norm_cfg=dict(type='LN'),
        )
        self.drop = nn.Dropout(drop_rate)
        rates = drop_path_rates(drop_path_rate, [stage.depth for stage in stages])
        self.stages = ModuleList(
            self._build_stage(index, stage, attentions[index], rates[index])
            for index, stage in enumerate(stages[: self.num_built_stages])
        )
        self.out_channels = tuple(stages[0].embed_dims * 2**i for i in self.out_indices)
        for index, width in zip(self.out_indices, self.out_channels, strict=True):
            self.add_module(f'norm{index}', nn.LayerNorm(width))
        self.freeze_stages()

    def _build_stage(
        self, index: int, stage: SwinStage, attention: dict[str, Any], rates: Sequence[float]
    ) -> _Stage:
        dims = stage.embed_dims * 2**index
        blocks = [self._block(stage, dims, attention, rate) for rate in rates]
        # The merging after the last map is not needed; a file may hold it.
        last = index == self.num_built_stages - 1
        return _Stage(blocks, None if last else PatchMerging(dims, 2 * dims))

    def _block(
        self, stage: SwinStage, dims: int, config: dict[str, Any], drop_path: float
    ) -> Block:
        if config.get('transform', {}).get('type') == 'VariedSizeWindow':
            # The QFormer repository's unit of offsets.
            transform = dict(offset_unit='padded') | config['transform']
            config = {**config, 'transform': transform}
        attention = build_attention(
            config, dims, stage.num_heads, window_size=stage.window_size, **self._shared
        )
        block = Block(
            attention,
            position_kernel=stage.window_size // 2 * 2 + 1 if self.position_conv else None,
            position_in_shortcut=True,
            mlp_ratio=stage.mlp_ratio,
            drop=self.drop_rate,
            drop_path=drop_path,
            norm_eps=1e-5,
        )
        if block.pos_conv is not None:
            # Starts at zero, so that Swin's weights mean the same here.
            nn.init.zeros_(block.pos_conv.weight)
            nn.init.zeros_(block.pos_conv.bias)  # type: ignore[arg-type]
        return block

    def stem_modules(self) -> list[nn.Module]:
        """Return the patch embedding."""
        return [self.patch_embed]

    def stage_modules(self, index: int) -> list[nn.Module]:
        """Return a stage and the norm of its output."""
        norms = [getattr(self, f'norm{index}')] if index in self.out_indices else []
        return [self.stages[index], *norms]

    def is_unbuilt(self, key: str) -> bool:
        """Return whether a key belongs to a stage or a patch merging that is not built."""
        return super().is_unbuilt(key) or key.startswith(
            f'stages.{self.num_built_stages - 1}.downsample.'
        )

    def layer_modules(self) -> list[nn.Module]:
        """Return the patch embedding, the blocks and the patch mergings."""
        layers = [self.patch_embed]
        for stage in self.stages:
            layers += [*stage.blocks, *([stage.downsample] if stage.downsample else [])]
        return layers

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to one (B, C, H', W') map for each of ``out_indices``."""
        self.check_input(x)
        # mmcv's own padding looks at the size, which an export may leave open.
        tokens, size = self.patch_embed(pad_to_multiple(x, self.patch_size))
        x = self.drop(tokens).unflatten(1, size)  # (B, H, W, C)
        outputs = []
        for index, stage in enumerate(self.stages):
            for block in stage.blocks:
                x = self.run_cell(block, x)
            if index in self.out_indices:
                # Plain NCHW memory: mmcv's RoIAlign misreads channels_last on a CPU.
                outputs.append(to_nchw(getattr(self, f'norm{index}')(x)).contiguous())
            if stage.downsample is not None:
                x = stage.downsample(x)
        return tuple(outputs)


def _check_stages(stages: Sequence[SwinStage]) -> None:
    """Raise ValueError where a key that holds for the whole model differs between stages."""
    for key in ('embed_dims', 'patch_size'):
        values = [getattr(stage, key) for stage in stages]
        if len(set(values)) > 1:
            raise ValueError(f'{key} must be one number for the whole model, got {values}')


@MODELS.register_module()
class QFormer(SwinVSA):
    """Swin with quadrangle attention (arXiv 2303.15105); arguments of :class:`SwinVSA`.

    The official models were trained with ``attention=dict(transform=dict(coords_lambda=0.1))``
    (T, S) and 0.5 (B).
    """

    default_attention = 'quadrangle'
