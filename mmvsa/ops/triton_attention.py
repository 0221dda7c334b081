"""Varied-size window attention by Triton kernels: sample, score, softmax, accumulate.

Windows of up to 8 x 8 pixels are fused: sampled keys and values stay in registers, a program
handles one window of one head, and the backward pass samples and scores again. Larger windows,
attention dropout and separate windows for keys and values use :func:`sample_triton`, one kernel
that writes q, k and v of every window, and PyTorch's attention. Coordinates, sums and softmax are
float32 whatever the dtype of the map. No kernel uses atomic operations: what they compute is the
same in every run, as ``torch.use_deterministic_algorithms`` demands.

Triton is imported when a kernel is first used. With ``TRITON_INTERPRET=1`` in the environment
before that, the kernels run on a CPU, slowly, for tests.
"""

import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor

from .attention import attend
from .protocol import AttentionSpec, Bias
from .windows import WindowGeometry, window_merge

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
DTYPE_NAMES = 'float32, float16 or bfloat16'
MAX_HEAD_DIMS = 128
# Windows whose keys are one block of the fused kernel.
MAX_FUSED_WINDOW_SIZE = 8
# Offsets within an image are 32 bits wide in the kernels.
MAX_MAP_ELEMENTS = 2**31

# Looked up once: a compiled model must not ask again.
_HAS_TRITON = importlib.util.find_spec('triton') is not None
_INTERPRET = os.environ.get('TRITON_INTERPRET', '0') == '1'


def interpreting() -> bool:
    """Return whether Triton interprets kernels on the CPU."""
    return _INTERPRET


def unavailable_reasons(device: torch.device) -> list[str]:
    """Say why the kernels cannot run on ``device``; empty if they can."""
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


def unsupported_reasons(spec: AttentionSpec) -> list[str]:
    """Say why the kernels cannot serve a layer; empty if they can."""
    reasons = []
    if spec.head_dims > MAX_HEAD_DIMS:
        reasons.append(f'its heads are at most {MAX_HEAD_DIMS} wide, not {spec.head_dims}')
    if not spec.homography:
        reasons.append('it takes window transforms that have homography()')
    return reasons


def is_fused(
    window_size: int,
    head_dims: int,
    dtype: torch.dtype,
    *,
    dropout: float = 0.0,
    separate_windows: bool = False,
) -> bool:
    """Return whether one kernel samples and attends, or whether samples are written."""
    # Products of float32 use no tensor cores: wider ones spill registers and compile for minutes.
    fits = head_dims <= (32 if dtype == torch.float32 else MAX_HEAD_DIMS)
    return fits and window_size <= MAX_FUSED_WINDOW_SIZE and not dropout and not separate_windows


def matmul_precision() -> str:
    """Return ``'tf32'`` if PyTorch's settings allow it in products of float32, else ``'ieee'``."""
    matmul = torch.backends.cuda.matmul
    # Reading the old flag raises once the new one, which torch 2.9 introduced, has been set.
    if hasattr(matmul, 'fp32_precision'):
        return 'tf32' if matmul.fp32_precision == 'tf32' else 'ieee'
    return 'tf32' if matmul.allow_tf32 else 'ieee'


