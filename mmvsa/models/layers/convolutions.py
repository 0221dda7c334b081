"""The convolution branches of ViTAE cells (arXiv 2106.03348, 2202.10108).

Maps are channels-last (B, H, W, C) outside; inside a convolution they are the NCHW view of the
same memory, so nothing is copied.
"""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recompute import Repeating, recompute


def to_nchw(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), a view in channels_last memory."""
    return x.permute(0, 3, 1, 2)


def to_nhwc(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C); a view if ``x`` is in channels_last memory."""
    return x.permute(0, 2, 3, 1).contiguous()


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """Pad (B, C, H, W) with zeros on the right and bottom to multiples of ``divisor``."""
    bottom, right = (-length % divisor for length in x.shape[-2:])
    return F.pad(x, (0, right, 0, bottom)) if bottom or right else x


class SiLU(nn.SiLU):
    """SiLU that overwrites its input where no gradient needs it."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.silu(x, inplace=not torch.is_grad_enabled())


class PyramidReduction(nn.Module):
    """PRM: strided convolutions of several dilations side by side, GELU, concatenated.

    Args:
        in_channels: channels of the input.
        embed_dims: channels of each convolution.
        stride: by how much the map shrinks; the input must be a multiple of it.
        kernel_size: of every convolution.
        dilations: one convolution for each.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    embed_dims,
                    kernel_size,
                    stride,
                    # smallest padding that gives size / stride
                    padding=math.ceil(((kernel_size - 1) * dilation + 1 - stride) / 2),
                    dilation=dilation,
                ),
                nn.GELU(),
            )
            for dilation in dilations
        )
        self.out_channels = embed_dims * len(dilations)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, len(dilations) * embed_dims, H / stride, W / stride)."""
        return torch.cat([conv(x) for conv in self.convs], 1)


class ParallelConvolution(nn.Sequential, Repeating):
    """PCM: 3x3 grouped convolutions with batch norm and SiLU between them.

    For the backward pass only the convolutions' outputs are kept; norms and SiLU are repeated.

    Args:
        channels: of the input, the hidden maps and the output.
        strides: of the convolutions.
        groups: of every convolution.
        norms: whether a batch norm follows each convolution; all but the last by default.
        last_activation: end with a SiLU too (ViTAE; ViTAEv2 does not).
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int] = (1, 1, 1),
        groups: int = 1,
        norms: Sequence[bool] | None = None,
        last_activation: bool = False,
    ) -> None:
        last = len(strides) - 1
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers.append(
                nn.Conv2d(channels[i], channels[i + 1], 3, stride, padding=1, groups=groups)
            )
            if norms[i] if norms else i < last:
                layers.append(nn.BatchNorm2d(channels[i + 1]))
            if i < last or last_activation:
                layers.append(SiLU())
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        pending: list[nn.Module] = []
        for layer in self:
            pending.append(layer)
            # Not SyncBatchNorm, which must not talk to the other processes twice.
            if not isinstance(layer, (nn.BatchNorm2d, SiLU)):
                x, pending = self._run(pending, x), []
        return self._run(pending, x)

    def _run(self, layers: Sequence[nn.Module], x: Tensor) -> Tensor:
        """The layers one after another, all but the last repeated in the backward pass."""
        if len(layers) > 1:
            chain = functools.partial(_chain, layers)
            return recompute(chain, x, norms=layers, keep=self.keep_activations)
        return _chain(layers, x)


def _chain(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
