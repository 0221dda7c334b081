"""The ViTAE encoder of P3M-Net: maps shrink by max pooling, whose indices are kept.

Network and sizes: core/network/ViTAE_S of ViTAE-Transformer/P3M-Net (arXiv 2203.16828). It is
neither ViTAE-S nor ViTAEv2-S, although it is called ViTAE-S there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import check_int, check_number
from mmvsa.models.layers import (
    Block,
    ParallelConvolution,
    PerformerAttention,
    Stage,
    build_attention,
    linear,
    to_nchw,
    to_nhwc,
)
from mmvsa.registry import ATTENTIONS, MODELS

from .arch import (
    Attentions,
    drop_path_rates,
    modern_options,
    resolve_arch,
    resolve_attentions,
    stage_key,
)
from .base import Backbone, attention_options

ARCHS: dict[str, dict[str, Any]] = {
    's': dict(
        token_dims=(64, 128, 256, 512),
        depths=(2, 2, 12, 2),
        num_heads=(1, 2, 4, 8),
        groups=(1, 32, 64, 128),
        attention=('PlainPerformer', 'full', 'full', 'full'),
    ),
}


class PooledFeatures(NamedTuple):
    """Maps before each max pooling, and the indices of that pooling.

    Attributes:
        maps: F0 ... f4 and e, (B, C_i, H / 2**i, W / 2**i).
        indices: I0 ... i4, int64 (B, C_i, H / 2**(i+1), W / 2**(i+1)), into the map's H * W.
    """

    maps: tuple[Tensor, ...]
    indices: tuple[Tensor, ...]


@dataclass(frozen=True)
class PoolingStage:
    """One stage of the encoder; most keys of arch dicts are in the plural."""

    token_dims: int = stage_key('token_dims', check_int)
    depth: int = stage_key('depths', lambda name, value: check_int(name, value, minimum=0))
    num_heads: int = stage_key('num_heads', check_int)
    groups: int = stage_key('groups', check_int)
    attention: Any = stage_key('attention', lambda name, value: value, default='full')
    window_size: int = stage_key('window_size', check_int, default=7)
    mlp_ratio: float = stage_key('mlp_ratio', check_number, default=4.0)


@ATTENTIONS.register_module()
class PlainPerformer(PerformerAttention):
    """Performer attention without the values added, with the same projection in every model.

    The official files lack the random projection: drawn from a fixed generator, they give one
    result here.

    Args:
        embed_dims: Input and output channels.
        num_heads: Must be 1.
        qkv_bias: Must be True.
        attn_drop: Not used: no attention weight is ever written.
        proj_drop: Dropout rate of the projection.

    Raises:
        ValueError: More than one head, or no bias.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        if num_heads != 1 or not qkv_bias:
            raise ValueError(
                'PlainPerformer needs num_heads=1 and qkv_bias=True, '
                f'got {num_heads} and {qkv_bias}'
            )
        generator = torch.Generator().manual_seed(0)
        super().__init__(
            embed_dims, embed_dims, proj_drop=proj_drop, value_skip=False, generator=generator
        )


def _pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Halve (B, C, H, W), rounded up, by max pooling; return the indices too."""
    return F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)


class PoolingStem(nn.Module):
    """Three 3x3 convolutions with a max pooling after the first and the second."""

    def __init__(self, in_channels: int, dims: int) -> None:
        super().__init__()
        half = max(dims // 2, 1)
        self.conv1 = nn.Conv2d(in_channels, half, 3, padding=1)
        self.conv2 = nn.Conv2d(half, dims, 3, padding=1)
        self.conv3 = nn.Conv2d(dims, dims, 3, padding=1)
        self.norm = nn.LayerNorm(dims, eps=1e-5)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map (B, 3, H, W) to (B, H / 4, W / 4, C); return f0 and f1, i0 and i1 too."""
        f0 = F.relu(self.conv1(x))
        x, i0 = _pool(f0)
        f1 = F.relu(self.conv2(x))
        x, i1 = _pool(f1)
        return self.norm(to_nhwc(self.conv3(x))), [f0, f1], [i0, i1]


