"""The Triton kernels of :mod:`mmvsa.ops.triton_attention`, and their launches.

Names inside kernels: ``m`` are queries, ``n`` keys, ``d`` channels of a head; their blocks are
powers of two. ``qkv`` is one (B, H, W, 3, heads, D) map, so that a pixel has a stride of 3*heads*D.
Nothing is added up by atomic operations, so that every result is the same in every run.
"""

import functools
import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_attention import interpreting, matmul_precision

LOG2_E = tl.constexpr(1 / math.log(2))  # exp(x) = 2**(x * LOG2_E)
# Pixels (along y and x) of the map's gradient that one program gathers, and the number of boxes it
# tests at a time: bits of a positive int32.
TILE = 8
BOXES = 16
# Programs of the backward kernel: enough to fill a GPU. Each handles several windows of a head and
# stores the sum of their gradients of the bias once. A fixed number, so that the order of that sum
# does not depend on the GPU.
BACKWARD_PROGRAMS = 1024
# Integers that are never compile-time constants: one compiled kernel serves every map.
SHAPE = ['height', 'width', 'rows', 'columns', 'heads', 'top', 'left']


@triton.jit
def _load(pointer, offset, d, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Load rows of D channels as (BLOCK, BLOCK_D); channels that are padding read zero."""
    if BLOCK_D == D:
        return tl.load(pointer + offset[:, None] + d[None, :])
    else:
        return tl.load(pointer + offset[:, None] + d[None, :], mask=(d < D)[None, :], other=0.0)


@triton.jit
def _store(pointer, offset, x, mask, d, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Store the rows of x (BLOCK, BLOCK_D) that ``mask`` selects, in the dtype of the pointer."""
    x = x.to(pointer.dtype.element_ty)
    if BLOCK_D == D:
        tl.store(pointer + offset[:, None] + d[None, :], x, mask=mask[:, None])
    else:
        tl.store(pointer + offset[:, None] + d[None, :], x, mask=mask[:, None] & (d < D)[None, :])


@triton.jit
def _queries(m, y, x, height, width, WS: tl.constexpr):
    """Return the pixel of every query of the window at (y, x), and whether it lies on the map.

    Queries that are padding get a pixel on the map, so that they need no mask to be loaded.
    """
    n = tl.minimum(m, WS * WS - 1)
    y += n // WS
    x += n % WS
    on_map = (m < WS * WS) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y = tl.minimum(tl.maximum(y, 0), height - 1)
    x = tl.minimum(tl.maximum(x, 0), width - 1)
    return y * width + x, on_map


@triton.jit
def _points(windows, index, n, y, x, WS: tl.constexpr):
    """Return the sampling points of the keys n of a window that starts at (y, x).

    ``windows`` holds the 8 numbers of a homography of the grid around the window's center. What
    the gradient needs is returned as well.
    """
    half: tl.constexpr = (WS - 1) / 2
    n = tl.minimum(n, WS * WS - 1)
    grid_x = (n % WS).to(tl.float32) - half
    grid_y = (n // WS).to(tl.float32) - half
    h = windows + index * 8
    depth = 1 + tl.load(h + 6) * grid_x + tl.load(h + 7) * grid_y
    is_zero = depth == 0
    inverse = 1 / tl.where(is_zero, 1e-6, depth)
    moved_x = (tl.load(h + 0) * grid_x + tl.load(h + 1) * grid_y + tl.load(h + 2)) * inverse
    moved_y = (tl.load(h + 3) * grid_x + tl.load(h + 4) * grid_y + tl.load(h + 5)) * inverse
    point_x = x.to(tl.float32) + half + moved_x
    point_y = y.to(tl.float32) + half + moved_y
    return point_x, point_y, moved_x, moved_y, grid_x, grid_y, inverse, is_zero


@triton.jit
def _axis(x, length):
    """Return the two pixels around a coordinate, their weights, and 1.0 where they are on the map.

    Pixels off the map are replaced by pixel 0 and their weight is zero. They are compared as
    floats: a wild coordinate would overflow an integer. NaN gives a weight of NaN.
    """
    low = tl.floor(x)
    fraction = x - low
    on0 = (low >= 0) & (low <= length - 1)
    on1 = (low >= -1) & (low <= length - 2)
    pixel0 = tl.where(on0, low, 0.0).to(tl.int32)
    pixel1 = tl.where(on1, low + 1, 0.0).to(tl.int32)
    on0 = on0.to(tl.float32)
    on1 = on1.to(tl.float32)
    return pixel0, pixel1, (1 - fraction) * on0, fraction * on1, on0, on1


@triton.jit
def _corners(x0, x1, y0, y1, width, stride):
    """Return the offsets of the four pixels around a point."""
    row0 = y0 * width
    row1 = y1 * width
    return (row0 + x0) * stride, (row0 + x1) * stride, (row1 + x0) * stride, (row1 + x1) * stride


@triton.jit
def _sample(pointer, o00, o01, o10, o11, x0, x1, y0, y1, d, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Sample (BLOCK, BLOCK_D) bilinearly; ``o`` are the pixels' offsets, x and y their weights."""
    sample = _load(pointer, o00, d, D, BLOCK_D).to(tl.float32) * (y0 * x0)[:, None]
    sample += _load(pointer, o01, d, D, BLOCK_D).to(tl.float32) * (y0 * x1)[:, None]
    sample += _load(pointer, o10, d, D, BLOCK_D).to(tl.float32) * (y1 * x0)[:, None]
    sample += _load(pointer, o11, d, D, BLOCK_D).to(tl.float32) * (y1 * x1)[:, None]
    return sample


@triton.jit
def _weights(
    q, k, bias, head, m, scale, WS: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr
):
    """Return 2**(score - peak) and the reciprocal of its sum; scores are in units of log(2).

    The bias is padded with -inf to as many columns as there are keys in the block.
    """
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    if HAS_BIAS:
        row = head * WS * WS + tl.minimum(m, WS * WS - 1)
        scores += tl.load(bias + row[:, None] * m.shape[0] + m[None, :]).to(tl.float32)
    else:
        scores = tl.where((m < WS * WS)[None, :], scores, float('-inf'))
    weights = tl.exp2(scores - tl.max(scores, 1)[:, None])
    return weights, 1 / tl.sum(weights, 1)


@triton.jit(do_not_specialize=SHAPE)
def forward_kernel(
    qkv,
    windows,
    bias,
    out,
    scale,
    height,
    width,
    rows,
    columns,
    heads,
    top,
    left,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Attend in one window of one head."""
    window = tl.program_id(0)
    head = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    m = tl.arange(0, BLOCK_N)
    d = tl.arange(0, BLOCK_D)
    y = window // columns * WS - top
    x = window % columns * WS - left
    pixel, on_map = _queries(m, y, x, height, width, WS)
    stride = 3 * heads * D
    image_pixel = image * height * width
    q_map = qkv + image_pixel * stride + head * D
    q = _load(q_map, pixel * stride, d, D, BLOCK_D)
    if WIDEN:
        q = q.to(tl.float32)
    index = (image * rows * columns + window) * heads + head
    point_x, point_y, _, _, _, _, _, _ = _points(windows, index, m, y, x, WS)
    px0, px1, x0, x1, _, _ = _axis(point_x, width)
    py0, py1, y0, y1, _, _ = _axis(point_y, height)
    o00, o01, o10, o11 = _corners(px0, px1, py0, py1, width, stride)
    k_map = q_map + heads * D
    k = _sample(k_map, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D).to(q.dtype)
    v_map = k_map + heads * D
    v = _sample(v_map, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D).to(q.dtype)
    p, inverse = _weights(q, k, bias, head, m, scale * LOG2_E, WS, HAS_BIAS, PRECISION)
    result = tl.dot(p.to(q.dtype), v, input_precision=PRECISION) * inverse[:, None]
    out += image_pixel * heads * D + head * D
    _store(out, pixel * (heads * D), result, on_map, d, D, BLOCK_D)


@triton.jit(do_not_specialize=[*SHAPE, 'count', 'per_program'])
def backward_kernel(
    grad,
    qkv,
    windows,
    bias,
    grad_qkv,
    grad_samples,
    grad_bias,
    scale,
    height,
    width,
    rows,
    columns,
    heads,
    top,
    left,
    count,
    per_program,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Compute the gradients of q, of the samples and of the bias, for some windows of one head.

    The softmax is computed again. grad_samples is (2, windows, heads, N, D), of k and of v;
    grad_bias is (programs, heads, N, N).
    """
    program = tl.program_id(0)
    head = tl.program_id(1)
    m = tl.arange(0, BLOCK_N)
    d = tl.arange(0, BLOCK_D)
    stride = 3 * heads * D
    is_key = m < WS * WS
    sum_bias = tl.zeros((BLOCK_N, BLOCK_N), tl.float32)
    start = program * per_program
    for step in tl.range(0, tl.minimum(per_program, count - start), num_stages=1):
        window = start + step  # a tensor in the interpreter too, unlike the loop's variable
        image = (window // (rows * columns)).to(tl.int64)
        y = window // columns % rows * WS - top
        x = window % columns * WS - left
        pixel, on_map = _queries(m, y, x, height, width, WS)
        image_pixel = image * height * width
        shift = image_pixel * stride + head * D
        q = _load(qkv + shift, pixel * stride, d, D, BLOCK_D)
        g = _load(grad + image_pixel * heads * D + head * D, pixel * (heads * D), d, D, BLOCK_D)
        # Queries that are not on the map have no gradient.
        g = tl.where(on_map[:, None], g, 0.0)
        if WIDEN:
            q = q.to(tl.float32)
            g = g.to(tl.float32)
        index = window.to(tl.int64) * heads + head
        point_x, point_y, _, _, _, _, _, _ = _points(windows, index, m, y, x, WS)
        px0, px1, x0, x1, _, _ = _axis(point_x, width)
        py0, py1, y0, y1, _, _ = _axis(point_y, height)
        o00, o01, o10, o11 = _corners(px0, px1, py0, py1, width, stride)
        k_map = qkv + shift + heads * D
        k = _sample(k_map, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D).to(q.dtype)
        v_map = k_map + heads * D
        v = _sample(v_map, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D).to(q.dtype)
        p, inverse = _weights(q, k, bias, head, m, scale * LOG2_E, WS, HAS_BIAS, PRECISION)
        p = p * inverse[:, None]
        grad_p = tl.dot(g, tl.trans(v), input_precision=PRECISION)
        grad_s = p * (grad_p - tl.sum(p * grad_p, 1)[:, None])
        if HAS_BIAS:
            sum_bias += grad_s
        grad_s = (grad_s * scale).to(q.dtype)
        grad_q = tl.dot(grad_s, k, input_precision=PRECISION)
        _store(grad_qkv + shift, pixel * stride, grad_q, on_map, d, D, BLOCK_D)
        grad_k = tl.dot(tl.trans(grad_s), q, input_precision=PRECISION)
        grad_v = tl.dot(tl.trans(p.to(q.dtype)), g, input_precision=PRECISION)
        sample = grad_samples + index * (WS * WS * D)
        _store(sample, m * D, grad_k, is_key, d, D, BLOCK_D)
        sample += count.to(tl.int64) * heads * (WS * WS * D)
        _store(sample, m * D, grad_v, is_key, d, D, BLOCK_D)
    if HAS_BIAS:
        row = ((program * heads + head).to(tl.int64) * (WS * WS) + m) * (WS * WS)
        tl.store(
            grad_bias + row[:, None] + m[None, :], sum_bias, mask=is_key[:, None] & is_key[None, :]
        )


@triton.jit
def _add8(a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7):
    return a0 + b0, a1 + b1, a2 + b2, a3 + b3, a4 + b4, a5 + b5, a6 + b6, a7 + b7


@triton.jit
def _box_around(a0, a1, a2, a3, b0, b1, b2, b3):
    return tl.minimum(a0, b0), tl.maximum(a1, b1), tl.minimum(a2, b2), tl.maximum(a3, b3)


@triton.jit
def _gradient_of_weight(
    maps, offset, grad, second, heads, d, D: tl.constexpr, BLOCK_D: tl.constexpr, ONE: tl.constexpr
):
    """Return gradient . pixel of every sample: of one of k and v, or of both."""
    product = _load(maps, offset, d, D, BLOCK_D).to(tl.float32) * grad
    if not ONE:
        product += _load(maps + heads * D, offset, d, D, BLOCK_D).to(tl.float32) * second
    return tl.sum(product, 1)


@triton.jit
def _push(x, start, length, strength):
    """Return the gradient that pushes points off the padded map back onto it.

    ``start`` is the first pixel of the padded map along the axis. As in the official
    implementation of QFormer, a point may be off by 0.001 normalized units.
    """
    half = (length - 1).to(tl.float32) / 2
    distance = x - (start + half)
    push = strength / tl.where(half == 0, 1.0, half)
    push = tl.where(distance > 0, push, -push)
    return tl.where(tl.abs(distance) > 1.001 * half, push, 0.0)


@triton.jit(do_not_specialize=SHAPE)
def windows_kernel(
    grad_samples,
    qkv,
    windows,
    grad_windows,
    boxes,
    push,
    height,
    width,
    rows,
    columns,
    heads,
    top,
    left,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
    SEPARATE: tl.constexpr,
):
    """Compute the gradient of the 8 numbers of a window from those of its samples.

    Also store the bounding boxes (x from, x to, y from, y to) of every block of its points. With
    SEPARATE there are 2*heads windows, those of the keys first.
    """
    window = tl.program_id(0)
    window_head = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    count = rows * columns
    d = tl.arange(0, BLOCK_D)
    y = window // columns * WS - top
    x = window % columns * WS - left
    stride = 3 * heads * D
    flat = image * count + window
    blocks: tl.constexpr = (WS * WS + BLOCK_K - 1) // BLOCK_K
    index = flat * tl.num_programs(1) + window_head
    head = window_head % heads
    part = window_head // heads if SEPARATE else 0
    part_stride = tl.num_programs(2).to(tl.int64) * count * heads * (WS * WS * D)
    samples = grad_samples + part * part_stride + (flat * heads + head) * (WS * WS * D)
    maps = qkv + image * height * width * stride + ((part + 1) * heads + head) * D
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    s4 = 0.0
    s5 = 0.0
    s6 = 0.0
    s7 = 0.0
    for block in range(0, blocks):
        n = block * BLOCK_K + tl.arange(0, BLOCK_K)
        point_x, point_y, moved_x, moved_y, grid_x, grid_y, inverse, is_zero = _points(
            windows, index, n, y, x, WS
        )
        px0, px1, x0, x1, on_x0, on_x1 = _axis(point_x, width)
        py0, py1, y0, y1, on_y0, on_y1 = _axis(point_y, height)
        o00, o01, o10, o11 = _corners(px0, px1, py0, py1, width, stride)
        row = tl.minimum(n, WS * WS - 1) * D
        grad = _load(samples, row, d, D, BLOCK_D).to(tl.float32)
        second = grad
        if not SEPARATE:
            second = _load(samples + part_stride, row, d, D, BLOCK_D).to(tl.float32)
        d00 = _gradient_of_weight(maps, o00, grad, second, heads, d, D, BLOCK_D, SEPARATE)
        d01 = _gradient_of_weight(maps, o01, grad, second, heads, d, D, BLOCK_D, SEPARATE)
        d10 = _gradient_of_weight(maps, o10, grad, second, heads, d, D, BLOCK_D, SEPARATE)
        d11 = _gradient_of_weight(maps, o11, grad, second, heads, d, D, BLOCK_D, SEPARATE)
        grad_x = y0 * (on_x1 * d01 - on_x0 * d00) + y1 * (on_x1 * d11 - on_x0 * d10)
        grad_y = x0 * (on_y1 * d10 - on_y0 * d00) + x1 * (on_y1 * d11 - on_y0 * d01)
        grad_x += _push(point_x, -left, columns * WS, push)
        grad_y += _push(point_y, -top, rows * WS, push)
        is_key = n < WS * WS
        grad_x = tl.where(is_key, grad_x * inverse, 0.0)
        grad_y = tl.where(is_key, grad_y * inverse, 0.0)
        grad_depth = -(grad_x * moved_x + grad_y * moved_y)
        # What replaces a depth of zero is a constant.
        grad_depth = tl.where(is_zero, 0.0, grad_depth)
        t0, t1, t2, t3, t4, t5, t6, t7 = tl.reduce(
            (
                grad_x * grid_x,
                grad_x * grid_y,
                grad_x,
                grad_y * grid_x,
                grad_y * grid_y,
                grad_y,
                grad_depth * grid_x,
                grad_depth * grid_y,
            ),
            0,
            _add8,
        )
        s0, s1, s2, s3, s4, s5, s6, s7 = _add8(
            s0, s1, s2, s3, s4, s5, s6, s7, t0, t1, t2, t3, t4, t5, t6, t7
        )
        box = boxes + (index * blocks + block) * 4
        x_from, x_to, y_from, y_to = tl.reduce((point_x, point_x, point_y, point_y), 0, _box_around)
        tl.store(box, x_from)
        tl.store(box + 1, x_to)
        tl.store(box + 2, y_from)
        tl.store(box + 3, y_to)
    h = grad_windows + index * 8
    tl.store(h, s0)
    tl.store(h + 1, s1)
    tl.store(h + 2, s2)
    tl.store(h + 3, s3)
    tl.store(h + 4, s4)
    tl.store(h + 5, s5)
    tl.store(h + 6, s6)
    tl.store(h + 7, s7)


@triton.jit(do_not_specialize=SHAPE)
def map_kernel(
    grad_samples,
    windows,
    boxes,
    grad_qkv,
    height,
    width,
    rows,
    columns,
    heads,
    top,
    left,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
    TILE: tl.constexpr,
    BOXES: tl.constexpr,
    SEPARATE: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Gather the gradient of k and v in a tile of the map from every window that touches it.

    The bilinear weight of a pixel is max(0, 1 - |dx|) * max(0, 1 - |dy|), so a block of points
    gives its gradient to the tile by one matrix product.
    """
    tile = tl.program_id(0)
    window_head = tl.program_id(1)
    window_heads = tl.num_programs(1)
    image = tl.program_id(2).to(tl.int64)
    count = rows * columns
    tiles_x = (width + TILE - 1) // TILE
    tile_y = tile // tiles_x * TILE
    tile_x = tile % tiles_x * TILE
    i = tl.arange(0, TILE * TILE)
    pixel_y = tile_y + i // TILE
    pixel_x = tile_x + i % TILE
    d = tl.arange(0, BLOCK_D)
    head = window_head % heads
    part = window_head // heads if SEPARATE else 0
    part_stride = tl.num_programs(2).to(tl.int64) * count * heads * (WS * WS * D)
    samples = grad_samples + part * part_stride
    blocks: tl.constexpr = (WS * WS + BLOCK_K - 1) // BLOCK_K
    pieces = count * blocks
    first_sum = tl.zeros((TILE * TILE, BLOCK_D), tl.float32)
    second_sum = tl.zeros((TILE * TILE, BLOCK_D), tl.float32)
    for first in range(0, pieces, BOXES):
        bit = tl.arange(0, BOXES)
        j = first + bit
        box = boxes + (((image * count + j // blocks) * window_heads + window_head) * blocks) * 4
        box += j % blocks * 4
        x_from = tl.load(box, mask=j < pieces, other=float('inf'))
        x_to = tl.load(box + 1, mask=j < pieces, other=float('-inf'))
        y_from = tl.load(box + 2, mask=j < pieces, other=float('inf'))
        y_to = tl.load(box + 3, mask=j < pieces, other=float('-inf'))
        touches = (x_to > tile_x - 1) & (x_from < tile_x + TILE)
        touches &= (y_to > tile_y - 1) & (y_from < tile_y + TILE)
        left_over = tl.sum(touches.to(tl.int32) << bit)
        while left_over != 0:
            lowest = left_over & -left_over
            left_over -= lowest
            # The exponent of a power of two, as float32 stores it.
            piece = first + (lowest.to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127
            window = piece // blocks
            n = piece % blocks * BLOCK_K + tl.arange(0, BLOCK_K)
            y = window // columns * WS - top
            x = window % columns * WS - left
            flat = image * count + window
            index = flat * window_heads + window_head
            point_x, point_y, _, _, _, _, _, _ = _points(windows, index, n, y, x, WS)
            point_x = tl.where(n < WS * WS, point_x, -1e9)
            weight = tl.maximum(1 - tl.abs(pixel_x[:, None] - point_x[None, :]), 0.0)
            weight *= tl.maximum(1 - tl.abs(pixel_y[:, None] - point_y[None, :]), 0.0)
            row = tl.minimum(n, WS * WS - 1) * D
            pointer = samples + (flat * heads + head) * (WS * WS * D)
            grad = _load(pointer, row, d, D, BLOCK_D)
            if WIDEN:
                grad = grad.to(tl.float32)
            weight = weight.to(grad.dtype)
            first_sum += tl.dot(weight, grad, input_precision=PRECISION)
            if not SEPARATE:
                grad = _load(pointer + part_stride, row, d, D, BLOCK_D)
                if WIDEN:
                    grad = grad.to(tl.float32)
                second_sum += tl.dot(weight, grad, input_precision=PRECISION)
    on_map = (pixel_y < height) & (pixel_x < width)
    offset = (pixel_y * width + pixel_x) * (3 * heads * D)
    grad_map = grad_qkv + image * height * width * 3 * heads * D + ((part + 1) * heads + head) * D
    _store(grad_map, offset, first_sum, on_map, d, D, BLOCK_D)
    if not SEPARATE:
        _store(grad_map + heads * D, offset, second_sum, on_map, d, D, BLOCK_D)


@triton.jit(do_not_specialize=SHAPE)
def sample_kernel(
    qkv,
    windows,
    out,
    height,
    width,
    rows,
    columns,
    heads,
    top,
    left,
    WS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
    SEPARATE: tl.constexpr,
):
    """Write q, k and v of a window, (3, windows, heads, N, D); q is zero off the map."""
    window = tl.program_id(0)
    window_head = tl.program_id(1)
    count = rows * columns
    blocks: tl.constexpr = (WS * WS + BLOCK_K - 1) // BLOCK_K
    image = (tl.program_id(2) // blocks).to(tl.int64)
    n = tl.program_id(2) % blocks * BLOCK_K + tl.arange(0, BLOCK_K)
    d = tl.arange(0, BLOCK_D)
    y = window // columns * WS - top
    x = window % columns * WS - left
    stride = 3 * heads * D
    flat = image * count + window
    index = flat * tl.num_programs(1) + window_head
    point_x, point_y, _, _, _, _, _, _ = _points(windows, index, n, y, x, WS)
    px0, px1, x0, x1, _, _ = _axis(point_x, width)
    py0, py1, y0, y1, _, _ = _axis(point_y, height)
    o00, o01, o10, o11 = _corners(px0, px1, py0, py1, width, stride)
    head = window_head % heads
    part = window_head // heads if SEPARATE else 0
    part_stride = tl.num_programs(2).to(tl.int64) // blocks * count * heads * (WS * WS * D)
    maps = qkv + image * height * width * stride + head * D
    out += (flat * heads + head) * (WS * WS * D)
    is_key = n < WS * WS
    pixel, on_map = _queries(n, y, x, height, width, WS)
    q = _load(maps, pixel * stride, d, D, BLOCK_D)
    q = tl.where(on_map[:, None], q, 0.0)
    _store(out, n * D, q, is_key & (part == 0), d, D, BLOCK_D)
    maps += (part + 1) * heads * D
    out += (part + 1) * part_stride
    sample = _sample(maps, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D)
    _store(out, n * D, sample, is_key, d, D, BLOCK_D)
    if not SEPARATE:
        sample = _sample(maps + heads * D, o00, o01, o10, o11, x0, x1, y0, y1, d, D, BLOCK_D)
        _store(out + part_stride, n * D, sample, is_key, d, D, BLOCK_D)


def launch_forward(
    qkv: Tensor, windows: Tensor, bias: Tensor | None, out: Tensor, options: tuple
) -> None:
    """Fill ``out``; see :func:`mmvsa.ops.triton_attention.attend_triton` for the shapes.

    Args:
        options: scale, window size, top, left.
    """
    scale, window_size, top, left = options
    batch, rows, columns, heads, _ = windows.shape
    settings = attention_settings(*_key(qkv, window_size), bias is not None, matmul_precision())
    padded = _padded_bias(bias, qkv, settings['BLOCK_N'])
    with torch.cuda.device_of(qkv):
        forward_kernel[(rows * columns, heads, batch)](
            qkv, windows, padded, out, scale, *_shape(qkv, windows, top, left), **settings
        )


def launch_backward(
    grad: Tensor,
    qkv: Tensor,
    windows: Tensor,
    bias: Tensor | None,
    *,
    grad_qkv: Tensor,
    options: tuple,
) -> tuple[Tensor, Tensor | None]:
    """Fill the part of ``grad_qkv`` that belongs to q.

    Args:
        options: scale, window size, top, left.

    Returns:
        Gradients of the samples (2, windows, heads, N, d), and of the bias, if there is one.
    """
    scale, window_size, top, left = options
    batch, rows, columns, heads, _ = windows.shape
    count, number = batch * rows * columns, window_size**2
    settings = attention_settings(*_key(qkv, window_size), bias is not None, matmul_precision())
    per_program = max(1, triton.cdiv(count * heads, BACKWARD_PROGRAMS))
    programs = triton.cdiv(count, per_program)
    samples = qkv.new_empty(2, count, heads, number, qkv.shape[-1])
    # Without a bias its gradient is not written; any tensor will do.
    sums = qkv
    if bias is not None:
        sums = qkv.new_empty(programs, heads, number, number, dtype=torch.float32)
    padded = _padded_bias(bias, qkv, settings['BLOCK_N'])
    shape = (*_shape(qkv, windows, top, left), count, per_program)
    with torch.cuda.device_of(qkv):
        backward_kernel[(programs, heads)](
            grad, qkv, windows, padded, grad_qkv, samples, sums, scale, *shape, **settings
        )
    return samples, None if bias is None else sums.sum(0)


def launch_samples_backward(
    grad_samples: Tensor,
    qkv: Tensor,
    windows: Tensor,
    grad_qkv: Tensor,
    options: tuple,
) -> Tensor:
    """Fill the part of ``grad_qkv`` that belongs to k and v, and return the gradient of windows.

    Args:
        grad_samples: (2, windows, heads, N, d), the gradients of sampled keys and values.
        options: window size, top, left, and the strength of the push onto the map.
    """
    window_size, top, left, push = options
    batch, rows, columns, window_heads, _ = windows.shape
    settings = sampling_settings(*_key(qkv, window_size), window_heads != qkv.shape[-2])
    blocks = triton.cdiv(window_size**2, settings['BLOCK_K'])
    grad_windows = torch.empty_like(windows)
    boxes = windows.new_empty(*windows.shape[:-1], blocks, 4)
    shape = _shape(qkv, windows, top, left)
    tiles = triton.cdiv(qkv.shape[1], TILE) * triton.cdiv(qkv.shape[2], TILE)
    with torch.cuda.device_of(qkv):
        windows_kernel[(rows * columns, window_heads, batch)](
            grad_samples, qkv, windows, grad_windows, boxes, push, *shape, **settings
        )
        map_kernel[(tiles, window_heads, batch)](
            grad_samples,
            windows,
            boxes,
            grad_qkv,
            *shape,
            **settings,
            TILE=TILE,
            BOXES=BOXES,
            PRECISION=matmul_precision(),
            WIDEN=_widens(qkv.dtype),
        )
    return grad_windows


def launch_sampling(qkv: Tensor, windows: Tensor, out: Tensor, options: tuple) -> None:
    """Fill ``out`` (3, windows, heads, N, d) with q, and k and v sampled at the points.

    Args:
        options: window size, top, left.
    """
    window_size, top, left = options
    batch, rows, columns, window_heads, _ = windows.shape
    settings = sampling_settings(*_key(qkv, window_size), window_heads != qkv.shape[-2])
    blocks = triton.cdiv(window_size**2, settings['BLOCK_K'])
    with torch.cuda.device_of(qkv):
        sample_kernel[(rows * columns, window_heads, batch * blocks)](
            qkv, windows, out, *_shape(qkv, windows, top, left), **settings
        )


def _key(qkv: Tensor, window_size: int) -> tuple[int, int, torch.dtype]:
    return window_size, qkv.shape[-1], qkv.dtype


def _shape(qkv: Tensor, windows: Tensor, top: int, left: int) -> tuple[int, ...]:
    """Return the run-time arguments named in ``SHAPE``."""
    _, height, width, _, heads, _ = qkv.shape
    return height, width, *windows.shape[1:3], heads, top, left


def _padded_bias(bias: Tensor | None, qkv: Tensor, block: int) -> Tensor:
    """(heads, N, N) -> (heads, N, block), in units of log(2); keys that are padding get -inf."""
    if bias is None:
        return qkv  # not read; any tensor will do
    heads, number, _ = bias.shape
    padded = qkv.new_full((heads, number, block), -math.inf)
    torch.mul(bias, LOG2_E.value, out=padded[:, :, :number])
    return padded


@functools.cache
def attention_settings(
    window_size: int, head_dims: int, dtype: torch.dtype, has_bias: bool, precision: str
) -> dict[str, Any]:
    """Return the compile-time arguments of the two attention kernels."""
    # tl.dot takes at least 16 of everything.
    block = max(16, triton.next_power_of_2(window_size**2))
    block_d = max(16, triton.next_power_of_2(head_dims))
    return {
        'WS': window_size,
        'D': head_dims,
        'BLOCK_N': block,
        'BLOCK_D': block_d,
        'HAS_BIAS': has_bias,
        'PRECISION': precision,
        'WIDEN': _widens(dtype),
        'num_warps': _warps(block, block_d, dtype),
        'num_stages': 1,
    }


@functools.cache
def sampling_settings(
    window_size: int, head_dims: int, dtype: torch.dtype, separate: bool
) -> dict[str, Any]:
    """Return the compile-time arguments that the other kernels share."""
    block_d = max(16, triton.next_power_of_2(head_dims))
    # As many keys as fit into registers without spilling.
    limit = 16 if dtype == torch.float32 else 64 if block_d <= 32 else 32
    block = min(limit, max(16, triton.next_power_of_2(window_size**2)))
    return {
        'WS': window_size,
        'D': head_dims,
        'BLOCK_K': block,
        'BLOCK_D': block_d,
        'SEPARATE': separate,
        'num_warps': 8 if block_d > 64 else 4,
        'num_stages': 1,
    }


def _warps(block: int, block_d: int, dtype: torch.dtype) -> int:
    """Return the number of warps: more where a thread would run out of registers."""
    if block < 64:
        return block // 16
    return 8 if block_d > 32 or dtype == torch.float32 else 4


def _widens(dtype: torch.dtype) -> bool:
    """The interpreter multiplies the bits of bfloat16 as if they were integers."""
    return interpreting() and dtype == torch.bfloat16
