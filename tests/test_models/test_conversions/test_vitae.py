"""Names of ViTAE (2021)."""

import torch

from mmvsa.models.conversions import convert_vitae


def converted(*keys):
    return list(convert_vitae({key: torch.zeros(2, 2) for key in keys}))


def test_performer_cells():
    assert converted(
        'layers.0.RC.attn.w',
        'layers.0.RC.attn.mlp.2.bias',
        'layers.0.RC.attn.norm1.bias',
        'layers.2.NC.1.attn.qkv.weight',
    ) == [
        'stages.0.reduction.attn.directions',
        'stages.0.reduction.mlp.fc2.bias',
        'stages.0.reduction.norm1.bias',
        'stages.2.blocks.1.attn.qkv.weight',
    ]


def test_the_empty_stages_of_archs_with_a_class_token_go():
    assert converted('layers.0.RC.cls_token', 'layers.2.NC.1.norm1.bias') == [
        'cls_token',
        'stages.0.blocks.1.norm1.bias',
    ]
