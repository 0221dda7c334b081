"""The convolution branches of ViTAE cells (arXiv 2106.03348, 2202.10108).

Maps are channels-last (B, H, W, C) outside; inside a convolution they are the NCHW view of the
same memory, so nothing is copied.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_divides, check_int, check_ints
from mmvsa.ops.precision import without_autocast
from mmvsa.ops.windows import divide_up, known_equal


def to_nchw(x: Tensor) -> Tensor:
    """View (B, H, W, C) as (B, C, H, W), in channels_last memory."""
    return x.permute(0, 3, 1, 2)


def to_nhwc(x: Tensor) -> Tensor:
    """Return (B, C, H, W) as (B, H, W, C); a view if ``x`` is in channels_last memory."""
    return x.permute(0, 2, 3, 1).contiguous()


# Channels of a group below which cuDNN may launch every group alone in half precision.
MIN_GROUP_WIDTH = 8


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``, in float32 where oneDNN's bfloat16 on a CPU reads what nobody wrote.

    oneDNN 3.12 (torch 2.14) returns NaN or garbage for strided bfloat16 convolutions of maps that
    are one or two wide and higher than that, on processors with AMX.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        if x.device.type != 'cpu' or max(self.stride) == 1:
            return super().forward(x)
        autocast = torch.is_autocast_enabled('cpu')
        dtype = torch.get_autocast_dtype('cpu') if autocast else x.dtype
        # The width last: it may be open while a model is exported.
        if dtype != torch.bfloat16 or x.shape[-1] > 2:
            return super().forward(x)
        with without_autocast(x.device):
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(x.float(), self.weight.float(), bias).to(dtype)


class GroupedConv2d(Conv2d):
    """``nn.Conv2d`` that joins narrow groups on a GPU in half precision.

    cuDNN launches each of many groups of four channels alone, without tensor cores. Joined groups
    have a block-diagonal weight: more products, of zeros, in fewer and faster launches. Weights and
    results are those of ``nn.Conv2d``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        width = self.in_channels // self.groups
        # Depthwise convolutions have kernels of their own.
        self.joined = 1 if width == 1 else math.gcd(self.groups, max(MIN_GROUP_WIDTH // width, 1))
        self.diagonal: Tensor
        self.register_buffer('diagonal', torch.eye(self.joined), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H', W')."""
        if self.joined == 1 or not _is_half_on_gpu(x):
            return super().forward(x)
        weight = join_groups(self.weight, self.groups, self.diagonal)
        groups = self.groups // self.joined
        return F.conv2d(
            x,
            weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=groups,
        )


def _is_half_on_gpu(x: Tensor) -> bool:
    """Return whether a convolution of ``x`` is computed on a GPU in 16 bits."""
    if not x.is_cuda:  # the meta device, for one, has no autocast to ask about
        return False
    autocast = torch.is_autocast_enabled(x.device.type)
    dtype = torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
    return dtype.itemsize == 2


def join_groups(weight: Tensor, groups: int, diagonal: Tensor) -> Tensor:
    """Return the weight of the same convolution with fewer groups.

    Args:
        weight: (C_out, C_in / groups, kH, kW).
        groups: Number of groups.
        diagonal: The identity, (J, J): J neighboring groups become one.

    Returns:
        (C_out, J * C_in / groups, kH, kW), zero outside the blocks on the diagonals.
    """
    joined = len(diagonal)
    # New groups, block, C_out of a block, block, C_in of a block, kH, kW.
    blocks = weight.unflatten(0, (groups // joined, joined, -1)).unsqueeze(3)
    mask = diagonal.to(weight.dtype)[None, :, None, :, None, None, None]
    return (blocks * mask).flatten(3, 4).flatten(0, 2)


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """Pad (B, C, H, W) with zeros on the right and bottom to multiples of ``divisor``."""
    bottom, right = (divide_up(n, divisor) * divisor - n for n in x.shape[-2:])
    return x if known_equal((bottom, right), (0, 0)) else F.pad(x, (0, right, 0, bottom))


class BatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that also trains on one value per channel, by its running statistics.

    A batch of one image whose map is one pixel has no variance; PyTorch refuses it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W)."""
        if self.training and self.running_mean is not None and x.numel() == self.num_features:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class PyramidReduction(nn.Module):
    """PRM: parallel strided convolutions of several dilations, GELU, concatenated.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each convolution.
        stride: Factor by which the map shrinks; the input must be a multiple of it.
        kernel_size: Of every convolution.
        dilations: One convolution for each.

    Raises:
        ValueError: A value that is not positive, an even kernel with a stride of 1.
        TypeError: A value that is no integer.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        *,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
    ) -> None:
        super().__init__()
        check_int('in_channels', in_channels)
        check_int('embed_dims', embed_dims)
        check_int('stride', stride)
        check_int('kernel_size', kernel_size)
        dilations = check_ints('dilations', dilations)
        extents = [(kernel_size - 1) * dilation + 1 for dilation in dilations]
        if stride == 1 and any(extent % 2 == 0 for extent in extents):
            raise ValueError(
                f'kernel_size={kernel_size} with dilations {dilations} is even somewhere, '
                'which a stride of 1 cannot center'
            )
        self.convs = nn.ModuleList(
            nn.Sequential(
                Conv2d(
                    in_channels,
                    embed_dims,
                    kernel_size,
                    stride,
                    # smallest padding that gives size / stride
                    padding=max(math.ceil((extent - stride) / 2), 0),
                    dilation=dilation,
                ),
                nn.GELU(),
            )
            for dilation, extent in zip(dilations, extents, strict=True)
        )
        self.out_channels = embed_dims * len(dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, len(dilations) * embed_dims, H / stride, W / stride)."""
        return torch.cat([conv(x) for conv in self.convs], 1)


class ParallelConvolution(nn.Sequential):
    """PCM: grouped convolutions with batch norm and SiLU between them.

    Args:
        channels: Of the input, the hidden maps and the output.
        strides: Of the convolutions, one fewer than ``channels``.
        groups: Of every convolution.
        norms: Whether a batch norm follows each convolution; all but the last by default.
        last_activation: End with a SiLU too (ViTAE; ViTAEv2 does not).
        kernel_size: Of every convolution, odd.

    Raises:
        ValueError: Lists of the wrong length, groups that do not divide the channels, an even
            kernel.
        TypeError: A value of the wrong type.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        strides: Sequence[int] = (1, 1, 1),
        groups: int = 1,
        norms: Sequence[bool] | None = None,
        last_activation: bool = False,
        kernel_size: int = 3,
    ) -> None:
        channels, strides = check_ints('channels', channels), check_ints('strides', strides)
        last = len(strides) - 1
        if norms is None:
            norms = [i < last for i in range(last + 1)]
        if not isinstance(norms, (tuple, list)):
            raise TypeError(f'norms must be a sequence of booleans, got {norms!r}')
        norms = [check_bool('norms', norm) for norm in norms]
        if len(channels) != len(strides) + 1 or len(norms) != len(strides):
            raise ValueError(
                f'channels, strides and norms must have n + 1, n and n entries, '
                f'got {channels}, {strides} and {norms}'
            )
        check_int('groups', groups)
        check_bool('last_activation', last_activation)
        if check_int('kernel_size', kernel_size) % 2 == 0:
            raise ValueError(f'kernel_size must be odd, got {kernel_size}')
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            for width in channels[i : i + 2]:
                check_divides('groups', groups, 'channels', width)
            layers.append(
                GroupedConv2d(
                    channels[i],
                    channels[i + 1],
                    kernel_size,
                    stride,
                    padding=kernel_size // 2,
                    groups=groups,
                )
            )
            if norms[i]:
                layers.append(BatchNorm2d(channels[i + 1]))
            if i < last or last_activation:
                layers.append(nn.SiLU())
        super().__init__(*layers)
