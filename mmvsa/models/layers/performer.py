"""Attention in linear time by positive random features (Performer, arXiv 2009.14794)."""

import math

import torch
from torch import Tensor, nn

from .linear import linear
from .precision import without_autocast


class PerformerAttention(nn.Module):
    """One head of Performer attention, with the values added to the output.

    The token performer of T2T (arXiv 2101.11986) and of ViTAE's reduction cells: a score
    exp(q . k) is the mean of products of random features of q and of k, so that no score is
    ever written. The random projection is a buffer: part of the state dict, never trained.

    Args:
        embed_dims: input channels C.
        out_dims: output channels.
        feature_ratio: random features per output channel.
        proj_drop: dropout of the projection.
    """

    epsilon = 1e-8

    def __init__(
        self, embed_dims: int, out_dims: int, feature_ratio: float = 0.5, proj_drop: float = 0.0
    ) -> None:
        super().__init__()
        self.out_dims = out_dims
        self.kqv = linear(embed_dims, 3 * out_dims)
        self.proj = linear(out_dims, out_dims)
        self.proj_drop = nn.Dropout(proj_drop)
        features = int(out_dims * feature_ratio)
        directions = nn.init.orthogonal_(torch.empty(features, out_dims))
        self.register_buffer('directions', directions * math.sqrt(features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims)."""
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
        out = v + self.proj_drop(self.proj(out.to(x.dtype)))
        return out.unflatten(1, x.shape[1:3])

    def _features(self, x: Tensor) -> Tensor:
        """(B, N, d) -> positive features (B, N, m): exp(w . x - |x|^2 / 2) / sqrt(m)."""
        directions = self.directions.to(x.dtype)
        half_square = x.square().sum(-1, keepdim=True) / 2
        return torch.exp(x @ directions.T - half_square) / math.sqrt(directions.shape[0])  # type: ignore[index, operator]
