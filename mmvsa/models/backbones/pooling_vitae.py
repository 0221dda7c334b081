"""The ViTAE encoder of P3M-Net: maps shrink by max pooling, whose indices are kept.

Network and sizes: core/network/ViTAE_S of ViTAE-Transformer/P3M-Net (arXiv 2203.16828). It is
neither ViTAE-S nor ViTAEv2-S, although it is called ViTAE-S there.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.layers import (
    FullAttention,
    Mlp,
    ParallelConvolution,
    PerformerAttention,
    linear,
    to_nchw,
    to_nhwc,
)
from mmvsa.registry import MODELS

from .base import Backbone

ARCHS: dict[str, dict[str, Any]] = {
    's': dict(
        token_dims=(64, 128, 256, 512),
        depths=(2, 2, 12, 2),
        num_heads=(1, 2, 4, 8),
        groups=(1, 32, 64, 128),
        mlp_ratio=4.0,
        attention=('performer', 'full', 'full', 'full'),
    ),
}
ATTENTIONS = ('performer', 'full')


class PooledFeatures(NamedTuple):
    """Maps before each max pooling, and the indices of that pooling.

    Attributes:
        maps: f0 ... f4 and e, (B, C_i, H / 2**i, W / 2**i).
        indices: i0 ... i4, int64 (B, C_i, H / 2**(i+1), W / 2**(i+1)), into the map's H * W.
    """

    maps: tuple[Tensor, ...]
    indices: tuple[Tensor, ...]


def _pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Halve (B, C, H, W), rounded up, by max pooling; return the indices too."""
    return F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)


