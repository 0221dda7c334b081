"""Changes of tensors that several families need."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .keys import Row

# Buffers that mmvsa computes instead of storing them.
COMPUTED = Row(
    '*.{relative_position_index,attn_mask,base_coords,coords}', None, 'computed by mmvsa'
)


def as_matrix(value: Tensor) -> Tensor:
    """Return a 1x1 convolution's weight (O, I, 1, 1) as a matrix (O, I); others stay."""
    return value.flatten(1) if value.dim() > 1 else value


def join_heads(*counts: int) -> Callable[[Sequence[Tensor]], Tensor]:
    """Return a function that joins predictions of several regressors head by head.

    Args:
        counts: rows that each of the regressors has per head. Tensors of (heads * count, ...)
            become one of (heads * sum of counts, ...).
    """

    def join(values: Sequence[Tensor]) -> Tensor:
        by_head = [
            as_matrix(value).unflatten(0, (-1, count))
            for value, count in zip(values, counts, strict=True)
        ]
        return torch.cat(by_head, 1).flatten(0, 1)

    return join
