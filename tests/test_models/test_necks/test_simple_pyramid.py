"""The pyramid of a plain transformer, alone and as a registered neck."""

import pytest
import torch
import torch.nn.functional as F

from mmvsa.registry import MODELS


@pytest.mark.parametrize('count', [1, 4])
@pytest.mark.parametrize('size', [(4, 6), (5, 3), (1, 1)])
def test_four_levels(count, size):
    neck = MODELS.build(dict(type='mmvsa.SimplePyramid', in_channels=8))
    maps = [torch.randn(2, 8, *size) for _ in range(count)]
    levels = neck(maps)
    height, width = size
    expected = [(4 * height, 4 * width), (2 * height, 2 * width), size]
    expected.append((-(-height // 2), -(-width // 2)))
    assert [tuple(level.shape) for level in levels] == [(2, 8, *e) for e in expected]
    assert neck.out_channels == (8,) * 4
    torch.testing.assert_close(levels[1], neck.up2(maps[1 % count]))
    torch.testing.assert_close(levels[3], F.max_pool2d(maps[-1], 2, ceil_mode=True))


def test_wrong_arguments_are_named():
    neck = MODELS.build(dict(type='mmvsa.SimplePyramid', in_channels=8))
    with pytest.raises(ValueError, match='one map or four, got 2'):
        neck([torch.zeros(1, 8, 2, 2)] * 2)
    with pytest.raises(ValueError, match='in_channels must be at least 1'):
        MODELS.build(dict(type='mmvsa.SimplePyramid', in_channels=0))
