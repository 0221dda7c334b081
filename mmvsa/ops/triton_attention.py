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
import torch.nn.functional as F
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
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


def unsupported_reasons(*, head_dims: int, has_homography: bool = True) -> list[str]:
    """Say why the kernels cannot compute an attention; empty if they can.

    Args:
        head_dims: channels d of a head.
        has_homography: whether the window transform gives the 8 numbers of a homography.
    """
    reasons = []
    if head_dims > MAX_HEAD_DIMS:
        reasons.append(f'heads are {head_dims} wide, and at most {MAX_HEAD_DIMS} are supported')
    if not has_homography:
        reasons.append('the window transform has no homography()')
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
    # Products of float32 use no tensor cores: wider ones run out of registers.
    fits = head_dims <= (64 if dtype == torch.float32 else MAX_HEAD_DIMS)
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
    bias: Tensor | None,
    scale: float,
    window_size: int,
    *,
    top: int = 0,
    left: int = 0,
    dropout: float = 0.0,
    push: float = 0.0,
) -> Tensor:
    """Compute softmax(q k^T * scale + bias) v with k and v sampled in varied windows.

    A pixel g = (x, y) of a window, relative to its center, is sampled at

        center + (a x + b y + c, d x + e y + f) / (g x + h y + 1),

    in pixels of the map, where what is off the map reads zero; a depth of exactly zero counts as
    1e-6. (a, ..., h) are the ``windows``, in the order of torchvision's perspective coefficients.

    Args:
        qkv: (B, H, W, 3, heads, d): the projection of the map to q, k and v.
        windows: (B, nH, nW, heads, 8); with 2*heads, the windows of the keys come first and those
            of the values after them.
        bias: (heads, N, N) with N = ws*ws, added to the scores.
        scale: factor of q k^T.
        window_size: ``ws``.
        top, left: rows and columns by which the first window starts before the map.
        dropout: probability of dropping an attention weight.
        push: added to the gradient of every coordinate that is off the padded map, in normalized
            units, so that it returns (``10 * coords_lambda`` of QFormer).

    Returns:
        (B, H, W, heads, d) in the dtype of ``qkv``.

    Raises:
        TypeError: a dtype that the kernels do not support.
        ValueError: a head that is too wide, shapes that do not match, or a map of 2**31 or more
            numbers.
    """
    separate = windows.shape[3] != qkv.shape[4]
    if not is_fused(
        window_size, qkv.shape[-1], qkv.dtype, dropout=dropout, separate_windows=separate
    ):
        q, k, v = sample_triton(qkv, windows, window_size, top=top, left=left, push=push)
        mask = None if bias is None else bias.to(q.dtype).unsqueeze(0)
        out = F.scaled_dot_product_attention(q, k, v, mask, dropout, scale=scale)
        return _merge(out, qkv, windows, window_size, top, left)
    qkv, windows = _checked(qkv, windows, window_size, top, left)
    if bias is not None:
        _check_bias(bias, qkv, window_size)
        bias = bias.float().contiguous()
    op = torch.ops.mmvsa.varied_attention
    return op(qkv, windows, bias, scale, window_size, top, left, push)


def sample_triton(
    qkv: Tensor,
    windows: Tensor,
    window_size: int,
    *,
    top: int = 0,
    left: int = 0,
    push: float = 0.0,
) -> Tensor:
    """Return q, k and v of every window, (3, B*nH*nW, heads, N, d); q is zero off the map.

    The arguments and errors are those of :func:`attend_triton`.
    """
    qkv, windows = _checked(qkv, windows, window_size, top, left)
    return torch.ops.mmvsa.sample_windows(qkv, windows, window_size, top, left, push)


def _checked(
    qkv: Tensor, windows: Tensor, window_size: int, top: int, left: int
) -> tuple[Tensor, Tensor]:
    """Return contiguous inputs; raise TypeError or ValueError for what the kernels cannot take."""
    if qkv.dtype not in DTYPES:
        raise TypeError(
            f"backend 'triton' takes maps of {[str(d) for d in DTYPES]}, got {qkv.dtype}"
        )
    if qkv.dim() != 6 or qkv.shape[3] != 3:
        raise ValueError(f'qkv must be (B, H, W, 3, heads, d), got {tuple(qkv.shape)}')
    batch, height, width, _, heads, head_dims = qkv.shape
    if reasons := unsupported_reasons(head_dims=head_dims):
        raise ValueError(f"backend 'triton' cannot run: {'; '.join(reasons)}")
    if height * width * 3 * heads * head_dims >= MAX_MAP_ELEMENTS:
        raise ValueError(
            f"backend 'triton' takes maps of fewer than 2**31 numbers an image, got {height} x "
            f'{width} pixels of {3 * heads * head_dims}; use another backend or smaller tiles'
        )
    grid = tuple(-(-(n + before) // window_size) for n, before in ((height, top), (width, left)))
    shapes = [(batch, *grid, n * heads, 8) for n in (1, 2)]
    if tuple(windows.shape) not in shapes:
        raise ValueError(
            f'windows must be {shapes[0]}, or {shapes[1]} for separate windows of keys and '
            f'values, got {tuple(windows.shape)}'
        )
    return qkv.contiguous(), windows.float().contiguous()


def _check_bias(bias: Tensor, qkv: Tensor, window_size: int) -> None:
    expected = (qkv.shape[4], window_size**2, window_size**2)
    if tuple(bias.shape) != expected:
        raise ValueError(f'bias must be {expected}, got {tuple(bias.shape)}')


def _kernels() -> ModuleType:
    """Return the module that imports Triton."""
    from . import triton_kernels

    return triton_kernels


def _merge(
    parts: Tensor, qkv: Tensor, windows: Tensor, window_size: int, top: int, left: int
) -> Tensor:
    """Put (B*nH*nW, heads, N, d) back into a map (B, H, W, heads, d)."""
    height, width = qkv.shape[1:3]
    parts = parts.unflatten(2, (window_size, window_size)).unflatten(0, tuple(windows.shape[:3]))
    out = parts.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)
    return out[:, top : top + height, left : left + width]


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
    samples, grad_bias = kernels.launch_backward(
        grad.contiguous(), qkv, windows, bias, grad_qkv, (scale, window_size, top, left)
    )
    options = (window_size, top, left, push)
    grad_windows = kernels.launch_samples_backward(samples, qkv, windows, grad_qkv, options)
    return grad_qkv, grad_windows, qkv.new_empty(0) if grad_bias is None else grad_bias


@torch.library.custom_op('mmvsa::sample_windows', mutates_args=())
def _sample_windows(
    qkv: Tensor, windows: Tensor, window_size: int, top: int, left: int, push: float
) -> Tensor:
    out = _new_samples(qkv, windows, window_size)
    _kernels().launch_sampling(qkv, windows, out, window_size, top, left)
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
    grad_qkv[:, :, :, 0] = _merge(grad[0], qkv, windows, window_size, top, left)
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
    grad_bias = qkv.new_empty(0) if bias is None else torch.empty_like(bias)
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