class PoolingStem(nn.Module):
    """Three 3x3 convolutions with a max pooling after the first and the second."""

    def __init__(self, in_channels: int, dims: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, dims // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(dims // 2, dims, 3, padding=1)
        self.conv3 = nn.Conv2d(dims, dims, 3, padding=1)
        self.norm = nn.LayerNorm(dims, eps=1e-5)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """(B, 3, H, W) -> (B, H / 4, W / 4, C), the maps f0 and f1, the indices i0 and i1."""
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
        """(B, H, W, C) -> (B, H / 2, W / 2, C'), the normalized map, the indices."""
        x = to_nchw(self.norm(x))
        pooled, indices = _pool(x)
        return self.linear(to_nhwc(pooled)), [x], [indices]


class _Performer(PerformerAttention):
    """Performer attention without the values added, with the same projection in every model.

    The official files lack the random projection: drawn from a fixed generator, they give one
    result here.
    """

    def __init__(self, dims: int) -> None:
        super().__init__(dims, dims)
        features = self.directions.shape[0]  # type: ignore[index, union-attr]
        generator = torch.Generator().manual_seed(0)
        directions = torch.empty(features, dims, device='cpu')
        nn.init.orthogonal_(directions, math.sqrt(features), generator=generator)
        self.directions = directions.to(self.kqv.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        values = self.kqv(x)[..., -self.out_dims :]
        return super().forward(x) - values


class PoolingCell(nn.Module):
    """x + attention(x) + PCM(x), then MLP."""

    def __init__(
        self,
        dims: int,
        attention: nn.Module,
        *,
        groups: int,
        mlp_ratio: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        hidden = int(dims * mlp_ratio)
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = Mlp(dims, hidden)
        self.pcm = ParallelConvolution(
            (dims, hidden, dims, dims), groups=groups, last_activation=True
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        convolved = self.drop_path(to_nhwc(self.pcm(to_nchw(x))))
        x = x + self.drop_path(self.attn(self.norm1(x))) + convolved
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PoolingStage(nn.Module):
    """What shrinks the map, then cells."""

    def __init__(self, reduction: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.reduction = reduction
        self.blocks = ModuleList(blocks)


@MODELS.register_module()
class PoolingViTAE(Backbone):
    """The encoder of P3M-Net.

    Args:
        arch: a name of :data:`ARCHS`, or a dict with the keys of ``ARCHS['s']``; ``attention``
            is ``'performer'`` (of one head) or ``'full'`` for each stage.
        out_indices: stages whose maps :meth:`forward` returns.
        drop_path_rate: largest drop-path rate; it rises linearly over all cells.
        options: those of :class:`~mmvsa.models.backbones.base.Backbone`.

    Input (B, 3, H, W) of any H and W; output a tuple of (B, C_i, ceil(H / s_i), ceil(W / s_i)) of
    strides 4, 8, 16, 32. All but the last are normalized.
    """

    def __init__(
        self,
        arch: str | dict[str, Any] = 's',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        *,
        drop_path_rate: float = 0.0,
        **options: Any,
    ) -> None:
        settings = resolve_arch(arch)
        super().__init__(len(settings['depths']), out_indices, **options)
        self.arch_settings = settings
        dims, depths = settings['token_dims'], settings['depths']
        rates = torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist()
        self.stages = ModuleList()
        for i, depth in enumerate(depths):
            reduction = (
                PoolingReduction(dims[i - 1], dims[i])
                if i
                else PoolingStem(self.in_channels, dims[0])
            )
            blocks = [self._cell(i, rates.pop(0)) for _ in range(depth)]
            self.stages.append(PoolingStage(reduction, blocks))
        self.out_channels = tuple(dims[i] for i in self.out_indices)

    def _cell(self, index: int, drop_path: float) -> PoolingCell:
        arch = self.arch_settings
        dims = arch['token_dims'][index]
        if arch['attention'][index] == 'performer':
            attention: nn.Module = _Performer(dims)
        else:
            attention = FullAttention(dims, arch['num_heads'][index])
        return PoolingCell(
            dims,
            attention,
            groups=arch['groups'][index],
            mlp_ratio=arch['mlp_ratio'],
            drop_path=drop_path,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> one (B, C, H', W') map for each of ``out_indices``."""
        maps = self._pooled_features(x).maps[2:]
        return tuple(maps[index].contiguous() for index in self.out_indices)

    def encode(self, x: Tensor) -> PooledFeatures:
        """(B, 3, H, W) -> the maps before each pooling, the last map, and the indices.

        Raises:
            ValueError: H or W is no multiple of the last stride.
        """
        stride = 2 ** (len(self.stages) + 1)
        if any(length % stride for length in x.shape[-2:]):
            raise ValueError(
                f'encode needs height and width in multiples of {stride}, '
                f'got {tuple(x.shape[-2:])}; pad or resize the image'
            )
        return self._pooled_features(x)

    def _pooled_features(self, x: Tensor) -> PooledFeatures:
        self.check_input(x)
        maps: list[Tensor] = []
        indices: list[Tensor] = []
        for stage in self.stages:
            x, new_maps, new_indices = stage.reduction(x)
            maps += new_maps
            indices += new_indices
            for block in stage.blocks:
                x = self.run_cell(block, x)
        return PooledFeatures((*maps, to_nchw(x)), tuple(indices))


def resolve_arch(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a named arch or of a dict, checked.

    Raises:
        ValueError: an unknown name or key, a missing key, a per-stage list of the wrong length.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(
                f'unknown arch {arch!r} of PoolingViTAE; choose one of {sorted(ARCHS)}'
            )
        return ARCHS[arch.lower()]
    if arch.keys() != ARCHS['s'].keys():
        raise ValueError(f'an arch dict needs the keys {list(ARCHS["s"])}, got {list(arch)}')
    for key, values in arch.items():
        if key != 'mlp_ratio' and len(values) != len(arch['depths']):
            raise ValueError(
                f'{key} has {len(values)} entries for {len(arch["depths"])} stages: {values}'
            )
    for i, kind in enumerate(arch['attention']):
        if kind not in ATTENTIONS or (kind == 'performer' and arch['num_heads'][i] != 1):
            raise ValueError(
                f'attention of stage {i} must be one of {ATTENTIONS}, performer with one head; '
                f'got {kind!r} with {arch["num_heads"][i]}'
            )
    return arch
