"""Modules that shrink the map."""

import pytest
import torch
from torch import nn

from mmvsa.models import FullAttention
from mmvsa.models.layers import (
    ParallelConvolution,
    PatchMerging,
    PatchReduction,
    PyramidOnly,
    PyramidReduction,
    ReductionCell,
    split_stride,
)


def pyramid(stride=4):
    return PyramidReduction(3, 8, stride=stride, kernel_size=7, dilations=(1, 2))


def cell(stride=4):
    convolution = ParallelConvolution((3, 8, 8, 12), strides=split_stride(stride))
    return ReductionCell(
        FullAttention(16, 2, out_dims=12), pyramid(stride), convolution, stride=stride
    )


def test_a_reduction_cell_matches_its_equation():
    module = cell().double().eval()
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    reduced = module.prm(x).permute(0, 2, 3, 1)
    y = module.attn(module.norm1(reduced)) + module.pcm(x).permute(0, 2, 3, 1)
    torch.testing.assert_close(module(x), y + module.mlp(module.norm2(y)))


@pytest.mark.parametrize('size', [(8, 8), (9, 14), (1, 1)])
def test_every_reduction_rounds_up(size):
    x = torch.randn(2, 3, *size)
    expected = (2, -(-size[0] // 4), -(-size[1] // 4))
    modules: list[nn.Module] = [
        cell(),
        PyramidOnly(pyramid(), stride=4),
        PatchReduction(3, 12, stride=4),
    ]
    for module, width in zip(modules, (12, 16, 12), strict=True):
        assert module(x).shape == (*expected, width)
    merging = PatchMerging(3, 6)(x.permute(0, 2, 3, 1))
    assert merging.shape == (2, -(-size[0] // 2), -(-size[1] // 2), 6)


def test_strides_are_split_from_the_front():
    assert [split_stride(s) for s in (1, 2, 4, 8)] == [(1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2)]
    with pytest.raises(ValueError, match='must be 1, 2, 4 or 8, got 3'):
        split_stride(3)
