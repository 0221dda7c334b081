"""The Triton kernels as a backend."""

import torch
from torch import Tensor

from . import triton_attention
from .protocol import AttentionSpec, Bias, Windows


class TritonBackend:
    """Sampling and attention by Triton; one kernel does both for windows of up to 8 x 8 pixels."""

    name = 'triton'

    def reasons(
        self,
        device: torch.device | None = None,
        spec: AttentionSpec | None = None,
        dtype: torch.dtype | None = None,
    ) -> list[str]:
        """Return why it cannot run on ``device`` or serve ``spec`` or ``dtype``, or nothing."""
        reasons = [] if device is None else triton_attention.unavailable_reasons(device)
        if spec is not None:
            reasons += triton_attention.unsupported_reasons(spec)
        if dtype not in (None, *triton_attention.DTYPES):
            reasons.append(f'it takes maps of {triton_attention.DTYPE_NAMES}, not {dtype}')
        return reasons

    def attend(
        self, qkv: Tensor, windows: Windows, *, spec: AttentionSpec, bias: Bias, training: bool
    ) -> Tensor:
        """Attend inside every window; see :class:`mmvsa.ops.protocol.Backend`."""
        return triton_attention.attend_triton(
            qkv,
            windows.homography,
            windows.geometry,
            scale=spec.scale,
            bias=bias,
            dropout=spec.attn_drop if training else 0.0,
            push=windows.push,
        )