def attend_triton(
    qkv: Tensor,
    windows: Tensor,
    geometry: WindowGeometry,
    *,
    scale: float,
    bias: Bias = None,
    dropout: float = 0.0,
    push: float = 0.0,
) -> Tensor:
    """Compute softmax(q k^T * scale + bias) v with k and v sampled in varied windows.

    A pixel (x, y) of a window, relative to its center, is sampled at

        center + (a x + b y + c, d x + e y + f) / (g x + h y + 1)

    in pixels of the map, where what is off the map reads zero; a depth of exactly zero counts as
    1e-6. (a, ..., h) are the ``windows``, in the order of torchvision's perspective coefficients.

    Args:
        qkv: (B, H, W, 3, heads, d), the projection of the map to q, k and v.
        windows: (B, nH, nW, heads, 8), or twice the heads: windows of the keys, then of the values.
        geometry: The windows of the queries.
        scale: Factor of q k^T.
        bias: (1, heads, N, N) with N = ws*ws, added to the scores, or a function of the windows'
            queries.
        dropout: Rate at which attention weights are dropped.
        push: Added to the gradient of every coordinate that is off the padded map, in normalized
            units, so that it returns (``10 * coords_lambda`` of QFormer).

    Returns:
        (B, H, W, heads * d) in the dtype of ``qkv``.

    Raises:
        TypeError: A dtype that the kernels do not support.
        ValueError: A head that is too wide, shapes that do not match, or a map of 2**31 or more
            numbers.
    """
    heads, head_dims = qkv.shape[-2:]
    separate = windows.shape[3] != heads
    if callable(bias) or not is_fused(
        geometry.window_size, head_dims, qkv.dtype, dropout=dropout, separate_windows=separate
    ):
        q, k, v = sample_triton(qkv, windows, geometry, push=push)
        bias = bias(q) if callable(bias) else bias
        out = attend(q, k, v, scale=scale, bias=bias, dropout=dropout)
        return geometry.crop(window_merge(out, geometry.window_size, geometry.grid))
    qkv, windows = _checked(qkv, windows, geometry)
    expected = (1, heads, geometry.window_size**2, geometry.window_size**2)
    if bias is not None and tuple(bias.shape) != expected:
        raise ValueError(f'bias must be {expected}, got {tuple(bias.shape)}')
    table = None if bias is None else bias[0].float()
    op = torch.ops.mmvsa.varied_attention
    window = (geometry.window_size, geometry.top, geometry.left)
    return op(qkv, windows, table, scale, *window, push).flatten(-2)


def sample_triton(
    qkv: Tensor, windows: Tensor, geometry: WindowGeometry, *, push: float = 0.0
) -> Tensor:
    """Return q, k and v of every window, (3, B*nH*nW, heads, N, d); q is zero off the map.

    The arguments and errors are those of :func:`attend_triton`.
    """
    qkv, windows = _checked(qkv, windows, geometry)
    window = (geometry.window_size, geometry.top, geometry.left)
    return torch.ops.mmvsa.sample_windows(qkv, windows, *window, push)


def _checked(qkv: Tensor, windows: Tensor, geometry: WindowGeometry) -> tuple[Tensor, Tensor]:
    """Return contiguous inputs; raise TypeError or ValueError for what the kernels cannot take."""
    if qkv.dtype not in DTYPES:
        raise TypeError(f"backend 'triton' takes maps of {DTYPE_NAMES}, got {qkv.dtype}")
    if qkv.dim() != 6 or qkv.shape[3] != 3:
        raise ValueError(f'qkv must be (B, H, W, 3, heads, d), got {tuple(qkv.shape)}')
    batch, height, width, _, heads, head_dims = qkv.shape
    if head_dims > MAX_HEAD_DIMS:
        raise ValueError(
            f"backend 'triton' takes heads of at most {MAX_HEAD_DIMS} channels, got {head_dims}"
        )
    if height * width * 3 * heads * head_dims >= MAX_MAP_ELEMENTS:
        raise ValueError(
            f"backend 'triton' takes maps of fewer than 2**31 numbers an image, got {height} x "
            f'{width} pixels of {3 * heads * head_dims}; use another backend or smaller tiles'
        )
    if (height, width) != geometry.size:
        raise ValueError(f'qkv is of {height} x {width} pixels, its geometry of {geometry.size}')
    shapes = [(batch, *geometry.grid, n * heads, 8) for n in (1, 2)]
    if tuple(windows.shape) not in shapes:
        raise ValueError(
            f'windows must be {shapes[0]}, or {shapes[1]} for separate windows of keys and '
            f'values, got {tuple(windows.shape)}'
        )
    return qkv.contiguous(), windows.float().contiguous()


def _kernels() -> ModuleType:
    """Return the module that imports Triton."""
    from . import triton_kernels

    return triton_kernels


@torch.library.custom_op('mmvsa::varied_attention', mutates_args=())
def _varied_attention(
    qkv: Tensor,
    windows: Tensor,
    bias: Tensor | None,
    scale: float,
    window_size: int,
    top: int,
    left: int,
    push: float,
) -> Tensor:
    out = _new_output(qkv)
    options = (scale, window_size, top, left)
    _kernels().launch_forward(qkv, windows, bias, out, options)
    return out


