"""Models by name."""

import sys

import pytest
import torch
from helpers.cli import ROOT, run_command
from mmengine.registry import DefaultScope

import mmvsa
from mmvsa import get_model, list_models
from mmvsa.apis.model import CHANGE_DETECTORS, collect_models, model_config
from mmvsa.models.backbones import rvsa, swin_vsa
from mmvsa.utils import load_config

VITAEV2 = [
    'vitaev2-48m',
    'vitaev2-48m-vsa',
    'vitaev2-b',
    'vitaev2-b-vsa',
    'vitaev2-b-vsa-ws12',
    'vitaev2-s',
    'vitaev2-s-vsa',
    'vitaev2-s-vsa-widepcm',
    'vitaev2-s-window',
]


def test_list_models():
    assert list_models('vitaev2*') == VITAEV2
    assert 'vitaev2-s' not in list_models('*vsa*')
    assert set(list_models('vitaev2*vsa*')) == {n for n in VITAEV2 if 'vsa' in n}
    assert list_models('nothing*') == []


def test_names_come_from_the_backbone_modules(monkeypatch):
    assert collect_models()['qformer-t'] == dict(type='mmvsa.QFormer', arch='t')
    assert swin_vsa.MODELS_BY_NAME.keys() | rvsa.MODELS_BY_NAME.keys() < set(list_models())
    monkeypatch.setattr(rvsa, 'MODELS_BY_NAME', {'qformer-t': dict(type='mmvsa.RVSA')})
    with pytest.raises(ValueError, match="names models that others have: .'qformer-t'"):
        collect_models.__wrapped__()


def test_unknown_name_lists_near_ones():
    with pytest.raises(ValueError, match="unknown model 'vitaev2-s-vsaa'.*'vitaev2-s-vsa'"):
        get_model('vitaev2-s-vsaa')


@pytest.mark.parametrize('name', collect_models())
def test_every_classifier_builds(name):
    with torch.device('meta'):
        model = get_model(name, num_classes=7)
    assert model.head.fc.out_features == 7


def test_model_gives_logits_and_dicts_merge():
    model = get_model(
        'vitaev2-s-vsa',
        num_classes=5,
        backbone=dict(out_indices=(0, 1, 2, 3), drop_path_rate=0.1),
        head=dict(topk=(1, 3)),
    ).eval()
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 64, 96))
    assert logits.shape == (2, 5)
    assert model.backbone.out_indices == (0, 1, 2, 3)
    assert model.backbone.stages[3].blocks[1].drop_path.drop_prob == pytest.approx(0.1)
    assert model.head.topk == (1, 3)


def test_arch_may_be_replaced():
    config = model_config('vitaev2-s-vsa', backbone=dict(arch='b-vsa'))
    assert config['head']['in_channels'] == 1024


