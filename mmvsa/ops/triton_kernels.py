"""The Triton kernels of :mod:`mmvsa.ops.triton_attention`, and their launches.

Names inside kernels: ``m`` are queries, ``n`` keys, ``d`` channels of a head, each padded to a
power of two and masked.
"""

import inspect
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_attention import interpreting

# A program holds q, k, v and the scores in registers: larger windows are cut into blocks.
MAX_BLOCK, MAX_BLOCK_ELEMENTS = 64, 64 * 64
# Programs of the backward pass: enough to fill a GPU. Each takes several windows of a head and
# adds up their bias gradient before it writes.
BACKWARD_PROGRAMS = 4096


def _autotune(key: list[str], reset_to_zero: list[str] | None = None) -> Any:
    """Tune the number of warps for a shape; choices are kept on disk where Triton can."""
    if interpreting():
        return lambda kernel: kernel
    options: dict[str, Any] = {}
    if 'cache_results' in inspect.signature(triton.autotune).parameters:
        options['cache_results'] = True
    # One stage: most windows are a single block, so there is no loop to pipeline.
    configs = [triton.Config({}, num_warps=warps, num_stages=1) for warps in (2, 4, 8)]
    return triton.autotune(configs, key=key, reset_to_zero=reset_to_zero, **options)