@torch.library.custom_op('mmvsa::varied_attention_backward', mutates_args=())
def _varied_attention_backward(
    grad: Tensor,
    qkv: Tensor,
    windows: Tensor,
    bias: Tensor | None,
    scale: float,
    window_size: int,
    top: int,
    left: int,
    push: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of qkv, windows and the bias (empty without one)."""
    grad_qkv = torch.empty_like(qkv)
    kernels = _kernels()
    window = (window_size, top, left)
    samples, grad_bias = kernels.launch_backward(
        grad.contiguous(), qkv, windows, bias, grad_qkv=grad_qkv, options=(scale, *window)
    )
    options = (*window, push)
    grad_windows = kernels.launch_samples_backward(samples, qkv, windows, grad_qkv, options)
    return grad_qkv, grad_windows, qkv.new_empty(0) if grad_bias is None else grad_bias


@torch.library.custom_op('mmvsa::sample_windows', mutates_args=())
def _sample_windows(
    qkv: Tensor, windows: Tensor, window_size: int, top: int, left: int, push: float
) -> Tensor:
    out = _new_samples(qkv, windows, window_size)
    _kernels().launch_sampling(qkv, windows, out, (window_size, top, left))
    return out


@torch.library.custom_op('mmvsa::sample_windows_backward', mutates_args=())
def _sample_windows_backward(
    grad: Tensor,
    qkv: Tensor,
    windows: Tensor,
    window_size: int,
    top: int,
    left: int,
    push: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of qkv and windows."""
    grad_qkv = torch.empty_like(qkv)
    geometry = WindowGeometry((qkv.shape[1], qkv.shape[2]), window_size, top, left)
    grad_q = geometry.crop(window_merge(grad[0], window_size, geometry.grid))
    grad_qkv[:, :, :, 0] = grad_q.unflatten(-1, qkv.shape[-2:])
    options = (window_size, top, left, push)
    samples = grad[1:].contiguous()
    grad_windows = _kernels().launch_samples_backward(samples, qkv, windows, grad_qkv, options)
    return grad_qkv, grad_windows


def _new_output(qkv: Tensor) -> Tensor:
    batch, height, width, _, heads, head_dims = qkv.shape
    return qkv.new_empty(batch, height, width, heads, head_dims)


def _new_samples(qkv: Tensor, windows: Tensor, window_size: int) -> Tensor:
    batch, rows, columns = windows.shape[:3]
    return qkv.new_empty(3, batch * rows * columns, qkv.shape[4], window_size**2, qkv.shape[5])


@_varied_attention.register_fake
def _(qkv, windows, bias, scale, window_size, top, left, push):  # type: ignore[no-untyped-def]
    return _new_output(qkv)


@_varied_attention_backward.register_fake
def _(grad, qkv, windows, bias, scale, window_size, top, left, push):  # type: ignore[no-untyped-def]
    grad_bias = qkv.new_empty(0) if bias is None else bias.new_empty(bias.shape)
    return torch.empty_like(qkv), torch.empty_like(windows), grad_bias


@_sample_windows.register_fake
def _(qkv, windows, window_size, top, left, push):  # type: ignore[no-untyped-def]
    return _new_samples(qkv, windows, window_size)


@_sample_windows_backward.register_fake
def _(grad, qkv, windows, window_size, top, left, push):  # type: ignore[no-untyped-def]
    return torch.empty_like(qkv), torch.empty_like(windows)


Context = torch.autograd.function.FunctionCtx


def _save_attention(ctx: Context, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.options = inputs[3:]  # type: ignore[attr-defined]


def _attention_backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
    saved, options = ctx.saved_tensors, ctx.options  # type: ignore[attr-defined]
    grads = torch.ops.mmvsa.varied_attention_backward(grad, *saved, *options)
    grad_bias = None if saved[2] is None else grads[2]
    return grads[0], grads[1], grad_bias, None, None, None, None, None


def _save_samples(ctx: Context, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.options = inputs[2:]  # type: ignore[attr-defined]


def _samples_backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
    saved, options = ctx.saved_tensors, ctx.options  # type: ignore[attr-defined]
    grads = torch.ops.mmvsa.sample_windows_backward(grad, *saved, *options)
    return *grads, None, None, None, None


_varied_attention.register_autograd(_attention_backward, setup_context=_save_attention)
_sample_windows.register_autograd(_samples_backward, setup_context=_save_samples)