def test_a_runner_does_not_write_over_loaded_weights(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(get_model('vitaev2-s-vsa', num_classes=3).state_dict(), path)
    model = get_model('vitaev2-s-vsa', pretrained=path, num_classes=3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_builds_inside_another_packages_scope(scope):
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        assert get_model('vitaev2-s-vsa').head.fc.out_features == 1000


def test_version_is_public():
    assert mmvsa.__version__.count('.') == 2


@pytest.mark.parametrize('name', CHANGE_DETECTORS)
def test_every_change_detector_builds(name):
    assert name in list_models()
    with torch.device('meta'):
        model = get_model(name, backbone=dict(drop_path_rate=0.1))
        assert get_model(name, num_classes=3).decode_head.conv_seg.out_channels == 3
    assert model.decode_head.conv_seg.out_channels == 2
    assert model.backbone.stages[1].blocks[1].drop_path.drop_prob > 0


def test_change_detector_is_that_of_its_config():
    cfg = load_config(ROOT / 'configs/_base_/models/bit_vitaev2.py')
    for option in ('drop_path_rate', 'drop_path_schedule'):  # for training
        cfg.model.backbone.pop(option)
    assert cfg.model.to_dict() == CHANGE_DETECTORS['bit_vitaev2-s']


def test_importing_mmvsa_leaves_mmseg_out():
    code = "import sys, mmvsa; sys.exit(any(name.startswith('mmseg') for name in sys.modules))"
    run_command(sys.executable, '-c', code)


@pytest.mark.parametrize(
    ('name', 'classes', 'error', 'message'),
    [
        ('vitaev2-s', -1, ValueError, 'num_classes must be at least 0, got -1'),
        ('vitaev2-s', 2.5, TypeError, 'num_classes must be an integer'),
        ('bit_vitaev2-s', 1, ValueError, 'num_classes must be at least 2, got 1'),
        ('p3m-net_vitae-s', 2, ValueError, 'p3m-net_vitae-s has no classes'),
    ],
)
def test_wrong_numbers_of_classes_are_named(name, classes, error, message):
    with torch.device('meta'), pytest.raises(error, match=message):
        get_model(name, num_classes=classes)


@pytest.mark.parametrize('options', [dict(head=None), dict(num_classes=0)])
def test_a_model_without_a_head_gives_pooled_features(options):
    model = get_model('swin-t-vsa', **options).eval()
    assert not model.with_head
    with torch.no_grad():
        (features,) = model(torch.randn(2, 3, 32, 40))
    assert features.shape == (2, 768)


def test_options_of_the_backbone_stand_by_themselves():
    """As timm's users pass them; those of the backbone's own dict win."""
    with torch.device('meta'):
        model = get_model(
            'swin-t-vsa',
            in_chans=4,
            drop_path_rate=0.3,
            frozen_stages=1,
            backbone=dict(norm_eval=True),
        )
        assert get_model('swin-t-vsa', with_cp=True, backbone=dict(with_cp=False)).head is not None
        assert get_model('rvsa-vit-b', img_size=(512, 512)).backbone.position_size == (32, 32)
    backbone = model.backbone
    assert (backbone.in_channels, backbone.frozen_stages, backbone.norm_eval) == (4, 1, True)
    assert backbone.stages[-1].blocks[-1].drop_path.drop_prob == pytest.approx(0.3)


def test_features_only(tmp_path):
    """The backbone alone; a file of a whole model loads into it."""
    whole = get_model('swin-t-vsa', num_classes=3)
    torch.save(whole.state_dict(), tmp_path / 'whole.pth')
    options = dict(features_only=True, pretrained=tmp_path / 'whole.pth')
    backbone = get_model('swin-t-vsa', **options).eval()
    with torch.no_grad():
        shapes = [tuple(x.shape[1:]) for x in backbone(torch.randn(1, 3, 64, 32))]
    assert shapes == [(96, 16, 8), (192, 8, 4), (384, 4, 2), (768, 2, 1)]
    weight = 'stages.0.blocks.0.attn.qkv.weight'
    assert torch.equal(backbone.state_dict()[weight], whole.backbone.state_dict()[weight])
    with torch.device('meta'):
        assert get_model('rvsa-vit-b', features_only=True).out_indices == (11,)
        assert get_model('swin-t-vsa', out_indices=(1, 2), features_only=True).out_indices == (1, 2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(pretrained=True), 'give the path of a checkpoint'),
        (dict(num_clases=3), 'takes no option num_clases; did you mean num_classes'),
        (dict(drop_path=0.1), 'did you mean drop_path_rate'),
        (dict(window_size=8), r'attention=dict\(window_size'),
        (dict(img_size=384), 'images of any size'),
        (dict(checkpoint_path='x'), 'by pretrained'),
        (dict(global_pool='avg'), 'neck=None'),
    ],
)
def test_options_that_nothing_takes(options, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        get_model('swin-t-vsa', **options)


def test_features_of_whole_models_are_refused():
    with torch.device('meta'), pytest.raises(ValueError, match='is no classifier'):
        get_model('p3m-net_vitae-s', features_only=True)


def test_overrides_of_the_caller_stay_as_they_are():
    arch = dict(_delete_=True, embed_dims=8, depths=(1,), num_heads=(1,))
    for _ in range(2):
        model = get_model('swin-t-vsa', backbone=dict(arch=arch, out_indices=(0,)))
        assert model.backbone.out_channels == (8,) and '_delete_' in arch
