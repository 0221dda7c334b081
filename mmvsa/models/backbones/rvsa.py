"""Plain transformers with rotated varied-size windows for remote sensing (RVSA, arXiv 2208.03987).

A patch embedding with absolute positions, then blocks at stride 16: windows in most of them, full
attention in every third. The ViTAE kind has a convolution branch beside each attention. Maps are
channels-last (B, H, W, C) throughout.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.layers import (
    FullAttention,
    ParallelConvolution,
    WindowedAttention,
    resize_position,
    to_nchw,
    to_nhwc,
)
from mmvsa.ops.backends import AUTO
from mmvsa.registry import MODELS

from .base import Backbone
from .vitae import PatchReduction
from .vitaev2 import Cell, drop_path_rates

OUT_TYPES = ('featmap', 'pyramid', 'avg_featmap')

# Sizes: the authors' model files (vit_win_rvsa.py, vitae_nc_win_rvsa.py of Remote-Sensing-RVSA).
ARCHS: dict[str, dict[str, Any]] = {
    'vit-b': dict(embed_dims=768, depth=12, num_heads=12),
    'vitae-b': dict(embed_dims=768, depth=12, num_heads=12, pcm_groups=192),
}
# What an arch may leave out; ``pcm_groups`` 0 is no convolution branch, ``full_every`` 3 makes
# every third block full attention.
ARCH_DEFAULTS: dict[str, Any] = dict(
    patch_size=16, window_size=7, full_every=3, mlp_ratio=4.0, pcm_groups=0
)
_REQUIRED = ('embed_dims', 'depth', 'num_heads')


def resolve_arch(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Settings of a named arch or of a dict, complete and checked.

    Raises:
        ValueError: an unknown name or key, a missing key.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(f'unknown arch {arch!r} of RVSA; choose one of {sorted(ARCHS)}')
        arch = ARCHS[arch.lower()]
    unknown, missing = set(arch) - {*_REQUIRED, *ARCH_DEFAULTS}, set(_REQUIRED) - set(arch)
    if unknown or missing:
        raise ValueError(
            f'an arch dict needs the keys {list(_REQUIRED)} and may have {list(ARCH_DEFAULTS)}; '
            f'unknown: {sorted(unknown)}, missing: {sorted(missing)}'
        )
    return {**ARCH_DEFAULTS, **arch}


class RVSABlock(Cell):
    """x + attention(x) [+ PCM(x)], then MLP."""

    def __init__(
        self,
        dims: int,
        attention: nn.Module,
        pcm_groups: int,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
    ) -> None:
        super().__init__(
            dims, dims, attention, False, mlp_ratio, drop_rate, drop_path, norm_eps=1e-6
        )
        self.pcm: nn.Module | None = None
        if pcm_groups:
            hidden = int(dims * mlp_ratio)
            self.pcm = ParallelConvolution((dims, hidden, dims), (1, 1), pcm_groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        out = x + self.drop_path(self.attend(x))
        if self.pcm is not None:
            out = out + self.drop_path(to_nhwc(self.pcm(to_nchw(x))))
        return self.feed_forward(out)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of an NCHW map."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return to_nchw(super().forward(to_nhwc(x)))


class SimplePyramid(nn.Module):
    """Maps of 4, 2, 1 and 1/2 times the size of one map (ViTDet, arXiv 2203.16527).

    Every level may have a map of its own.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.up4 = nn.Sequential(
            nn.ConvTranspose2d(dims, dims, 2, stride=2),
            ChannelNorm(dims, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(dims, dims, 2, stride=2),
        )
        self.up2 = nn.ConvTranspose2d(dims, dims, 2, stride=2)
        # An odd map is halved upwards: a map of one pixel stays one.
        self.down2 = nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """One (B, C, H, W) for each of the four levels -> the levels, largest first."""
        first, second, third, fourth = maps
        return [self.up4(first), self.up2(second), third, self.down2(fourth)]


@MODELS.register_module()
class RVSA(Backbone):
    """ViT and ViTAE with rotated varied-size window attention.

    Args:
        arch: a name of :data:`ARCHS`, or a dict with ``embed_dims``, ``depth``, ``num_heads`` and
            any of :data:`ARCH_DEFAULTS`.
        out_indices: blocks whose maps are returned.
        out_type: ``'featmap'`` (maps of the patches), ``'pyramid'`` (four maps, of a quarter to
            twice the patch size, all from one block or each from its own of four) or
            ``'avg_featmap'`` (means, (B, C), for classifiers).
        final_norm: layer norm of what is returned. The authors have it when classifying (after
            the mean) and detecting, not when segmenting.
        window_transform: config of the window transform.
        separate_windows: regress one window for keys and another for values ("kvdiff").
        window_padding: where maps are padded to whole windows, ``'center'`` or ``'end'``.
        img_size: image for which position embeddings are kept; others get interpolated ones.
        qkv_bias: bias of the projections of q, k and v.
        drop_rate: dropout after the positions, after projections and in MLPs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: largest drop-path rate; it rises linearly over all blocks.
        attention_backend: sampling backend, see :mod:`mmvsa.ops.backends`.
        options: in_channels, frozen_stages, norm_eval, with_cp, keep_activations and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`; frozen_stages counts blocks, the first
            with the patch embedding.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C, H', W') or (B, C).
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 'vit-b',
        out_indices: Sequence[int] = (-1,),
        out_type: str = 'featmap',
        final_norm: bool = True,
        window_transform: str | dict[str, Any] = 'RotatedVariedSizeWindow',
        separate_windows: bool = False,
        window_padding: str = 'center',
        img_size: int = 224,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        attention_backend: str = AUTO,
        **options: Any,
    ) -> None:
        settings = resolve_arch(arch)
        depth, dims, patch = settings['depth'], settings['embed_dims'], settings['patch_size']
        super().__init__(depth, out_indices, **options)
        self.arch_settings = settings
        self._set_output(out_type, final_norm, dims)
        side = -(-img_size // patch)
        self.position_size = (side, side)
        self.patch_embed = PatchReduction(self.in_channels, dims, patch)
        position = torch.zeros(1, side * side, dims)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(position, std=0.02))
        self.drop = nn.Dropout(drop_rate)
        common = dict(
            embed_dims=dims,
            num_heads=settings['num_heads'],
            qkv_bias=qkv_bias,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
        )
        windowed = dict(
            window_size=settings['window_size'],
            transform=window_transform,
            separate_windows=separate_windows,
            decomposed_position=True,
            padding=window_padding,
            backend=attention_backend,
        )
        (rates,) = drop_path_rates(drop_path_rate, (depth,), 'cumulative')
        self.blocks = ModuleList(
            self._build_block(index, common, windowed, drop_rate, rate)
            for index, rate in enumerate(rates)
        )

    def _set_output(self, out_type: str, final_norm: bool, dims: int) -> None:
        if out_type not in OUT_TYPES:
            raise ValueError(f'out_type must be one of {OUT_TYPES}, got {out_type!r}')
        if out_type == 'pyramid' and len(self.out_indices) not in (1, 4):
            raise ValueError(
                f'a pyramid has its four maps from one block or from four, got out_indices '
                f'{self.out_indices}'
            )
        self.out_type = out_type
        self.norm: nn.Module = nn.LayerNorm(dims, eps=1e-6) if final_norm else nn.Identity()
        self.pyramid = SimplePyramid(dims) if out_type == 'pyramid' else None
        levels = 4 if self.pyramid else len(self.out_indices)
        self.out_channels = (dims,) * levels

    def _build_block(
        self,
        index: int,
        common: dict[str, Any],
        windowed: dict[str, Any],
        drop_rate: float,
        rate: float,
    ) -> RVSABlock:
        settings = self.arch_settings
        attention: nn.Module
        if (index + 1) % settings['full_every']:
            attention = WindowedAttention(**common, **windowed)
        else:
            attention = FullAttention(**common, position_size=self.position_size)
        block = RVSABlock(
            settings['embed_dims'],
            attention,
            settings['pcm_groups'],
            settings['mlp_ratio'],
            drop_rate,
            rate,
        )
        # The deeper a block, the smaller it starts (BEiT, arXiv 2106.08254; the authors too).
        with torch.no_grad():
            for layer in (attention.proj, block.mlp.fc2):
                layer.weight.div_((2.0 * (index + 1)) ** 0.5)
        return block

    def frozen_modules(self) -> list[nn.Module]:
        """The patch embedding and the first blocks."""
        frozen = list(self.blocks[: max(self.frozen_stages, 0)])
        return [self.patch_embed, *frozen] if frozen else []

    def train(self, mode: bool = True) -> 'RVSA':
        super().train(mode)
        if self.frozen_stages > 0:
            self.pos_embed.requires_grad_(False)
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> maps (B, C, H', W') or means (B, C)."""
        self.check_input(x)
        x = self.patch_embed(x)  # (B, H, W, C)
        size = (x.shape[1], x.shape[2])
        position = resize_position(self.pos_embed, self.position_size, size)
        x = self.drop(x + position.unflatten(1, size))
        outputs = []
        for index, block in enumerate(self.blocks):
            x = self.run_cell(block, x)
            if index in self.out_indices:
                outputs.append(x)
        if self.out_type == 'avg_featmap':
            return tuple(self.norm(out.mean((1, 2))) for out in outputs)
        maps = [to_nchw(self.norm(out)) for out in outputs]
        if self.pyramid is not None:
            maps = self.pyramid(maps if len(maps) == 4 else maps * 4)
        return tuple(out.contiguous() for out in maps)


# Names of mmvsa.get_model and their backbones.
MODELS_BY_NAME: dict[str, dict[str, Any]] = {}
for _arch in ARCHS:
    _config = dict(type='mmvsa.RVSA', arch=_arch, out_type='avg_featmap')
    MODELS_BY_NAME[f'rvsa-{_arch}'] = _config
    MODELS_BY_NAME[f'rvsa-{_arch}-kvdiff'] = dict(_config, separate_windows=True)
