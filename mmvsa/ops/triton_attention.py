"""Varied-size window attention in one Triton kernel: sample, score, softmax, accumulate.

Sampled keys and values stay in registers. A program handles one window and head (and one block
of queries, if a window has more than 64). The backward kernel samples and scores again instead of
reading them back. Coordinates, sums and softmax are float32 whatever the maps' dtype.

Triton is imported when the kernel is first used. With ``TRITON_INTERPRET=1`` in the environment
before that, the kernel runs on a CPU, slowly, for tests.
"""

import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MAX_HEAD_DIMS = 128
MAX_WINDOW_SIZE = 16


# Looked up once: a compiled model must not ask again.
_HAS_TRITON = importlib.util.find_spec('triton') is not None
_INTERPRET = os.environ.get('TRITON_INTERPRET', '0') == '1'


def interpreting() -> bool:
    """True if Triton interprets kernels on the CPU."""
    return _INTERPRET


def unavailable_reasons(device: torch.device) -> list[str]:
    """Why the kernel cannot run on ``device``; empty if it can."""
    reasons = []
    if device.type != 'cuda' and not _INTERPRET:
        reasons.append(f'the kernel runs on CUDA and the tensors are on {device.type}')
    if not _HAS_TRITON:
        reasons.append('triton is not installed')
    if device.type == 'cuda' and torch.cuda.is_available():
        major = torch.cuda.get_device_properties(device).major
        if major < 8:
            reasons.append(f'the GPU has compute capability {major}, below 8 (Ampere)')
    return reasons


def sample_triton(kv: Tensor, points: Tensor) -> Tensor:
    """Refuse: the kernel never writes samples."""
    raise RuntimeError(
        "backend 'triton' samples inside attention and gives no samples; choose another one here"
    )


def attend_triton(
    q: Tensor,
    kv: Tensor,
    points: Tensor,
    bias: Tensor | None,
    scale: float,
    window_size: int,
    top: int = 0,
    left: int = 0,
) -> Tensor:
    """softmax(q k^T * scale + bias) v with k and v sampled at the points of every window.

    Args:
        q: (B, H, W, heads, d).
        kv: (B, H, W, heads, 2d), k before v.
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map; N = ws*ws.
        bias: (heads, N, N), added to the scores.
        scale: factor of q k^T.
        window_size: ``ws``.
        top, left: rows and columns by which the first window starts before the map.

    Returns:
        (B, H, W, heads, d) in the dtype of ``q``.

    Raises:
        TypeError: a dtype the kernel does not have.
        ValueError: a head too wide or a window too large.
    """
    _check(q, kv, window_size)
    if bias is not None:
        bias = bias.float().contiguous()
    q, kv, points = q.contiguous(), kv.contiguous(), points.float().contiguous()
    op = torch.ops.mmvsa.varied_attention
    return op(q, kv, points, bias, scale, window_size, top, left)[0]


def _check(q: Tensor, kv: Tensor, window_size: int) -> None:
    if q.dtype not in DTYPES or kv.dtype != q.dtype:
        raise TypeError(
            f"backend 'triton' takes q and kv of one dtype of {[str(d) for d in DTYPES]}, "
            f'got {q.dtype} and {kv.dtype}'
        )
    if q.shape[-1] > MAX_HEAD_DIMS or window_size > MAX_WINDOW_SIZE:
        raise ValueError(
            f"backend 'triton' takes heads up to {MAX_HEAD_DIMS} wide and windows up to "
            f'{MAX_WINDOW_SIZE}, got {q.shape[-1]} and {window_size}'
        )


def _kernels() -> ModuleType:
    """The module that imports Triton."""
    from . import triton_kernels

    return triton_kernels


@torch.library.custom_op('mmvsa::varied_attention', mutates_args=())
def _varied_attention(
    q: Tensor,
    kv: Tensor,
    points: Tensor,
    bias: Tensor | None,
    scale: float,
    window_size: int,
    top: int,
    left: int,
) -> tuple[Tensor, Tensor]:
    """Output, and the log of the softmax's denominator (B*nH*nW, heads, N) for the backward."""
    out = torch.empty_like(q)
    lse = _new_lse(q, points)
    _kernels().launch_forward(q, kv, points, bias, out, lse, scale, window_size, top, left)
    return out, lse


@torch.library.custom_op('mmvsa::varied_attention_backward', mutates_args=())
def _varied_attention_backward(
    grad: Tensor,
    q: Tensor,
    kv: Tensor,
    points: Tensor,
    bias: Tensor | None,
    out: Tensor,
    lse: Tensor,
    scale: float,
    window_size: int,
    top: int,
    left: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, kv, points and the bias (empty without one)."""
    # Several windows add to a pixel: in half precision what is added last would be lost.
    grad_q, grad_kv = (torch.zeros_like(x, dtype=torch.float32) for x in (q, kv))
    grad_points = torch.empty_like(points)
    grad_bias = torch.zeros_like(bias) if bias is not None else q.new_empty(0)
    _kernels().launch_backward(
        (grad.contiguous(), q, kv, points, bias, out, lse),
        (grad_q, grad_kv, grad_points, grad_bias),
        (scale, window_size, top, left),
    )
    return grad_q.to(q.dtype), grad_kv.to(kv.dtype), grad_points, grad_bias


def _new_lse(q: Tensor, points: Tensor) -> Tensor:
    batch, rows, columns, heads, count, _ = points.shape
    return q.new_empty(batch * rows * columns, heads, count, dtype=torch.float32)


@_varied_attention.register_fake
def _varied_attention_fake(
    q: Tensor,
    kv: Tensor,
    points: Tensor,
    bias: Tensor | None,
    scale: float,
    window_size: int,
    top: int,
    left: int,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), _new_lse(q, points)


@_varied_attention_backward.register_fake
def _varied_attention_backward_fake(
    grad: Tensor,
    q: Tensor,
    kv: Tensor,
    points: Tensor,
    bias: Tensor | None,
    out: Tensor,
    lse: Tensor,
    scale: float,
    window_size: int,
    top: int,
    left: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_bias = torch.empty_like(bias) if bias is not None else q.new_empty(0)
    return torch.empty_like(q), torch.empty_like(kv), torch.empty_like(points), grad_bias


def _save_inputs(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple[Tensor, Tensor]
) -> None:
    q, kv, points, bias, *ctx.options = inputs  # type: ignore[attr-defined]
    out, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.save_for_backward(q, kv, points, bias, out, lse)


def _backward(
    ctx: torch.autograd.function.FunctionCtx, grad: Tensor, grad_lse: Tensor | None
) -> tuple[Tensor | None, ...]:
    saved, options = ctx.saved_tensors, ctx.options  # type: ignore[attr-defined]
    *grads, grad_bias = torch.ops.mmvsa.varied_attention_backward(grad, *saved, *options)
    return *grads, grad_bias if saved[3] is not None else None, None, None, None, None


_varied_attention.register_autograd(_backward, setup_context=_save_inputs)
