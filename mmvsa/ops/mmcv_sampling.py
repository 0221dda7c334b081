"""Sampling by mmcv's multi-scale deformable attention op.

With one level, one point and weight 1 that op is bilinear sampling with zero padding; with
``location = (pixel + 0.5) / size`` it equals ``F.grid_sample(align_corners=True)``.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

# value, spatial_shapes, level_start_index, locations, weights -> (B, Q, heads * C)
DeformAttnOp = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def sample_mmcv(kv: Tensor, points: Tensor, op: DeformAttnOp | None = None) -> Tensor:
    """Sample as :func:`mmvsa.ops.torch_sampling.sample_torch` does, with mmcv's op.

    Args:
        kv: (B, H, W, heads, C).
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map.
        op: the op to call; mmcv's compiled one by default. :func:`torch_twin` runs anywhere.

    Returns:
        (B, nH, nW, heads, N, C) in the dtype of ``kv``.
    """
    batch, height, width, heads, channels = kv.shape
    rows, columns, num_points = points.shape[1], points.shape[2], points.shape[4]
    # The op casts locations to the values' dtype, and half-precision locations are off by pixels.
    dtype = torch.promote_types(kv.dtype, torch.float32)
    value = kv.reshape(batch, height * width, heads, channels).to(dtype).contiguous()
    locations = _locations(points.to(dtype), height, width)  # B, Q, heads, 1, 1, 2
    weights = locations.new_ones(locations.shape[:-1])
    shapes, starts = _level_tensors(height, width, kv.device)
    with torch.autocast(kv.device.type, enabled=False):
        out = (op or compiled_op)(value, shapes, starts, locations, weights)
    out = out.view(batch, rows, columns, num_points, heads, channels)
    return out.transpose(3, 4).to(kv.dtype)


def _locations(points: Tensor, height: int, width: int) -> Tensor:
    """(B, nH, nW, heads, N, 2) pixels -> (B, nH*nW*N, heads, 1, 1, 2) in the op's unit square."""
    size = _size_tensor(height, width, points.device, points.dtype)
    unit = ((points + 0.5) / size).transpose(3, 4)
    return unit.reshape(points.shape[0], -1, points.shape[3], 1, 1, 2).contiguous()


# Built once for a shape: a tensor made from Python numbers waits for the GPU.
@functools.lru_cache(maxsize=256)
def _level_tensors(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    shapes = torch.tensor([[height, width]], dtype=torch.long, device=device)
    return shapes, torch.zeros(1, dtype=torch.long, device=device)


@functools.lru_cache(maxsize=256)
def _size_tensor(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor([width, height], dtype=dtype, device=device)


def im2col_step(batch: int, limit: int = 64) -> int:
    """Largest step up to ``limit`` that the op accepts: it must divide the batch."""
    return max(step for step in range(1, min(batch, limit) + 1) if batch % step == 0)


def compiled_op(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """mmcv's CUDA op, with gradients of values and locations."""
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    step = im2col_step(value.shape[0])
    return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, step)


def torch_twin(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """mmcv's pure-torch form of the same op: same tensors, same locations, any device."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    del starts
    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


def unavailable_reasons(device: torch.device) -> list[str]:
    """Why mmcv's op cannot run on ``device``; empty if it can."""
    reasons = []
    if device.type != 'cuda':
        reasons.append(f'the op is compiled for CUDA and the tensors are on {device.type}')
    reason = _extension_problem()
    if reason:
        reasons.append(reason)
    return reasons


@functools.lru_cache(maxsize=1)
def _extension_problem() -> str:
    """What is wrong with mmcv's compiled extension ('' if nothing), found once."""
    try:
        import mmcv._ext as extension
    except ImportError as error:
        return f'mmcv has no compiled ops ({error}); run `bash tools/install.sh`'
    if not hasattr(extension, 'ms_deform_attn_forward'):
        return 'mmcv was compiled without ms_deform_attn; run `bash tools/install.sh`'
    return ''
