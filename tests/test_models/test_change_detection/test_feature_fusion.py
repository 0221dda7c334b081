"""Fusing maps of two images."""

import pytest
import torch

from mmvsa.models.change_detection import FeatureFusionNeck


def test_policies():
    before, after = [[torch.randn(1, c, 2, 3) for c in (4, 8)] for _ in range(2)]
    joined = FeatureFusionNeck('concat')(before, after)
    differences = FeatureFusionNeck('abs_diff')(before, after)
    for first, second, both, difference in zip(before, after, joined, differences, strict=True):
        torch.testing.assert_close(both, torch.cat((first, second), 1))
        torch.testing.assert_close(difference, (second - first).abs())


def test_unknown_policy():
    with pytest.raises(ValueError, match="policy must be one of .*'concat'.*got 'sum'"):
        FeatureFusionNeck('sum')
