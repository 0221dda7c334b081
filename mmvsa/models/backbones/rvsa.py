"""Plain transformers with rotated varied-size windows for remote sensing (RVSA, arXiv 2208.03987).

A patch embedding with absolute positions, then blocks at stride 16: windows in most of them, full
attention in every third (ViT-L: every sixth). The ViTAE kind has a convolution branch parallel to
each attention. Maps are channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_choice, check_int, check_number, check_side
from mmvsa.models.layers import (
    Block,
    ParallelConvolution,
    PatchReduction,
    build_attention,
    resize_position,
    to_nchw,
)
from mmvsa.models.necks import SimplePyramid
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

OUT_TYPES = ('featmap', 'pyramid', 'avg_featmap')

# Sizes: the official model files (vit_win_rvsa.py, vitae_nc_win_rvsa.py of Remote-Sensing-RVSA;
# ViT-L is that of MTP's configs, ViTAE-L that of models_mae_vitae.py with the attention of ViT-L).
ARCHS: dict[str, dict[str, Any]] = {
    'vit-b': dict(embed_dims=768, depth=12, num_heads=12),
    'vit-l': dict(embed_dims=1024, depth=24, num_heads=16, attention=(*('rvsa',) * 5, 'full')),
    'vitae-b': dict(embed_dims=768, depth=12, num_heads=12, pcm_groups=192),
    'vitae-l': dict(
        embed_dims=1024,
        depth=24,
        num_heads=16,
        pcm_groups=256,
        attention=(*('rvsa',) * 5, 'full'),
    ),
}


def _by_name(arch: str, **options: Any) -> dict[str, Any]:
    return dict(type='mmvsa.RVSA', arch=arch, out_type='avg_featmap', **options)


MODELS_BY_NAME = {
    **{f'rvsa-{arch}': _by_name(arch) for arch in ('vit-b', 'vitae-b')},
    # The classifiers of MTP, the only ones of this size, have no norm.
    'rvsa-vit-l': _by_name('vit-l', final_norm=False),
    **{
        f'rvsa-{arch}-kvdiff': _by_name(arch, attention=dict(separate_windows=True))
        for arch in ('vit-b', 'vitae-b')
    },
}


@dataclass(frozen=True)
class RVSASettings:
    """What an arch of RVSA sets; ``pcm_groups`` 0 has no convolution branch.

    ``attention`` is a cycle: the default makes every third block full attention.
    """

    embed_dims: int = stage_key('embed_dims', check_int)
    depth: int = stage_key('depth', check_int)
    num_heads: int = stage_key('num_heads', check_int)
    attention: Sequence[Any] = stage_key(
        'attention', lambda name, value: value, default=('rvsa', 'rvsa', 'full'), sequence=True
    )
    patch_size: int = stage_key('patch_size', check_int, default=16)
    window_size: int = stage_key('window_size', check_int, default=7)
    mlp_ratio: float = stage_key('mlp_ratio', check_number, default=4.0)
    pcm_groups: int = stage_key(
        'pcm_groups', lambda name, value: check_int(name, value, minimum=0), default=0
    )


@MODELS.register_module()
class RVSA(Backbone):
    """ViT and ViTAE with rotated varied-size window attention.

    Args:
        arch: A name of :data:`ARCHS`, or a dict with the keys of :class:`RVSASettings`.
        out_indices: Blocks whose maps are returned.
        attention: Attention of the blocks instead of the arch's, see
            :class:`~mmvsa.models.backbones.vitaev2.ViTAEv2`; a tuple is repeated over the blocks.
            ``dict(separate_windows=True)`` is the "kvdiff" variant.
        out_type: ``'featmap'`` (maps of the patches), ``'pyramid'`` (the four maps of
            :class:`~mmvsa.models.necks.SimplePyramid`, all from one block or each from its own of
            four) or ``'avg_featmap'`` (means, (B, C), for classifiers).
        final_norm: Layer norm of what is returned. The official models of RVSA have it when
            classifying (after the mean) and detecting, not when segmenting; those of MTP never.
        img_size: Image for which position embeddings are kept; others get interpolated ones.
        qkv_bias: Bias of the projections of q, k and v.
        drop_rate: Dropout rate after the positions, after projections and in MLPs.
        attn_drop_rate: Dropout rate of attention weights.
        drop_path_rate: Largest drop-path rate; it rises linearly over all blocks.
        options: in_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`; frozen_stages counts blocks, the first
            with the patch embedding.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C, H', W') or (B, C).
    """

    # MAE's encoder, a subclass, has others.
    block_type: ClassVar[type[Block]] = Block
    pcm_kernel: ClassVar[int] = 3

    def __init__(
        self,
        arch: str | dict[str, Any] = 'vit-b',
        out_indices: int | Sequence[int] = (-1,),
        *,
        attention: Attentions = None,
        out_type: str = 'featmap',
        final_norm: bool = True,
        img_size: int | tuple[int, int] = 224,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        settings = _resolve(arch)
        depth, dims = settings.depth, settings.embed_dims
        own = resolve_attentions(settings.attention, ['full'] * depth, cycle=True)
        attentions = resolve_attentions(attention, own, cycle=True)
        options = modern_options(options, attentions)
        super().__init__(depth, out_indices, **options)
        self._set_output(out_type, final_norm, dims)
        side = -(-check_side('img_size', img_size) // settings.patch_size)
        self.position_size = (side, side)
        self.patch_embed = PatchReduction(self.in_channels, dims, stride=settings.patch_size)
        position = torch.zeros(1, side * side, dims)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(position, std=0.02))
        shared = attention_options(
            qkv_bias=qkv_bias, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate
        )
        self.drop = nn.Dropout(drop_rate)
        (rates,) = drop_path_rates(drop_path_rate, (depth,))
        self.blocks = ModuleList(
            self._build_block(index, settings, attentions[index], drop_path=rate, **shared)
            for index, rate in enumerate(rates[: self.num_built_stages])
        )
        self.freeze_stages()

    def _set_output(self, out_type: str, final_norm: bool, dims: int) -> None:
        self.out_type = check_choice('out_type', out_type, OUT_TYPES)
        if out_type == 'pyramid' and len(self.out_indices) not in (1, 4):
            raise ValueError(
                f"out_type='pyramid' has its four maps from one block or from four, got "
                f'out_indices {self.out_indices}'
            )
        self.norm: nn.Module = nn.Identity()
        if check_bool('final_norm', final_norm):
            self.norm = nn.LayerNorm(dims, eps=1e-6)
        self.pyramid = SimplePyramid(dims) if out_type == 'pyramid' else None
        levels = 4 if self.pyramid else len(self.out_indices)
        self.out_channels = (dims,) * levels

    def _build_block(
        self,
        index: int,
        settings: RVSASettings,
        config: dict[str, Any],
        *,
        drop_path: float,
        **shared: Any,
    ) -> Block:
        dims, ratio = settings.embed_dims, settings.mlp_ratio
        if config['type'] == 'FullAttention':
            defaults: dict[str, Any] = dict(position='decomposed')
        else:
            defaults = dict(position=('table', 'decomposed'), padding='center')
        attention = build_attention(
            config,
            dims,
            settings.num_heads,
            window_size=settings.window_size,
            map_size=self.position_size,
            **{**defaults, **shared},
        )
        convolution = None
        if settings.pcm_groups:
            convolution = ParallelConvolution(
                (dims, int(dims * ratio), dims),
                strides=(1, 1),
                groups=settings.pcm_groups,
                kernel_size=self.pcm_kernel,
            )
        block = self.block_type(
            attention,
            convolution=convolution,
            mlp_ratio=ratio,
            drop=self.drop.p,
            drop_path=drop_path,
        )
        # The deeper a block, the smaller it starts (BEiT, arXiv 2106.08254; RVSA too).
        with torch.no_grad():
            for layer in (attention.proj, block.mlp.fc2):
                layer.weight.div_((2.0 * (index + 1)) ** 0.5)
        return block

    def stem_modules(self) -> list[nn.Module]:
        """Return the patch embedding."""
        return [self.patch_embed]

    def stage_modules(self, index: int) -> list[nn.Module]:
        """Return a block."""
        return [self.blocks[index]]

    def layer_modules(self) -> list[nn.Module]:
        """Return the patch embedding and the blocks."""
        return [self.patch_embed, *self.blocks]

    def is_unbuilt(self, key: str) -> bool:
        """Return whether a key belongs to what the outputs do not need, or to a class token.

        Pretraining may have had a class token; these models have none.
        """
        unused = self.pyramid is None and key.startswith('pyramid.')
        without = key == 'cls_token' and key not in self._parameters
        return unused or without or super().is_unbuilt(key)

    def embed(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to patches with their positions, (B, H', W', C)."""
        x = self.patch_embed(x)
        size = (x.shape[1], x.shape[2])
        position = resize_position(self.pos_embed, self.position_size, size)
        return self.drop(x + position.unflatten(1, size))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to maps (B, C, H', W') or means (B, C)."""
        self.check_input(x)
        x = self.embed(x)
        outputs = []
        for index, block in enumerate(self.blocks):
            x = self.run_cell(block, x)
            if index in self.out_indices:
                outputs.append(x)
        if self.out_type == 'avg_featmap':
            return tuple(self.norm(out.mean((1, 2))) for out in outputs)
        maps = [to_nchw(self.norm(out)) for out in outputs]
        if self.pyramid is not None:
            maps = self.pyramid(maps)
        return tuple(out.contiguous() for out in maps)


def _resolve(arch: str | dict[str, Any]) -> RVSASettings:
    """Resolve an arch, whose keys hold one number each."""
    (settings,) = resolve_arch(arch, RVSASettings, ARCHS, 'RVSA', count_key=None)
    return settings
