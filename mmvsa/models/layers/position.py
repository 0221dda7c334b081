"""Position terms: absolute embeddings, the relative position table, decomposed terms."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.models.checks import check_int, check_ints
from mmvsa.ops.windows import known_equal


def resize_position(embedding: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Interpolate absolute position embeddings of a map (bicubic) for a map of another size.

    Args:
        embedding: (1, E + H*W, C); the first E, such as a class token's, stay as they are.
        old: (H, W) that the embeddings are for.
        new: (newH, newW) that they are wanted for.

    Returns:
        (1, E + newH*newW, C).
    """
    if known_equal(old, new):
        return embedding
    extra = embedding.shape[1] - old[0] * old[1]
    image = embedding[:, extra:].unflatten(1, old).permute(0, 3, 1, 2).float()  # 1, C, H, W
    image = F.interpolate(image, size=new, mode='bicubic', align_corners=False)
    resized = image.flatten(2).transpose(1, 2).to(embedding.dtype)
    return torch.cat((embedding[:, :extra], resized), 1)


def sincos_position(size: tuple[int, int], dims: int) -> Tensor:
    """Return the fixed absolute position embeddings of MAE (arXiv 2111.06377).

    Half of the channels are sines, then cosines, of the column, half of the row, at frequencies
    from 1 down to 1 / 10000 (Vaswani et al., arXiv 1706.03762). mmpretrain's have the row first.

    Args:
        size: (H, W) of the map.
        dims: Channels C.

    Returns:
        (1, H*W, C).

    Raises:
        ValueError: C is no multiple of 4.
    """
    if dims % 4:
        raise ValueError(f'dims must be a multiple of 4, got {dims}')
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in size), indexing='ij')
    places = torch.stack((columns, rows), -1).flatten(0, 1)  # H*W, 2
    frequencies = 10000 ** (-torch.arange(dims // 4).double() / (dims // 4))
    angles = places[..., None] * frequencies  # H*W, 2, C/4
    return torch.cat((angles.sin(), angles.cos()), -1).flatten(1).float()[None]


def resize_table(table: Tensor, rows: int) -> Tensor:
    """Interpolate a relative position table (bicubic): ((2 a - 1)^2, heads) -> (rows, heads).

    A table whose rows are no square stays as it is.
    """
    old, new = math.isqrt(table.shape[0]), math.isqrt(rows)
    if old * old != table.shape[0]:
        return table
    image = table.float().T.reshape(1, -1, old, old)
    image = F.interpolate(image, size=(new, new), mode='bicubic', align_corners=True)
    return image.reshape(-1, new * new).T.to(table.dtype)


def resize_line(table: Tensor, rows: int) -> Tensor:
    """Interpolate relative positions of one axis (linear): (2 a - 1, d) -> (rows, d)."""
    line = F.interpolate(table.float().T[None], size=rows, mode='linear', align_corners=True)
    return line[0].T.to(table.dtype)


def relative_position_index(window_size: int) -> Tensor:
    """Return the rows of a ((2 ws - 1)^2, heads) table for each pair of pixels, (ws*ws, ws*ws).

    Rows are in the order of Swin (query - key, row-major).
    """
    line = torch.arange(window_size)
    position = torch.stack(torch.meshgrid(line, line, indexing='ij'), -1).flatten(0, 1)  # (h, w)
    offset = position[:, None] - position[None] + window_size - 1
    return offset[..., 0] * (2 * window_size - 1) + offset[..., 1]


class DecomposedPosition(nn.Module):
    """Relative position as a height and a width term, each a product with the queries.

    bias(query, key) = q . rel_pos_h[rows apart] + q . rel_pos_w[columns apart] (MViTv2, arXiv
    2112.01526). On a map of another size than ``size`` the embeddings are interpolated.

    Args:
        size: (H, W) of the window or map.
        head_dims: Channels d of a head.

    Raises:
        ValueError: A size or width that is not positive.
        TypeError: A size or width that is no integer.
    """

    def __init__(self, size: tuple[int, int], head_dims: int) -> None:
        super().__init__()
        if len(check_ints('size', size)) != 2:
            raise ValueError(f'size must be (H, W), got {size}')
        check_int('head_dims', head_dims)
        tables = (torch.zeros(2 * length - 1, head_dims) for length in size)
        self.rel_pos_h, self.rel_pos_w = (
            nn.Parameter(nn.init.trunc_normal_(table, std=0.02)) for table in tables
        )

    def forward(self, q: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the bias of a map of ``size`` (H, W).

        q: (B, heads, H*W, d). Returns (B, heads, H*W, H*W).
        """
        height, width = size
        by_row = _by_distance(self.rel_pos_h, height).to(q.dtype)  # H, H, d
        by_column = _by_distance(self.rel_pos_w, width).to(q.dtype)  # W, W, d
        q = q.unflatten(2, size)
        rows = torch.einsum('bnhwd,hkd->bnhwk', q, by_row)
        columns = torch.einsum('bnhwd,wkd->bnhwk', q, by_column)
        return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(4).flatten(2, 3)


def _by_distance(table: Tensor, length: int) -> Tensor:
    """Look up the row of ``query - key``: (2 n - 1, d) -> (length, length, d)."""
    if not known_equal((table.shape[0],), (2 * length - 1,)):
        table = resize_line(table, 2 * length - 1)
    position = torch.arange(length, device=table.device)
    return table[position[:, None] - position + length - 1]
