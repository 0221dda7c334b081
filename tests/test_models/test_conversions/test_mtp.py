"""Key names of MTP's RVSA."""

import pytest
import torch
from helpers.reference import state_dict
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmvsa.models import RVSA, load_pretrained
from mmvsa.models.checkpoints import fit_weights
from mmvsa.models.conversions import convert_mtp, convert_vit, find_family

REFERENCE = 'MTP_ViT_160'
BACKBONE = dict(
    type='mmvsa.RVSA',
    arch=dict(embed_dims=32, depth=6, num_heads=2),
    img_size=160,
    out_indices=(1, 2, 3, 5),
    final_norm=False,
)


def build(**options):
    return MODELS.build({**BACKBONE, **options})


def test_what_the_official_model_does_not_use_is_left_out():
    official = state_dict(REFERENCE)
    before = dict(official)
    assert find_family(official).name == 'mtp'
    converted = convert_mtp(official)
    assert official == before, 'the input stays as it is'
    expected = convert_vit({k: v for k, v in official.items() if not k.startswith('norm.')})
    unlike = converted.keys() ^ expected.keys()
    assert unlike == {
        f'blocks.{block}.attn.{name}_{axis}'
        for block in (2, 5)
        for name in ('full_attn_rel_pos', 'position.rel_pos')
        for axis in 'hw'
    }
    assert find_family(converted) is None


@pytest.mark.parametrize('container', [None, 'state_dict', 'model'])
def test_the_encoder_loads_whole(container):
    """The file of the pretraining, into the pyramid of a segmentor."""
    official = state_dict(REFERENCE)
    backbone = build(out_type='pyramid')
    report = load_pretrained(backbone, {container: official} if container else official)
    assert not report.missing and not report.unexpected and not report.mismatched
    own = backbone.state_dict()
    for block in (2, 5):
        for axis in 'hw':
            position = own[f'blocks.{block}.attn.position.rel_pos_{axis}']
            assert position.equal(official[f'blocks.{block}.attn.full_attn_rel_pos_{axis}'])
    assert own['pyramid.up4.1.weight'].equal(official['fpn1.1.ln.weight'])


def test_detectors_start_without_positions_of_full_attention():
    backbone = build(out_type='pyramid', attention=(None, None, dict(position=None)))
    report = load_pretrained(backbone, state_dict(REFERENCE))
    assert not report.missing and not report.mismatched
    positions = [f'blocks.{b}.attn.position.rel_pos_{axis}' for b in (2, 5) for axis in 'hw']
    assert report.unexpected == positions


def test_another_image_resizes_the_positions():
    report = load_pretrained(build(img_size=224), state_dict(REFERENCE))
    assert report.resized[0] == 'pos_embed: (1, 100, 32) -> (1, 196, 32)'
    assert 'blocks.5.attn.position.rel_pos_w: (19, 16) -> (27, 16)' in report.resized
    assert not report.missing and not report.unexpected


class Whole(nn.Module):
    """A backbone with a head, under the names of all host packages."""

    def __init__(self, **options):
        super().__init__()
        self.backbone = build(**options)
        self.decode_head = nn.Linear(32, 2)


@pytest.mark.parametrize('out_type', ['featmap', 'pyramid'])
def test_a_whole_file_is_of_the_model_of_the_config(out_type):
    """As a test takes it: a change detector's file has a pyramid that nothing uses."""
    model = Whole(out_type=out_type)
    official = {f'backbone.{k}': v for k, v in state_dict(REFERENCE).items()}
    official |= {'decode_head.weight': torch.ones(2, 32), 'decode_head.bias': torch.ones(2)}
    weights, report = fit_weights(model, {'state_dict': official}, 'iter_80000.pth', exact=True)
    assert weights.keys() == model.state_dict().keys()
    assert not report.resized


def test_a_scene_classifier_loads_with_its_head():
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(BACKBONE, out_type='avg_featmap'),
            head=dict(type='LinearClsHead', num_classes=10, in_channels=32),
        )
    )
    official = {f'backbone.{k}': v for k, v in state_dict(REFERENCE).items()}
    official |= {'head.fc.weight': torch.ones(10, 32), 'head.fc.bias': torch.ones(10)}
    weights, _ = fit_weights(model, {'state_dict': official}, 'epoch_100.pth', exact=True)
    assert weights.keys() == model.state_dict().keys()


def test_a_pyramid_is_only_left_out_where_there_is_none():
    assert build().is_unbuilt('pyramid.up2.weight')
    assert not build(out_type='pyramid').is_unbuilt('pyramid.up2.weight')
    assert not build().is_unbuilt('norm.weight')
    first = RVSA(BACKBONE['arch'], 1, img_size=160)
    assert first.is_unbuilt('blocks.2.norm1.weight') and not first.is_unbuilt(
        'blocks.1.norm1.weight'
    )
