"""Fusion and unpooling against the official implementation and PyTorch."""

import pytest
import torch
from helpers.reference import arrays, normal

from mmvsa.models.mattors.integration import fuse, unpool


def test_fusion() -> None:
    glance = normal(31, (2, 3, 24, 20))
    for column, classes in enumerate(([], [0, 1], [1, 2], [0, 2])):
        glance[0, classes, 0, column] = 3
    glance[0, :, 0, 0] = 0
    focus = normal(32, (2, 1, 24, 20)).sigmoid().requires_grad_()
    fused = fuse(glance, focus)
    assert torch.equal(fused, arrays('matting_fusion')['fused'])
    fused.sum().backward()
    assert torch.equal(focus.grad, (glance.argmax(1, keepdim=True) == 1).float())


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_unpool_is_torchs(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 6, dtype=dtype, requires_grad=True)
    pooled, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    out = unpool(pooled, indices)
    if dtype != torch.bfloat16:
        assert torch.equal(out, torch.nn.functional.max_unpool2d(pooled, indices, 2))
    out.sum().backward()
    assert torch.equal(x.grad, (out != 0).to(dtype))
