"""The fused Triton kernel as a backend."""

import torch
from torch import Tensor

from . import triton_attention
from .protocol import AttentionSpec, Bias, Windows


class TritonBackend:
    """Sampling and attention in one kernel; samples stay in registers."""

    name = 'triton'

    def reasons(
        self, device: torch.device | None = None, spec: AttentionSpec | None = None
    ) -> list[str]:
        """Return why it cannot run on ``device`` or serve ``spec``; empty if it can."""
        reasons = [] if device is None else triton_attention.unavailable_reasons(device)
        if spec is not None:
            limits = {
                'it has no dropout of the attention weights (attn_drop)': spec.attn_drop > 0,
                "it has no position='decomposed'": spec.decomposed_position,
                'it has no separate_windows': spec.separate_windows,
                f'its heads are at most {triton_attention.MAX_HEAD_DIMS} wide, not '
                f'{spec.head_dims}': spec.head_dims > triton_attention.MAX_HEAD_DIMS,
                f'its window_size is at most {triton_attention.MAX_WINDOW_SIZE}, not '
                f'{spec.window_size}': spec.window_size > triton_attention.MAX_WINDOW_SIZE,
            }
            reasons += [reason for reason, present in limits.items() if present]
        return reasons

    def attend(
        self, qkv: Tensor, windows: Windows, *, spec: AttentionSpec, bias: Bias, training: bool
    ) -> Tensor:
        """Attend inside every window; see :class:`mmvsa.ops.protocol.Backend`."""
        q, kv = qkv[:, :, :, 0], qkv[:, :, :, 1:].transpose(3, 4).flatten(4)
        assert not callable(bias)
        out = triton_attention.attend_triton(
            q,
            kv,
            windows.points,
            bias=None if bias is None else bias[0],
            scale=spec.scale,
            window_size=spec.window_size,
            top=windows.geometry.top,
            left=windows.geometry.left,
        )
        return out.flatten(-2)
