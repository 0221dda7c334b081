"""Families of published files: recognition, converters, and the documentation's tables."""

import pytest
import torch
from helpers.cli import ROOT
from helpers.reference import describe

from mmvsa.models.conversions import (
    FAMILIES,
    adapt_state_dict,
    find_family,
    is_foreign,
)

REFERENCES = {
    'ViTAEv2_S': 'vitaev2',
    'ViTAEv2_VSA_S': 'vitaev2',
    'dense_RSP_ViTAEv2_S_192x256': 'rsp',
    'ViTAE_basic_Tiny': 'vitae',
    'SwinVSA_T': 'swin',
    'QFormer_T': 'swin',
    'MTP_ViT_160': 'mtp',
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
    page = (ROOT / 'docs/checkpoints.md').read_text(encoding='utf-8')
    for family in FAMILIES:
        for rows in family.tables.values():
            assert all(f'| `{row.official}` |' in page for row in rows)
