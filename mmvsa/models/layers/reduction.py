"""Stages, and the modules at their start or end that shrink the map."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn.bricks.transformer import PatchMerging as _PatchMerging
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvsa.models.checks import check_int

from .block import Block
from .convolutions import PyramidReduction, pad_to_multiple, to_nchw, to_nhwc


class ReductionCell(Block):
    """PRM, then attention + PCM (no shortcut), then MLP (arXiv 2202.10108, figure 2).

    An input that is no multiple of the stride is padded with zeros on the right and bottom.

    Args:
        attention: An attention from the width of the pyramid to the width of the stage.
        pyramid: The pyramid of dilated convolutions (PRM).
        convolution: The convolution branch (PCM) of the input, which shrinks it by the stride.
        stride: Factor by which the map shrinks.
        options: ``position_kernel``, ``mlp_ratio`` and ``drop`` of :class:`Block`.
    """

    def __init__(
        self,
        attention: nn.Module,
        pyramid: PyramidReduction,
        convolution: nn.Module,
        *,
        stride: int,
        mlp_ratio: float = 1.0,
        **options: Any,
    ) -> None:
        # The official implementation has PyTorch's epsilon here, and no drop path.
        super().__init__(attention, mlp_ratio=mlp_ratio, norm_eps=1e-5, **options)
        self.stride = check_int('stride', stride)
        self.prm = pyramid
        self.pcm = convolution

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        x = pad_to_multiple(x, self.stride)
        if x.is_cuda:
            # The first cell's input is an image; batch norms of NCHW maps are slow.
            x = x.contiguous(memory_format=torch.channels_last)
        attended = self.attn(self.norm1(self.add_position(to_nhwc(self.prm(x)))))
        assert self.pcm is not None
        return self.feed_forward(attended + to_nhwc(self.pcm(x)))


def split_stride(stride: int) -> tuple[int, int, int]:
    """Split a stride over three convolutions: 4 -> (2, 2, 1), 2 -> (2, 1, 1).

    Raises:
        ValueError: The stride is none of 1, 2, 4 and 8.
    """
    if stride not in (1, 2, 4, 8):
        raise ValueError(f'downsample of a reduction cell must be 1, 2, 4 or 8, got {stride}')
    first, second, third = (2 if stride >= 2**i else 1 for i in (1, 2, 3))
    return first, second, third


class PyramidOnly(nn.Module):
    """Shrinks the map by a PRM alone (``performer_less`` of ViTAE-Transformer).

    Args:
        pyramid: The pyramid of dilated convolutions (PRM).
        stride: Factor by which the map shrinks.
    """

    def __init__(self, pyramid: PyramidReduction, *, stride: int) -> None:
        super().__init__()
        self.stride = check_int('stride', stride)
        self.prm = pyramid

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        return to_nhwc(self.prm(pad_to_multiple(x, self.stride)))


class PatchReduction(nn.Module):
    """Shrinks the map by one convolution of patches.

    Args:
        in_channels: Channels of the input.
        out_dims: Channels of the output.
        stride: Side of a patch, by which the map shrinks.
    """

    def __init__(self, in_channels: int, out_dims: int, *, stride: int) -> None:
        super().__init__()
        self.stride = check_int('stride', stride)
        check_int('in_channels', in_channels)
        self.projection = nn.Conv2d(in_channels, check_int('out_dims', out_dims), stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, ceil(H / stride), ceil(W / stride), out_dims)."""
        return to_nhwc(self.projection(pad_to_multiple(x, self.stride)))


class PatchMerging(_PatchMerging):
    """Swin's patch merging of channels-last maps, with its initialization.

    Args:
        in_channels: Channels C of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, padding=0)
        nn.init.trunc_normal_(self.reduction.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), out_channels)."""
        # mmcv's own padding looks at the size, which an export may leave open.
        x = pad_to_multiple(to_nchw(x), 2).permute(0, 2, 3, 1)
        merged, size = super().forward(x.flatten(1, 2), x.shape[1:3])
        return merged.unflatten(1, size)


class Stage(nn.Module):
    """A module that shrinks the map, then blocks; the backbone calls them one by one.

    Args:
        reduction: What shrinks the map.
        blocks: What follows.
    """

    def __init__(self, reduction: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.reduction = reduction
        self.blocks = ModuleList(blocks)
