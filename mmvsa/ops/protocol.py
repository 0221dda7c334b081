"""What a layer asks of a backend of sampled window attention, and what a backend offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .windows import WindowGeometry


@dataclass(frozen=True)
class AttentionSpec:
    """What a layer asks of a backend, known when the layer is built.

    Attributes:
        num_heads: Attention heads.
        head_dims: Channels d of a head.
        window_size: ``ws``, in pixels.
        scale: Factor of q k^T.
        attn_drop: Rate at which attention weights are dropped in training.
        decomposed_position: The bias depends on the queries.
        separate_windows: Keys and values have windows of their own.
        homography: The windows have the form of :attr:`Windows.homography`.
    """

    num_heads: int
    head_dims: int
    window_size: int
    scale: float
    attn_drop: float = 0.0
    decomposed_position: bool = False
    separate_windows: bool = False
    homography: bool = True


class Windows(Protocol):
    """Windows to sample, see :class:`mmvsa.models.layers.window_transforms.SampledWindows`."""

    @property
    def geometry(self) -> WindowGeometry:
        """The windows of the queries."""

    @property
    def homography(self) -> Tensor:
        """(B, nH, nW, heads, 8), see :func:`mmvsa.ops.triton_attention.attend_triton`."""

    @property
    def push(self) -> float:
        """Gradient that pushes coordinates back onto the map, part of that of the points."""

    @property
    def points(self) -> Tensor:
        """Sampling points, (B, nH, nW, heads, ws*ws, 2), (x, y) in pixels of the map."""


# A bias of the scores: (1, heads, N, N), or a function of the windows' queries.
Bias = Tensor | Callable[[Tensor], Tensor] | None


class Backend(Protocol):
    """A way to attend to sampled keys and values."""

    @property
    def name(self) -> str:
        """What configs call it."""

    def reasons(
        self,
        device: torch.device | None = None,
        spec: AttentionSpec | None = None,
        dtype: torch.dtype | None = None,
    ) -> list[str]:
        """Return why it cannot run on ``device`` or serve ``spec`` or ``dtype``, or nothing."""

    def attend(
        self, qkv: Tensor, windows: Windows, *, spec: AttentionSpec, bias: Bias, training: bool
    ) -> Tensor:
        """Attend inside every window.

        Args:
            qkv: (B, H, W, 3, heads, d).
            windows: Where keys and values are sampled; with separate windows for twice the heads,
                those of the keys first.
            spec: Options of the layer.
            bias: Added to the scores.
            training: Whether attention weights are dropped.

        Returns:
            (B, H, W, heads * d).
        """
