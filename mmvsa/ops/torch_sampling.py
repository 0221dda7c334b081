"""The reference sampler: bilinear sampling with zero padding in plain PyTorch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import without_autocast


def sample_torch(kv: Tensor, points: Tensor) -> Tensor:
    """Sample a channels-last map bilinearly; points outside the map read zero.

    Args:
        kv: (B, H, W, heads, ...); the dimensions after the heads are the channels C.
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map.

    Returns:
        (B, nH, nW, heads, N, C) in the dtype of ``kv``.
    """
    batch, height, width, heads = kv.shape[:4]
    # Coordinates in half precision are off by pixels, and grid_sample wants one dtype.
    dtype = torch.promote_types(kv.dtype, torch.float32)
    maps = kv.flatten(4).to(dtype) if kv.dim() == 5 else kv.to(dtype)
    maps = maps.permute(0, 3, *range(4, maps.dim()), 1, 2).reshape(batch * heads, -1, height, width)
    # align_corners=False has no division by zero for a map that is one pixel wide.
    # No tensor from numbers: a CUDA graph cannot capture its copy to the GPU, and an export would
    # fix sizes that it leaves open.
    x, y = (2 * points + 1).unbind(-1)
    grid = torch.stack((x / width - 1, y / height - 1), -1).to(dtype)
    grid = grid.permute(0, 3, 1, 2, 4, 5).reshape(batch * heads, -1, points.shape[4], 2)
    with without_autocast(kv.device):
        samples = F.grid_sample(maps, grid, padding_mode='zeros', align_corners=False)
    samples = samples.view(batch, heads, -1, *points.shape[1:3], points.shape[4])
    return samples.permute(0, 3, 4, 1, 5, 2).to(kv.dtype)  # B, nH, nW, heads, N, C
