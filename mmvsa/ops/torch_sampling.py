"""The reference sampler: bilinear sampling with zero padding in plain PyTorch."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_torch(kv: Tensor, points: Tensor) -> Tensor:
    """Sample a channels-last map bilinearly; what lies outside the map reads zero.

    The same function as ``F.grid_sample(align_corners=True, padding_mode='zeros')``, written as a
    weighted embedding bag: a sample is the weighted sum of four rows of a (B*H*W*heads, C) table.
    So the map stays channels-last, the samples come out in the order of the points, and a point
    on a whole pixel reads that pixel exactly.

    Args:
        kv: (B, H, W, heads, C).
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map, float32 or float64.

    Returns:
        (B, nH, nW, heads, N, C) in the dtype of ``kv``.
    """
    batch, height, width, heads, channels = kv.shape
    # Half-precision tables would need half-precision weights, which are too coarse.
    dtype = torch.promote_types(kv.dtype, torch.float32)
    table = kv.reshape(-1, channels).to(dtype)
    index, weight = _corner_rows(points.to(dtype), height, width)
    index = index.reshape(-1, 4)
    weight = weight.reshape(-1, 4)
    samples = F.embedding_bag(index, table, mode='sum', per_sample_weights=weight)
    return samples.view(*points.shape[:-1], channels).to(kv.dtype)


def _corner_rows(points: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows of the table and bilinear weights of the four pixels around each point.

    Args:
        points: (B, nH, nW, heads, N, 2) as (x, y).

    Returns:
        index and weight, each (B, nH, nW, heads, N, 4); pixels outside have weight 0.
    """
    batch, _, _, heads = points.shape[:4]
    low = points.detach().floor()
    fraction = points - low  # differentiable
    x = torch.stack((low[..., 0], low[..., 0] + 1), -1)
    y = torch.stack((low[..., 1], low[..., 1] + 1), -1)
    # `where` rather than `clamp`: a NaN point must give a NaN weight, not a wild index.
    x_inside = (x >= 0) & (x <= width - 1)
    y_inside = (y >= 0) & (y <= height - 1)
    weight_x = torch.stack((1 - fraction[..., 0], fraction[..., 0]), -1) * x_inside
    weight_y = torch.stack((1 - fraction[..., 1], fraction[..., 1]), -1) * y_inside
    column = torch.where(x_inside, x, 0).long()
    row = torch.where(y_inside, y, 0).long()
    image = torch.arange(batch, device=points.device).view(-1, 1, 1, 1, 1, 1)
    head = torch.arange(heads, device=points.device).view(-1, 1, 1)
    pixel_row = ((image * height + row) * width).unsqueeze(-1)
    index = (pixel_row + column.unsqueeze(-2)) * heads + head.unsqueeze(-1)
    weight = weight_y.unsqueeze(-1) * weight_x.unsqueeze(-2)
    return index.flatten(-2), weight.flatten(-2)
