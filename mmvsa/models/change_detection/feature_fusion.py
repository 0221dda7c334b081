"""Fusing the feature maps of two images."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmvsa.registry import MODELS

POLICIES = ('concat', 'abs_diff')


@MODELS.register_module()
class FeatureFusionNeck(BaseModule):
    """Fuse the maps of both images of a pair, level by level.

    The name and the policies are those of Open-CD.

    Args:
        policy: ``'concat'`` keeps both, the first image's channels first (2 * C channels);
            ``'abs_diff'`` is the absolute difference (C channels).
    """

    def __init__(self, policy: str = 'concat') -> None:
        super().__init__()
        if policy not in POLICIES:
            raise ValueError(f'policy must be one of {POLICIES}, got {policy!r}')
        self.policy = policy

    def forward(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Two lists of maps (N, C_i, H_i, W_i) -> one tuple of (N, C_i or 2 * C_i, H_i, W_i)."""
        pairs = zip(before, after, strict=True)
        if self.policy == 'concat':
            return tuple(torch.cat(pair, dim=1) for pair in pairs)
        return tuple((first - second).abs() for first, second in pairs)