@triton.jit
def _pixels(window, m, height, width, rows, columns, top, left, WS: tl.constexpr):
    """Pixel numbers over the batch of the positions m of a window, and which lie on the map."""
    image = window // (rows * columns)
    y = (window // columns) % rows * WS - top + m // WS
    x = window % columns * WS - left + m % WS
    inside = (m < WS * WS) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return (image.to(tl.int64) * height + y) * width + x, inside


@triton.jit
def _corner(base, x, y, height, width, stride, n, d, WS: tl.constexpr, D: tl.constexpr):
    """Keys, values and offsets of the pixels (x, y), whole numbers in float32; 0 off the map."""
    # Compared as floats: a wild coordinate would overflow an integer.
    inside = (n < WS * WS) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x = tl.where(inside, x, 0.0).to(tl.int32)
    y = tl.where(inside, y, 0.0).to(tl.int32)
    offset = ((y * width + x) * stride)[:, None] + d[None, :]
    mask = inside[:, None] & (d < D)[None, :]
    k = tl.load(base + offset, mask=mask, other=0.0).to(tl.float32)
    v = tl.load(base + offset + D, mask=mask, other=0.0).to(tl.float32)
    return k, v, offset, mask


@triton.jit
def _sample(base, x, y, height, width, stride, n, d, WS: tl.constexpr, D: tl.constexpr):
    """Bilinear keys and values (BLOCK_N, BLOCK_D) at the points (x, y)."""
    x0 = tl.floor(x)
    y0 = tl.floor(y)
    fx = (x - x0)[:, None]
    fy = (y - y0)[:, None]
    k00, v00, _, _ = _corner(base, x0, y0, height, width, stride, n, d, WS, D)
    k01, v01, _, _ = _corner(base, x0 + 1, y0, height, width, stride, n, d, WS, D)
    k10, v10, _, _ = _corner(base, x0, y0 + 1, height, width, stride, n, d, WS, D)
    k11, v11, _, _ = _corner(base, x0 + 1, y0 + 1, height, width, stride, n, d, WS, D)
    k = (1 - fy) * ((1 - fx) * k00 + fx * k01) + fy * ((1 - fx) * k10 + fx * k11)
    v = (1 - fy) * ((1 - fx) * v00 + fx * v01) + fy * ((1 - fx) * v10 + fx * v11)
    return k, v


@triton.jit
def _points(points, window, head, heads, n, WS: tl.constexpr):
    """Offsets and values of the sampling points n of a window and head."""
    offset = ((window.to(tl.int64) * heads + head) * (WS * WS) + n) * 2
    x = tl.load(points + offset, mask=n < WS * WS, other=0.0)
    y = tl.load(points + offset + 1, mask=n < WS * WS, other=0.0)
    return offset, x, y


@triton.jit
def _scores(
    q, k, bias, head, m, n, scale, WS: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr
):
    """q k^T * scale + bias, (BLOCK_M, BLOCK_N); -inf at keys that are padding."""
    s = tl.dot(q, tl.trans(k.to(q.dtype)), input_precision=PRECISION) * scale
    if HAS_BIAS:
        offset = (head * WS * WS + m)[:, None] * (WS * WS) + n[None, :]
        mask = (m < WS * WS)[:, None] & (n < WS * WS)[None, :]
        s += tl.load(bias + offset, mask=mask, other=0.0)
    return tl.where((n < WS * WS)[None, :], s, float('-inf'))


@_autotune(key=['WS', 'D', 'PRECISION'])
@triton.jit
def forward_kernel(
    q_map,
    kv_map,
    points,
    bias,
    out_map,
    lse,
    scale,
    height,
    width,
    rows,
    columns,
    top,
    left,
    heads,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """One window, head and block of queries: softmax over the keys, block after block."""
    window = tl.program_id(0)
    head = tl.program_id(1)
    m = tl.program_id(2) * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.arange(0, BLOCK_D)
    pixel, on_map = _pixels(window, m, height, width, rows, columns, top, left, WS)
    q_offset = ((pixel * heads + head) * D)[:, None] + d[None, :]
    q_mask = on_map[:, None] & (d < D)[None, :]
    q = tl.load(q_map + q_offset, mask=q_mask, other=0.0)
    if WIDEN:
        q = q.to(tl.float32)
    image = window // (rows * columns)
    base = kv_map + (image.to(tl.int64) * height * width * heads + head) * 2 * D
    peak = tl.full((BLOCK_N,), float('-inf'), tl.float32)
    total = tl.zeros((BLOCK_N,), tl.float32)
    out = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    for start in range(0, WS * WS, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        _, x, y = _points(points, window, head, heads, n, WS)
        k, v = _sample(base, x, y, height, width, heads * 2 * D, n, d, WS, D)
        s = _scores(q, k, bias, head, m, n, scale, WS, HAS_BIAS, PRECISION)
        new_peak = tl.maximum(peak, tl.max(s, 1))
        p = tl.exp(s - new_peak[:, None])
        shrink = tl.exp(peak - new_peak)
        total = total * shrink + tl.sum(p, 1)
        out = out * shrink[:, None]
        out += tl.dot(p.to(q.dtype), v.to(q.dtype), input_precision=PRECISION)
        peak = new_peak
    out = out / total[:, None]
    tl.store(out_map + q_offset, out.to(out_map.dtype.element_ty), mask=q_mask)
    lse_offset = (window.to(tl.int64) * heads + head) * (WS * WS) + m
    tl.store(lse + lse_offset, peak + tl.log(total), mask=m < WS * WS)


@triton.jit
def _scatter_corner(
    base,
    grad_base,
    grad_k,
    grad_v,
    weight,
    x,
    y,
    height,
    width,
    stride,
    n,
    d,
    WS: tl.constexpr,
    D: tl.constexpr,
):
    """Add a corner's share to the gradient of the map; return grad . (k, v) of the corner."""
    k, v, offset, mask = _corner(base, x, y, height, width, stride, n, d, WS, D)
    tl.atomic_add(grad_base + offset, weight[:, None] * grad_k, mask=mask, sem='relaxed')
    tl.atomic_add(grad_base + offset + D, weight[:, None] * grad_v, mask=mask, sem='relaxed')
    return tl.sum(grad_k * k + grad_v * v, 1)


@_autotune(
    key=['WS', 'D', 'PRECISION'], reset_to_zero=['grad_q_map', 'grad_kv_map', 'grad_bias_map']
)
@triton.jit
def backward_kernel(
    grad_map,
    q_map,
    kv_map,
    points,
    bias,
    out_map,
    lse,
    grad_q_map,
    grad_kv_map,
    grad_points,
    grad_bias_map,
    scale,
    height,
    width,
    rows,
    columns,
    top,
    left,
    heads,
    windows,
    windows_per_program,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Some windows of one head, one block of keys: every gradient of them."""
    N: tl.constexpr = WS * WS
    ONE_BLOCK: tl.constexpr = N <= BLOCK_N
    head = tl.program_id(1)
    n = tl.program_id(2) * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.arange(0, BLOCK_D)
    stride = heads * 2 * D
    grad_bias = tl.zeros((BLOCK_N, BLOCK_N), tl.float32)
    first = tl.program_id(0) * windows_per_program
    for step in range(0, tl.minimum(windows_per_program, windows - first)):
        window = first + step  # a tensor in the interpreter too, unlike the loop's variable
        image = window // (rows * columns)
        shift = (image.to(tl.int64) * height * width * heads + head) * 2 * D
        base = kv_map + shift
        grad_base = grad_kv_map + shift
        point_offset, x, y = _points(points, window, head, heads, n, WS)
        k, v = _sample(base, x, y, height, width, stride, n, d, WS, D)
        grad_k = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
        grad_v = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
        for start in range(0, N, BLOCK_N):
            m = start + tl.arange(0, BLOCK_N)
            pixel, on_map = _pixels(window, m, height, width, rows, columns, top, left, WS)
            offset = ((pixel * heads + head) * D)[:, None] + d[None, :]
            mask = on_map[:, None] & (d < D)[None, :]
            q = tl.load(q_map + offset, mask=mask, other=0.0)
            grad = tl.load(grad_map + offset, mask=mask, other=0.0)
            if WIDEN:
                q = q.to(tl.float32)
                grad = grad.to(tl.float32)
            out = tl.load(out_map + offset, mask=mask, other=0.0)
            lse_offset = (window.to(tl.int64) * heads + head) * N + m
            normaliser = tl.load(lse + lse_offset, mask=m < N, other=0.0)
            s = _scores(q, k, bias, head, m, n, scale, WS, HAS_BIAS, PRECISION)
            # Queries off the map have no gradient; theirs would be inf where m >= N.
            p = tl.where(on_map[:, None], tl.exp(s - normaliser[:, None]), 0.0)
            grad_v += tl.dot(tl.trans(p.to(q.dtype)), grad, input_precision=PRECISION)
            grad_p = tl.dot(grad, tl.trans(v.to(q.dtype)), input_precision=PRECISION)
            delta = tl.sum(grad.to(tl.float32) * out.to(tl.float32), 1)
            grad_s = p * (grad_p - delta[:, None])
            if HAS_BIAS:
                if ONE_BLOCK:
                    grad_bias += grad_s
                else:
                    bias_offset = (head * N + m)[:, None] * N + n[None, :]
                    bias_mask = (m < N)[:, None] & (n < N)[None, :]
                    tl.atomic_add(
                        grad_bias_map + bias_offset, grad_s, mask=bias_mask, sem='relaxed'
                    )
            grad_s = grad_s * scale
            grad_k += tl.dot(tl.trans(grad_s.to(q.dtype)), q, input_precision=PRECISION)
            grad_q = tl.dot(grad_s.to(q.dtype), k.to(q.dtype), input_precision=PRECISION)
            if ONE_BLOCK:
                tl.store(grad_q_map + offset, grad_q, mask=mask)
            else:
                tl.atomic_add(grad_q_map + offset, grad_q, mask=mask, sem='relaxed')
        x0 = tl.floor(x)
        y0 = tl.floor(y)
        fx = x - x0
        fy = y - y0
        d00 = _scatter_corner(
            base, grad_base, grad_k, grad_v, (1 - fy) * (1 - fx),
            x0, y0, height, width, stride, n, d, WS, D,
        )  # fmt: skip
        d01 = _scatter_corner(
            base, grad_base, grad_k, grad_v, (1 - fy) * fx,
            x0 + 1, y0, height, width, stride, n, d, WS, D,
        )  # fmt: skip
        d10 = _scatter_corner(
            base, grad_base, grad_k, grad_v, fy * (1 - fx),
            x0, y0 + 1, height, width, stride, n, d, WS, D,
        )  # fmt: skip
        d11 = _scatter_corner(
            base, grad_base, grad_k, grad_v, fy * fx,
            x0 + 1, y0 + 1, height, width, stride, n, d, WS, D,
        )  # fmt: skip
        grad_x = (1 - fy) * (d01 - d00) + fy * (d11 - d10)
        grad_y = (1 - fx) * (d10 - d00) + fx * (d11 - d01)
        tl.store(grad_points + point_offset, grad_x, mask=n < N)
        tl.store(grad_points + point_offset + 1, grad_y, mask=n < N)
    if HAS_BIAS and ONE_BLOCK:
        m = tl.arange(0, BLOCK_N)
        bias_offset = (head * N + m)[:, None] * N + n[None, :]
        bias_mask = (m < N)[:, None] & (n < N)[None, :]
        tl.atomic_add(grad_bias_map + bias_offset, grad_bias, mask=bias_mask, sem='relaxed')


def launch_forward(
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
) -> None:
    """Fill ``out`` and ``lse``; the shapes are those of ``attend_triton``."""
    _, height, width, heads, _ = q.shape
    _, rows, columns, _, count, _ = points.shape
    meta = _meta(q, bias, window_size)
    grid = (lse.shape[0], heads, triton.cdiv(count, meta['BLOCK_N']))
    shape = (height, width, rows, columns, top, left, heads)
    # Without a bias its pointer is not read; any tensor will do.
    bias = q if bias is None else bias
    with _on_device(q):
        forward_kernel[grid](q, kv, points, bias, out, lse, scale, *shape, **meta)


def launch_backward(
    inputs: tuple[Tensor | None, ...],
    gradients: tuple[Tensor, ...],
    options: tuple[float, int, int, int],
) -> None:
    """Fill the gradients of q, kv, points and bias (all but the third zero before).

    Args:
        inputs: gradient of the output, q, kv, points, bias, output, lse.
        options: scale, window size, top, left.
    """
    grad, q, kv, points, bias, out, lse = inputs
    assert q is not None and points is not None
    scale, window_size, top, left = options
    _, height, width, heads, _ = q.shape
    batch, rows, columns, _, count, _ = points.shape
    meta = _meta(q, bias, window_size)
    windows, blocks = batch * rows * columns, triton.cdiv(count, meta['BLOCK_N'])
    per_program = max(1, windows * heads * blocks // BACKWARD_PROGRAMS)
    grid = (triton.cdiv(windows, per_program), heads, blocks)
    shape = (height, width, rows, columns, top, left, heads, windows, per_program)
    bias = q if bias is None else bias
    with _on_device(q):
        backward_kernel[grid](
            grad, q, kv, points, bias, out, lse, *gradients, scale, *shape, **meta
        )


def _meta(q: Tensor, bias: Tensor | None, window_size: int) -> dict[str, Any]:
    """Compile-time arguments. tl.dot needs at least 16 of everything."""
    head_dims = q.shape[-1]
    block_d = max(16, triton.next_power_of_2(head_dims))
    block_n = max(16, triton.next_power_of_2(window_size**2))
    tf32 = torch.backends.cuda.matmul.allow_tf32
    return {
        'WS': window_size,
        'D': head_dims,
        'BLOCK_N': min(block_n, MAX_BLOCK, MAX_BLOCK_ELEMENTS // block_d),
        'BLOCK_D': block_d,
        'HAS_BIAS': bias is not None,
        'PRECISION': 'tf32' if tf32 else 'ieee',
        # The interpreter multiplies the bits of bfloat16 as if they were integers.
        'WIDEN': interpreting() and q.dtype == torch.bfloat16,
    }


def _on_device(x: Tensor) -> Any:
    """Triton launches on the current device."""
    return torch.cuda.device_of(x)
