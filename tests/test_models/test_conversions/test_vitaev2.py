"""ViTAEv2's names."""

import pytest
import torch
from helpers.reference import state_dict

from mmvsa.models.conversions import CheckpointError, adapt_state_dict, convert_vitaev2


def test_an_encoder_with_two_norms_per_attention_is_refused():
    """P3M-Net's encoder has ViTAEv2's names, and a norm that ViTAEv2 has not."""
    encoder = {
        'layers.0.NC.0.norm1.weight': torch.ones(64),
        'layers.0.NC.0.attn.kqv.weight': torch.ones(192, 64),
        'layers.0.NC.0.attn.norm1.weight': torch.zeros(64),
    }
    with pytest.raises(CheckpointError) as caught:
        adapt_state_dict(encoder)
    for key in ('layers.0.NC.0.norm1.weight', 'layers.0.NC.0.attn.norm1.weight'):
        assert repr(key) in str(caught.value)
    assert "become 'stages.0.blocks.0.norm1.weight'" in str(caught.value)


def test_the_conversion_is_pure():
    official = state_dict('ViTAEv2_VSA_S')
    before = {key: value.clone() for key, value in official.items()}
    first, second = convert_vitaev2(official), convert_vitaev2(official)
    assert list(official) == list(before)
    assert all(torch.equal(official[key], before[key]) for key in before)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_1x1_convolutions_become_matrices():
    weight = torch.randn(6, 2, 1, 1)
    converted = convert_vitaev2({'layers.0.NC.0.attn.qkv.weight': weight})
    assert torch.equal(converted['stages.0.blocks.0.attn.qkv.weight'], weight[..., 0, 0])