class PoolingReduction(nn.Module):
    """Layer norm, max pooling, and a linear layer without bias."""

    def __init__(self, in_dims: int, out_dims: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_dims, eps=1e-5)
        self.linear = linear(in_dims, out_dims, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map (B, C, H, W) to (B, H / 2, W / 2, C'); return the normed map and the indices too."""
        normed = to_nchw(self.norm(to_nhwc(x)))
        pooled, indices = _pool(normed)
        return self.linear(to_nhwc(pooled)), [normed], [indices]


@MODELS.register_module()
class PoolingViTAE(Backbone):
    """The encoder of P3M-Net.

    Args:
        arch: A name of :data:`ARCHS`, or a dict with the keys of :class:`PoolingStage`, each a
            tuple of one value per stage or one value for all.
        out_indices: Stages whose maps :meth:`forward` returns.
        attention: Attention instead of the arch's, see
            :class:`~mmvsa.models.backbones.vitaev2.ViTAEv2`.
        qkv_bias: Bias of the projections of q, k and v; Performer attention needs it.
        drop_rate: Dropout rate after projections and in MLPs.
        attn_drop_rate: Dropout rate of attention weights, of all but Performer attention.
        drop_path_rate: Largest drop-path rate; it rises linearly over all cells.
        options: In_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)) of
    strides 4, 8, 16, 32. :meth:`encode` is for decoders that unpool.
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 's',
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        *,
        attention: Attentions = None,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        stages = resolve_arch(arch, PoolingStage, ARCHS, 'PoolingViTAE')
        attentions = resolve_attentions(attention, [stage.attention for stage in stages])
        options = modern_options(options, attentions)
        super().__init__(len(stages), out_indices, **options)
        self.drop_rate = drop_rate
        shared = attention_options(
            qkv_bias=qkv_bias, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate
        )
        rates = drop_path_rates(drop_path_rate, [stage.depth for stage in stages])
        self.stages = ModuleList()
        channels = self.in_channels
        for index, stage in enumerate(stages[: self.num_built_stages]):
            reduction = PoolingReduction if index else PoolingStem
            blocks = [
                self._block(stage, {**shared, **attentions[index]}, rate) for rate in rates[index]
            ]
            self.stages.append(Stage(reduction(channels, stage.token_dims), blocks))
            channels = stage.token_dims
        self.out_channels = tuple(stages[index].token_dims for index in self.out_indices)
        self.freeze_stages()

    def _block(self, stage: PoolingStage, config: dict[str, Any], drop_path: float) -> Block:
        dims, hidden = stage.token_dims, int(stage.token_dims * stage.mlp_ratio)
        convolution = ParallelConvolution(
            (dims, hidden, dims, dims), groups=stage.groups, last_activation=True
        )
        return Block(
            build_attention(config, dims, stage.num_heads, window_size=stage.window_size),
            convolution=convolution,
            mlp_ratio=stage.mlp_ratio,
            drop=self.drop_rate,
            drop_path=drop_path,
        )

    def layer_modules(self) -> list[nn.Module]:
        """Return what shrinks the map and the cells, stage by stage."""
        stages: list[Any] = list(self.stages)
        return [cell for stage in stages for cell in (stage.reduction, *stage.blocks)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to one (B, C, H', W') for each of ``out_indices``."""
        outputs = self._run(x)[0]
        return tuple(outputs[index].contiguous() for index in self.out_indices)

    def encode(self, x: Tensor) -> PooledFeatures:
        """Return the maps before each pooling, normed from f2 on, the last map, and the indices.

        Raises:
            ValueError: H or W is no multiple of the last stride.
        """
        stride = 2 ** (len(self.stages) + 1)
        if any(length % stride for length in x.shape[-2:]):
            raise ValueError(
                f'encode needs height and width in multiples of {stride}, '
                f'got {tuple(x.shape[-2:])}; pad or resize the image'
            )
        outputs, features = self._run(x)
        return PooledFeatures((*features.maps, outputs[-1]), features.indices)

    def _run(self, x: Tensor) -> tuple[list[Tensor], PooledFeatures]:
        """Return the output of every stage, and what was pooled."""
        self.check_input(x)
        outputs: list[Tensor] = []
        maps: list[Tensor] = []
        indices: list[Tensor] = []
        stage: Any
        for stage in self.stages:
            x, pooled, places = self.run_cell(stage.reduction, x)
            maps += pooled
            indices += places
            for block in stage.blocks:
                x = self.run_cell(block, x)
            x = to_nchw(x)
            outputs.append(x)
        return outputs, PooledFeatures(tuple(maps), tuple(indices))
