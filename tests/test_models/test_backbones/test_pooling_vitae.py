"""PoolingViTAE beyond the contract of all backbones: maps before and after pooling."""

import pytest
import torch
from helpers.matting import ARCH

from mmvsa.registry import MODELS


def build(**options) -> torch.nn.Module:
    return MODELS.build(dict(type='mmvsa.PoolingViTAE', arch=ARCH, **options)).eval()


@torch.no_grad()
def test_indices_are_those_of_the_largest_pixels() -> None:
    maps, indices = build().encode(torch.randn(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (4, 64, 96),
        (8, 32, 48),
        (8, 16, 24),
        (12, 8, 12),
        (16, 4, 6),
        (24, 2, 3),
    ]
    for before, places in zip(maps[:-1], indices, strict=True):
        pooled = torch.nn.functional.max_pool2d(before, 2)
        assert torch.equal(before.flatten(2).gather(2, places.flatten(2)), pooled.flatten(2))


def test_projections_are_the_same_in_every_model() -> None:
    first, second = (dict(build().named_buffers()) for _ in range(2))
    key = 'stages.0.blocks.0.attn.directions'
    assert torch.equal(first[key], second[key])


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match='PlainPerformer needs num_heads=1'):
        MODELS.build(dict(type='mmvsa.PoolingViTAE', arch={**ARCH, 'num_heads': (2, 1, 2, 2)}))
    with pytest.raises(ValueError, match='multiples of 32'):
        build().encode(torch.zeros(1, 3, 48, 64))
