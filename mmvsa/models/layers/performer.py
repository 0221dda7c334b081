"""Attention in linear time by positive random features (Performer, arXiv 2009.14794)."""

import math

import torch
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_int, check_number, check_rate
from mmvsa.ops.precision import without_autocast

from .mlp import linear


class PerformerAttention(nn.Module):
    """One head of Performer attention, with the values added to the output by default.

    The token performer of T2T (arXiv 2101.11986) and of ViTAE's reduction cells: a score
    exp(q . k) is the mean of products of random features of q and of k, so that no score is
    ever written. The random projection is a buffer: part of the state dict, never trained.

    Args:
        embed_dims: Input channels C.
        out_dims: Output channels.
        feature_ratio: Random features per output channel.
        proj_drop: Dropout rate of the projection.
        value_skip: Add the values to the output, as reduction cells do.
        generator: Draws the random projection; by default PyTorch's own.

    Raises:
        ValueError: A width or ratio that is not positive, a rate outside [0, 1).
        TypeError: A width that is no integer, a ratio or rate that is no number.
    """

    epsilon = 1e-8

    def __init__(
        self,
        embed_dims: int,
        out_dims: int,
        *,
        feature_ratio: float = 0.5,
        proj_drop: float = 0.0,
        value_skip: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.embed_dims = check_int('embed_dims', embed_dims)
        self.out_dims = check_int('out_dims', out_dims)
        features = int(out_dims * check_number('feature_ratio', feature_ratio, exclusive=True))
        if features < 1:
            raise ValueError(f'feature_ratio={feature_ratio} leaves no feature of {out_dims}')
        self.kqv = linear(embed_dims, 3 * out_dims)
        self.proj = linear(out_dims, out_dims)
        self.proj_drop = nn.Dropout(check_rate('proj_drop', proj_drop))
        self.value_skip = check_bool('value_skip', value_skip)
        directions = torch.empty(features, out_dims)
        nn.init.orthogonal_(directions, generator=generator)
        self.register_buffer('directions', directions * math.sqrt(features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, out_dims)."""
        # The exponentials need float32, under autocast too.
        with without_autocast(x.device):
            dtype = torch.promote_types(self.kqv.weight.dtype, torch.float32)
            kqv = nn.functional.linear(
                x.flatten(1, 2).to(dtype), self.kqv.weight.to(dtype), self.kqv.bias.to(dtype)
            )
            k, q, v = kqv.chunk(3, -1)  # each (B, N, out_dims)
            key_features, query_features = self._features(k), self._features(q)  # (B, N, m)
            summary = key_features.transpose(1, 2) @ v  # B, m, out_dims
            norm = query_features @ key_features.sum(1).unsqueeze(-1)  # B, N, 1
            out = query_features @ summary / (norm + self.epsilon)
        out = self.proj_drop(self.proj(out.to(x.dtype)))
        out = v.to(x.dtype) + out if self.value_skip else out
        return out.unflatten(1, x.shape[1:3])

    def _features(self, x: Tensor) -> Tensor:
        """Compute exp(w . x - |x|^2 / 2) / sqrt(m): (B, N, d) -> (B, N, m)."""
        directions = self.directions.to(x.dtype)
        half_square = x.square().sum(-1, keepdim=True) / 2
        return torch.exp(x @ directions.T - half_square) / math.sqrt(directions.shape[0])  # type: ignore[index, operator]
