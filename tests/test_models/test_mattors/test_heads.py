"""Heads on backbones that were not made for matting."""

import pytest
from helpers.reference import normal

from mmvsa.registry import MODELS


def test_a_backbone_without_indices_is_refused() -> None:
    config = dict(type='mmvsa.Mattor', backbone=dict(type='mmvsa.SwinVSA', arch='t'))
    with pytest.raises(ValueError, match='P3MHead needs a backbone that keeps .* got SwinVSA'):
        MODELS.build(dict(config, decode_head=dict(type='mmvsa.P3MHead')))


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='mmvsa.SwinVSA', arch='t', out_indices=(0, 1, 2, 3)),
        dict(type='mmvsa.PoolingViTAE'),
    ],
    ids=lambda backbone: backbone['type'],
)
def test_u_shape_on_any_backbone(backbone: dict) -> None:
    channels = MODELS.build(backbone).out_channels
    head = dict(type='mmvsa.UNetMattingHead', in_channels=channels)
    model = MODELS.build(dict(type='mmvsa.Mattor', backbone=backbone, decode_head=head)).eval()
    outputs = model(normal(1, (1, 3, 50, 70)))
    assert outputs.glance.shape == (1, 3, 50, 70) and outputs.fused.shape == (1, 1, 50, 70)
    (outputs.glance.sum() + outputs.focus.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.decode_head.parameters())
