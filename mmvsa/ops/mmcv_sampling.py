"""Sampling by mmcv's multi-scale deformable attention op.

With one level, one point and weight 1 that op is bilinear sampling with zero padding; with
``location = (pixel + 0.5) / size`` it equals ``F.grid_sample(align_corners=True)``.

The compiled op is wrapped as ``torch.ops.mmvsa.deform_sample``, which ``torch.compile`` takes as
one node, without a graph break. Its CPU kernel computes the same in plain PyTorch, so that the
wrapping is tested without a GPU.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from .precision import without_autocast

# value (B, HW, heads, C), points (B, Q, heads, 2) in pixels, H, W -> (B, Q, heads, C)
DeformAttnOp = Callable[[Tensor, Tensor, int, int], Tensor]


def sample_mmcv(kv: Tensor, points: Tensor, op: DeformAttnOp | None = None) -> Tensor:
    """Sample as :func:`mmvsa.ops.torch_sampling.sample_torch` does, with mmcv's op.

    Args:
        kv: (B, H, W, heads, ...); the dimensions after the heads are the channels C.
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map.
        op: The op to call; mmcv's compiled one by default. :func:`torch_twin` runs anywhere.

    Returns:
        (B, nH, nW, heads, N, C) in the dtype of ``kv``.
    """
    batch, height, width, heads, channels = kv.flatten(4).shape
    rows, columns, num_points = points.shape[1], points.shape[2], points.shape[4]
    # The op casts locations to the values' dtype, and half-precision locations are off by pixels.
    dtype = torch.promote_types(kv.dtype, torch.float32)
    value = kv.reshape(batch, height * width, heads, channels).to(dtype).contiguous()
    queries = points.to(dtype).transpose(3, 4).reshape(batch, -1, heads, 2)
    with without_autocast(kv.device):
        out = (op or compiled_op)(value, queries, height, width)
    out = out.view(batch, rows, columns, num_points, heads, channels)
    return out.transpose(3, 4).to(kv.dtype)


def compiled_op(value: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    """Sample by mmcv's CUDA op as one node of a graph, with gradients of values and points.

    Args:
        value: (B, H*W, heads, C).
        points: (B, Q, heads, 2), (x, y) in pixels.
        height: of the map, H.
        width: of the map, W.

    Returns:
        (B, Q, heads, C).
    """
    return torch.ops.mmvsa.deform_sample(value, points, height, width)


def torch_twin(value: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    """Sample by mmcv's pure-torch form of the same op: same locations, any device."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    locations, weights = _mmcv_inputs(points, height, width)
    shapes, _ = _level_tensors(height, width, value.device)
    out = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    return out.unflatten(-1, value.shape[2:])


def _mmcv_inputs(points: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(B, Q, heads, 2) pixels -> locations (B, Q, heads, 1, 1, 2) in the unit square, weights."""
    size = _size_tensor(height, width, points.device, points.dtype)
    locations = ((points + 0.5) / size)[:, :, :, None, None].contiguous()
    return locations, locations.new_ones(locations.shape[:-1])


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


@torch.library.custom_op('mmvsa::deform_sample', mutates_args=(), device_types='cuda')
def _deform_sample(value: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    import mmcv._ext as extension

    locations, weights = _mmcv_inputs(points, height, width)
    shapes, starts = _level_tensors(height, width, value.device)
    step = im2col_step(value.shape[0])
    out = extension.ms_deform_attn_forward(
        value, shapes, starts, locations, weights, im2col_step=step
    )
    return out.view(*points.shape[:3], value.shape[3])


@torch.library.custom_op('mmvsa::deform_sample_backward', mutates_args=(), device_types='cuda')
def _deform_sample_backward(
    grad: Tensor, value: Tensor, points: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    import mmcv._ext as extension

    locations, weights = _mmcv_inputs(points, height, width)
    shapes, starts = _level_tensors(height, width, value.device)
    grad_value, grad_locations, grad_weights = map(torch.zeros_like, (value, locations, weights))
    extension.ms_deform_attn_backward(
        value,
        shapes,
        starts,
        locations,
        weights,
        grad.flatten(2).contiguous(),
        grad_value,
        grad_locations,
        grad_weights,
        im2col_step=im2col_step(value.shape[0]),
    )
    size = _size_tensor(height, width, points.device, points.dtype)
    return grad_value, grad_locations.view_as(points) / size


@_deform_sample.register_kernel('cpu')
def _deform_sample_cpu(value: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    maps, grid = _as_grid_sample(value, points, height, width)
    out = torch.ops.aten.grid_sampler_2d(maps, grid, 0, 0, False)  # B*heads, C, Q, 1
    out = out.view(value.shape[0], value.shape[2], value.shape[3], points.shape[1])
    return out.permute(0, 3, 1, 2).contiguous()


@_deform_sample_backward.register_kernel('cpu')
def _deform_sample_backward_cpu(
    grad: Tensor, value: Tensor, points: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    maps, grid = _as_grid_sample(value, points, height, width)
    grad_out = grad.permute(0, 2, 3, 1).flatten(0, 1).unsqueeze(-1).contiguous()
    grad_maps, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
        grad_out, maps, grid, 0, 0, False, [True, True]
    )
    batch, heads = value.shape[0], value.shape[2]
    grad_value = grad_maps.view(batch, heads, value.shape[3], -1).permute(0, 3, 1, 2)
    grad_points = grad_grid.view(batch, heads, -1, 2).transpose(1, 2).contiguous()
    size = _size_tensor(height, width, points.device, points.dtype)
    return grad_value.contiguous(), grad_points * (2 / size)


def _as_grid_sample(
    value: Tensor, points: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Maps (B*heads, C, H, W) and grid (B*heads, Q, 1, 2) for ``align_corners=False``."""
    maps = value.permute(0, 2, 3, 1).flatten(0, 1).unflatten(-1, (height, width)).contiguous()
    locations, _ = _mmcv_inputs(points, height, width)
    grid = (2 * locations - 1).transpose(1, 2).flatten(0, 1)[:, :, :, 0]
    return maps, grid.contiguous()


@_deform_sample.register_fake
def _deform_sample_fake(value: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    return value.new_empty(*points.shape[:3], value.shape[3])


@_deform_sample_backward.register_fake
def _deform_sample_backward_fake(
    grad: Tensor, value: Tensor, points: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    return value.new_empty(value.shape), points.new_empty(points.shape)


def _save_inputs(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: Tensor) -> None:
    value, points, ctx.height, ctx.width = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(value, points)


def _backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple:
    value, points = ctx.saved_tensors  # type: ignore[attr-defined]
    size = (ctx.height, ctx.width)  # type: ignore[attr-defined]
    grads = torch.ops.mmvsa.deform_sample_backward(grad, value, points, *size)
    return *grads, None, None


_deform_sample.register_autograd(_backward, setup_context=_save_inputs)


def unavailable_reasons(device: torch.device) -> list[str]:
    """Return why mmcv's op cannot run on ``device``; empty if it can."""
    if device.type != 'cuda':
        return [f'the op is compiled for CUDA and the tensors are on {device.type}']
    problem = _extension_problem()
    return [problem] if problem else []


@torch.compiler.assume_constant_result
def _extension_problem() -> str:
    """Return what is wrong with mmcv's compiled extension, or an empty string."""
    try:
        import mmcv._ext as extension
    except ImportError as error:
        return f'mmcv has no compiled ops ({error}); run `bash tools/install.sh`'
    if not hasattr(extension, 'ms_deform_attn_forward'):
        return 'mmcv was compiled without ms_deform_attn; run `bash tools/install.sh`'
    return ''
