"""The Triton kernels as a backend."""

import torch
from torch import Tensor

from . import triton_attention
from .protocol import AttentionSpec, Bias, Windows


class TritonBackend:
    """Sampling and attention by Triton; one kernel does both for windows of up to 8 x 8 pixels."""

    name = 'triton'

    def reasons(
        self, device: torch.device | None = None, spec: AttentionSpec | None = None
    ) -> list[str]:
        """Return why it cannot run on ``device`` or serve ``spec``; empty if it can."""
        reasons = [] if device is None else triton_attention.unavailable_reasons(device)
        return reasons if spec is None else reasons + triton_attention.unsupported_reasons(spec)

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
