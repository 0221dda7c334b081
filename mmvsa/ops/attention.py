"""Scaled dot-product attention with a bias, and what it needs on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Largest number of keys for which training on a CPU writes out the scores, see `attend`.
MAX_WRITTEN_KEYS = 256


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    bias: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Compute softmax(q k^T * scale + bias) v.

    Args:
        q: (B, heads, N, d), as are ``k`` and ``v``.
        k: Keys.
        v: Values.
        scale: Factor of q k^T.
        bias: (1, heads, N, N) or (B, heads, N, N), added to the scores.
        dropout: Rate at which attention weights are dropped.

    Returns:
        (B, heads, N, d).
    """
    if bias is not None:
        # Of a size that an export leaves open, nothing tells whether 1 is all of the batch.
        bias = bias.to(q.dtype).expand(q.shape[0], -1, -1, -1)
        trained = bias.requires_grad and q.device.type == 'cpu'
        if trained and k.shape[-2] <= MAX_WRITTEN_KEYS:
            return _attend_by_bmm(q, k, v, scale=scale, bias=bias, dropout=dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, scale=scale)


def _attend_by_bmm(
    q: Tensor, k: Tensor, v: Tensor, *, scale: float, bias: Tensor, dropout: float
) -> Tensor:
    """Compute attention with two ``bmm`` calls.

    SDPA's fused CPU kernel does not support a bias that requires grad, and its fallback is slower.
    """
    batch = q.shape[:2]
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))  # (B*heads, N, d)
    bias = bias.flatten(0, 1)
    weights = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale).softmax(-1)
    if dropout:
        weights = F.dropout(weights, dropout)
    return torch.bmm(weights, v).unflatten(0, batch)
