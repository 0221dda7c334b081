"""Key names of the official BIT."""

import torch
from reference import bit_state_dict, describe

from mmvsa import get_model
from mmvsa.models import load_pretrained
from mmvsa.models.conversions.bit import convert_bit, is_official_bit


def test_recognizes_the_official_file_alone():
    official = bit_state_dict()
    assert is_official_bit(official)
    assert not is_official_bit(convert_bit(official))
    assert not is_official_bit({'conv_a.weight': torch.zeros(1)})


def test_every_key_has_its_place():
    official = bit_state_dict()
    before = dict(official)
    converted = convert_bit(official)
    assert official == before, 'the input stays as it is'
    with torch.device('meta'):
        expected = {k: v.shape for k, v in get_model('bit_vitaev2-s').state_dict().items()}
    expected = {k: v for k, v in expected.items() if not k.endswith('num_batches_tracked')}
    assert {key: value.shape for key, value in converted.items()} == expected


def test_what_is_left_out_has_no_influence():
    official = bit_state_dict()
    kept = sum(value.numel() for value in convert_bit(official).values())
    missing = sum(value.numel() for value in official.values()) - kept
    unused = set(describe('BIT_ViTAEv2_S')['unused'])
    outside = [k for k in unused if 'norm' in k.split('.')[1] or 'relative_position' in k]
    assert missing == sum(official[key].numel() for key in outside)


def test_projections_are_joined_in_order():
    official = bit_state_dict()
    converted = convert_bit(official)
    layer = 'transformer_decoder.layers.3.0.fn.fn.'
    joined = torch.cat([official[f'{layer}to_{name}.weight'] for name in 'kv'])
    assert converted['decode_head.decoder.3.attn.kv.weight'].equal(joined)
    q, k, v = official['transformer.layers.0.0.fn.fn.to_qkv.weight'].chunk(3)
    assert converted['decode_head.encoder.0.attn.q.weight'].equal(q)
    assert converted['decode_head.encoder.0.attn.kv.weight'].equal(torch.cat((k, v)))


def test_a_backbone_alone_takes_its_part(tmp_path):
    path = tmp_path / 'bit.pth'
    torch.save({f'module.{key}': value for key, value in bit_state_dict().items()}, path)
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
