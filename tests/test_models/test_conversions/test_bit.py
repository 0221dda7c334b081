"""Key names of the official BIT."""

import pytest
import torch
from helpers.reference import describe, state_dict

from mmvsa import get_model
from mmvsa.models import CheckpointError, load_pretrained
from mmvsa.models.conversions import adapt_whole_model, convert_bit, is_foreign
from mmvsa.models.conversions.bit import FAMILY


def test_recognizes_the_official_file_alone():
    official = state_dict('BIT_ViTAEv2_S')
    assert FAMILY.matches(official) and not is_foreign(official)
    converted = adapt_whole_model(official)
    assert not FAMILY.matches(converted)
    assert adapt_whole_model(converted) == converted
    assert not FAMILY.matches({'conv_a.weight': torch.zeros(1)})


def test_every_key_has_its_place():
    official = state_dict('BIT_ViTAEv2_S')
    before = dict(official)
    converted = convert_bit(official)
    assert official == before, 'the input stays as it is'
    with torch.device('meta'):
        expected = {k: v.shape for k, v in get_model('bit_vitaev2-s').state_dict().items()}
    expected = {k: v for k, v in expected.items() if not k.endswith('num_batches_tracked')}
    assert {key: value.shape for key, value in converted.items()} == expected


def test_what_is_left_out_has_no_influence():
    official = state_dict('BIT_ViTAEv2_S')
    kept = sum(value.numel() for value in convert_bit(official).values())
    missing = sum(value.numel() for value in official.values()) - kept
    unused = set(describe('BIT_ViTAEv2_S')['unused'])
    statistics = sum(
        official[key].numel()
        for key in official
        if key.startswith('backbone.layers.3') and 'running_' in key
    )
    assert missing == sum(official[key].numel() for key in unused) + statistics


def test_projections_are_joined_in_order():
    official = state_dict('BIT_ViTAEv2_S')
    converted = convert_bit(official)
    layer = 'transformer_decoder.layers.3.0.fn.fn.'
    joined = torch.cat([official[f'{layer}to_{name}.weight'] for name in 'qkv'])
    assert converted['decode_head.decoder.3.attn.qkv.weight'].equal(joined)
    alone = official['transformer.layers.0.0.fn.fn.to_qkv.weight']
    assert converted['decode_head.encoder.0.attn.qkv.weight'].equal(alone)


def test_an_incomplete_file_is_an_error():
    official = state_dict('BIT_ViTAEv2_S')
    del official['transformer_decoder.layers.3.0.fn.fn.to_v.weight']
    with pytest.raises(CheckpointError, match='incomplete.*layers.3.0.fn.fn.to_q'):
        convert_bit(official)


def test_a_backbone_alone_takes_its_part(tmp_path):
    path = tmp_path / 'bit.pth'
    torch.save({f'module.{key}': value for key, value in state_dict('BIT_ViTAEv2_S').items()}, path)
    backbone = get_model('bit_vitaev2-s').backbone
    report = load_pretrained(backbone, path)
    assert not report.missing and not report.mismatched


def test_own_checkpoints_load_again(tmp_path):
    path = tmp_path / 'own.pth'
    model = get_model('bit_vitaev2-s')
    torch.save({'state_dict': model.state_dict()}, path)
    again = get_model('bit_vitaev2-s', pretrained=path)
    for key, value in model.state_dict().items():
        assert again.state_dict()[key].equal(value), key
