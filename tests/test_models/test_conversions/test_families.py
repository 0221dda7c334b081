"""Families of published files: recognition, converters, and the documentation's tables."""

import pytest
import torch
from cli import ROOT, load_tool
from reference import describe, state_dict

from mmvsa.models import convert_vitaev2
from mmvsa.models.conversions import (
    FAMILIES,
    CheckpointError,
    adapt_state_dict,
    find_family,
    is_foreign,
    rename_keys,
)

REFERENCES = {
    'ViTAEv2_S': 'vitaev2',
    'ViTAEv2_VSA_S': 'vitaev2',
    'ViTAE_basic_Tiny': 'vitae',
    'SwinVSA_T': 'swin',
    'QFormer_T': 'swin',
    'RVSA_ViT_B': 'vit',
}


def meta_state_dict(reference):
    """Keys and shapes of a reference without values."""
    shapes = describe(reference)['state_dict']
    return {key: torch.empty(shape, device='meta') for key, shape in shapes}


@pytest.mark.parametrize(('reference', 'name'), REFERENCES.items())
def test_official_names_are_recognized_and_those_of_mmvsa_are_not(reference, name):
    official = meta_state_dict(reference)
    family = find_family(official)
    assert family.name == name and is_foreign(official)
    converted = adapt_state_dict(official)
    assert find_family(converted) is None
    assert all(adapt_state_dict(converted)[key] is value for key, value in converted.items())


def test_the_tables_of_the_documentation_are_those_of_the_families():
    tool = load_tool('model_converters/key_tables')
    page = (ROOT / 'docs/checkpoints.md').read_text(encoding='utf-8')
    assert page == tool.render(page), 'run python tools/model_converters/key_tables.py'
    for family in FAMILIES:
        for rows in family.tables.values():
            assert all(f'| `{row.official}` |' in page for row in rows)


def test_a_page_without_marks_is_an_error():
    with pytest.raises(ValueError, match='begin files'):
        load_tool('model_converters/key_tables').render('# Checkpoints\n')


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


def test_rows_of_two_regressors_interleave_by_head():
    heads = torch.arange(8.0)
    offsets = {'x.attn.sampling_offsets.2.bias': heads, 'x.attn.sampling_scales.2.bias': -heads}
    table = find_family({'layers.0.NC.0.x': 0}).tables['ViTAEv2']
    (joined,) = rename_keys(offsets, table).values()
    assert joined.tolist() == [0, 1, -0.0, -1, 2, 3, -2, -3, 4, 5, -4, -5, 6, 7, -6, -7]
