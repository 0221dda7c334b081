"""Key names of RSP's ViTAEv2."""

import pytest
import torch
from helpers.reference import fill, state_dict
from mmengine.registry import MODELS

from mmvsa import get_model
from mmvsa.models import load_pretrained
from mmvsa.models.conversions import convert_rsp, convert_vitaev2, find_family

DENSE = 'dense_RSP_ViTAEv2_S_192x256'


@pytest.fixture
def classifier():
    """RSP's scene classifier: the dense backbone without norms of the maps, and a head."""
    weights = {k: v for k, v in state_dict(DENSE).items() if not k.startswith('norm')}
    return {**weights, 'head.weight': fill('head.weight', [51, 512]), 'head.bias': torch.zeros(51)}


def test_what_the_official_model_does_not_use_is_left_out():
    official = state_dict(DENSE)
    before = dict(official)
    unused = {key for key in official if key.startswith('norm') or 'relative_position' in key}
    used = {key: value for key, value in official.items() if key not in unused}
    assert len(unused) == 8 + 6
    converted, expected = convert_rsp(official), convert_vitaev2(used)
    assert official == before, 'the input stays as it is'
    assert converted.keys() == expected.keys()
    assert all(converted[key].equal(value) for key, value in expected.items())
    # The tables of sampled windows are in use.
    assert find_family(state_dict('ViTAEv2_VSA_S')).name == 'vitaev2'


def test_a_scene_classifier_loads_with_its_head(classifier, tmp_path):
    path = tmp_path / 'ckpt.pth'
    torch.save({'model': classifier, 'max_accuracy': 98.97, 'epoch': 99}, path)
    config = dict(head=dict(num_classes=51))
    model = get_model('vitaev2-s', pretrained=path, **config)
    assert model.head.fc.weight.equal(classifier['head.weight'])
    report = load_pretrained(get_model('vitaev2-s', **config), path)
    assert not report.missing and not report.unexpected and not report.mismatched


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_the_backbone_of_a_file(classifier, tmp_path, prefix):
    """A classifier's file, and a segmentor's with a head that is not wanted."""
    path = tmp_path / 'iter_80000.pth'
    weights = {prefix + k: v for k, v in (state_dict(DENSE) if prefix else classifier).items()}
    torch.save({'state_dict': {**weights, 'decode_head.conv_seg.bias': torch.zeros(5)}}, path)
    backbone = MODELS.build(dict(type='mmvsa.ViTAEv2', arch='s', attention=dict(padding='end')))
    report = load_pretrained(backbone, path)
    assert not report.missing and not report.mismatched
    assert not [key for key in report.unexpected if not key.startswith('decode_head')]
