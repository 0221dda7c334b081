"""Loading into models: containers, prefixes, tables, reports, refusals."""

import argparse

import numpy as np
import pytest
import torch
from helpers.reference import state_dict
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.model.weight_init import PretrainedInit as MMEnginesInit
from mmengine.registry import WEIGHT_INITIALIZERS

from mmvsa import get_model
from mmvsa.models import (
    CheckpointError,
    SwinVSA,
    ViTAEv2,
    convert_vitaev2,
    load_complete,
    load_pretrained,
    read_state_dict,
)
from mmvsa.models.checkpoints import install_pretrained_init

REFERENCE = 'ViTAEv2_VSA_S'


@pytest.fixture(scope='module')
def official():
    return state_dict(REFERENCE)


@pytest.fixture(scope='module')
def expected(official):
    """The converted weights of the backbone."""
    converted = convert_vitaev2(official)
    return {k: v for k, v in converted.items() if not k.startswith('head.')}


def assert_loaded(backbone, expected):
    own = backbone.state_dict()
    assert expected.keys() == {k for k in own if not k.endswith('num_batches_tracked')}
    for key, value in expected.items():
        assert torch.equal(own[key], value), key


def save(tmp_path, content):
    path = tmp_path / 'file.pth'
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ('container', 'module'),
    [(None, ''), (None, 'module.'), ('model', ''), ('state_dict_ema', 'module.')],
)
def test_every_form_of_official_files(tmp_path, official, expected, container, module):
    content = {module + k: v for k, v in official.items()}
    if container:
        content = {container: content, 'epoch': 3, 'args': argparse.Namespace(lr=0.1)}
    model = get_model('vitaev2-s-vsa', pretrained=save(tmp_path, content))
    assert_loaded(model.backbone, expected)
    assert torch.equal(model.head.fc.weight, official['head.weight'])


def test_averaged_weights_come_first(tmp_path):
    content = {'state_dict': {'a': torch.zeros(1)}, 'state_dict_ema': {'a': torch.ones(1)}}
    assert read_state_dict(save(tmp_path, content))['a'] == 1


def test_a_file_with_mmengine_records(tmp_path, expected):
    buffer = HistoryBuffer([0.5, 0.25], [1, 1])
    content = {
        'state_dict': {f'backbone.{k}': v for k, v in expected.items()},
        'message_hub': {'log_scalars': {'loss': buffer}, 'value': np.float64(3)},
    }
    backbone = ViTAEv2('s-vsa')
    load_pretrained(backbone, save(tmp_path, content))
    assert_loaded(backbone, expected)
    # Unpickling a buffer writes to a table of all buffers: reading must not break the loggers.
    assert buffer.statistics('mean') == 0.375


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_init_cfg_takes_official_files(tmp_path, official, expected, prefix):
    path = str(save(tmp_path, {'model': official}))
    init_cfg = dict(type='Pretrained', checkpoint=path)
    if prefix:
        init_cfg['prefix'] = prefix
    backbone = ViTAEv2('s-vsa', init_cfg=init_cfg)
    backbone.init_weights()
    assert_loaded(backbone, expected)


def test_init_cfg_takes_classifiers(tmp_path, expected):
    content = {'state_dict': {f'backbone.{k}': v for k, v in expected.items()}}
    content['state_dict']['head.fc.weight'] = torch.zeros(10, 512)
    path = str(save(tmp_path, content))
    backbone = ViTAEv2(
        's-vsa', init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    )
    backbone.init_weights()
    assert_loaded(backbone, expected)


def test_plain_load_state_dict_takes_official_keys(official, expected):
    backbone = ViTAEv2('s-vsa')
    result = backbone.load_state_dict(official, strict=False)
    assert_loaded(backbone, expected)
    assert result.unexpected_keys == ['head.fc.weight', 'head.fc.bias']


def test_a_backbone_alone_leaves_the_head_fresh_and_says_so(tmp_path, official, expected):
    content = {k: v for k, v in official.items() if not k.startswith('head.')}
    model = get_model('vitaev2-s-vsa', num_classes=10)
    report = load_pretrained(model, save(tmp_path, content))
    assert report.missing == ['head.fc.weight', 'head.fc.bias']
    assert 'fresh' in str(report) and 'head.fc.weight' in str(report)
    assert_loaded(model.backbone, expected)


def test_another_number_of_classes_is_reported(official):
    model = get_model('vitaev2-s-vsa', num_classes=10)
    report = load_pretrained(model, official)
    assert report.mismatched == [
        'head.fc.weight: (1000, 512), (10, 512)',
        'head.fc.bias: (1000,), (10,)',
    ]


def test_tables_are_resized_to_another_window(official):
    arch = {
        'embed_dims': (64, 64, 128, 256),
        'token_dims': (64, 128, 256, 512),
        'depths': (2, 2, 8, 2),
        'num_heads': (2, 4, 8, 16),
        'rc_heads': (2, 2, 4, 8),
        'attention': ('vsa',) * 4,
        'window_size': 12,
    }
    backbone = ViTAEv2(arch)
    report = load_pretrained(backbone, official)
    assert len(report.resized) == 18 and '(169, 2) -> (529, 2)' in report.resized[0]
    assert not report.missing and not report.mismatched
    # the center and the corners of a table keep their values
    old = official['layers.0.NC.0.attn.relative_position_bias_table']
    new = backbone.stages[0].blocks[0].attn.relative_position_bias_table
    torch.testing.assert_close(new[[0, 264, 528]], old[[0, 84, 168]], atol=1e-5, rtol=1e-4)


def test_another_model_is_an_error_that_names_both(tmp_path):
    path = save(tmp_path, {'conv1.weight': torch.zeros(3), 'fc.bias': torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r'fits only 0 of the \d+ tensors.*conv1.weight'):
        get_model('vitaev2-s-vsa', pretrained=path)


def test_another_size_is_an_error(official):
    with torch.device('meta'):
        backbone = ViTAEv2('b-vsa')
    with pytest.raises(CheckpointError, match='of another shape'):
        load_pretrained(backbone, official)


def test_wrong_prefix_is_an_error(expected):
    with pytest.raises(CheckpointError, match="no key starts with prefix 'encoder.'"):
        load_pretrained(ViTAEv2('s-vsa'), expected, prefix='encoder.')


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match='no checkpoint at .*nowhere.pth'):
        read_state_dict(tmp_path / 'nowhere.pth')
    broken = tmp_path / 'broken.pth'
    broken.write_bytes(b'not a checkpoint')
    with pytest.raises(CheckpointError, match='broken.pth cannot be read as weights'):
        read_state_dict(broken)
    with pytest.raises(CheckpointError, match='holds no state dict'):
        read_state_dict(save(tmp_path, {'epoch': 3}))


ARCH = dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2), window_size=4)


def tiny(out_indices=(0, 1)):
    return SwinVSA(ARCH, out_indices=out_indices)


def tiny_classifier():
    backbone = dict(arch=dict(_delete_=True, **ARCH), out_indices=(1,))
    return get_model('swin-t-vsa', num_classes=3, backbone=backbone)


def with_prefix(prefix, state_dict):
    return {prefix + key: value for key, value in state_dict.items()}


def assert_equal_states(first, second):
    first, second = first.state_dict(), second.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


PREFIXES = [
    'module.',
    'module.module.',
    '_orig_mod.',
    'module._orig_mod.',
    '_orig_mod.module.',
    'model.',
    'model._orig_mod.',
    'net.model.',
    '_fsdp_wrapped_module.',
    'ema.module.',
]


@pytest.mark.parametrize('prefix', PREFIXES)
@pytest.mark.parametrize('build', [tiny, tiny_classifier])
def test_wrapper_prefixes(prefix, build):
    source, target = build(), build()
    report = load_pretrained(target, with_prefix(prefix, source.state_dict()))
    assert not report.missing and not report.unexpected
    assert_equal_states(source, target)


@pytest.mark.parametrize('prefix', PREFIXES)
def test_a_wrapper_prefix_may_be_named(prefix):
    source, target = tiny(), tiny()
    load_pretrained(target, with_prefix(prefix, source.state_dict()), prefix=prefix)
    assert_equal_states(source, target)


@pytest.mark.parametrize('prefix', ['model.', 'student.backbone.', 'module.net.backbone.'])
def test_a_backbone_inside_another_model(prefix):
    source, target = tiny_classifier(), tiny(out_indices=(1,))
    content = with_prefix(prefix, source.backbone.state_dict())
    content['neck.weight'] = torch.zeros(1)
    report = load_pretrained(target, content)
    assert not report.missing
    assert_equal_states(source.backbone, target)


def test_a_wrapper_inside_a_key():
    source, target = tiny_classifier(), tiny_classifier()
    content = {
        key.replace('blocks.0.', 'blocks.0._checkpoint_wrapped_module.'): value
        for key, value in source.state_dict().items()
    }
    load_pretrained(target, content)
    assert_equal_states(source, target)


def test_official_names_inside_another_model(official, expected):
    content = with_prefix('model.encoder.', official)
    backbone = ViTAEv2('s-vsa')
    assert not load_pretrained(backbone, content).missing
    assert_loaded(backbone, expected)


def test_two_copies_are_refused_until_one_is_chosen():
    teacher, student, target = tiny(), tiny(), tiny()
    content = {
        **with_prefix('student.', student.state_dict()),
        **with_prefix('teacher.', teacher.state_dict()),
    }
    with pytest.raises(CheckpointError, match=r"prefix='student\.' or prefix='teacher\.'"):
        load_pretrained(target, content)
    load_pretrained(target, content, prefix='teacher.')
    assert_equal_states(teacher, target)


def test_a_wrapped_and_a_plain_key_are_not_merged():
    content = tiny().state_dict()
    key = next(iter(content))
    with pytest.raises(CheckpointError, match=f"'module.{key}' would both become '{key}'"):
        load_pretrained(tiny(), {**content, f'module.{key}': content[key] + 1})


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: {'ema': {'module': weights, 'updates': 3}, 'model': {'a': torch.ones(1)}},
        lambda weights: {'state_dict': {}, 'model': weights},
        lambda weights: {'state_dict': None, 'model': {'state_dict': weights}},
        lambda weights: {'model_state_dict': weights, 'loss': torch.ones(1)},
        lambda weights: {'model_ema': weights, 'state_dict': {'a': torch.ones(1)}},
    ],
)
def test_containers(wrap):
    source, target = tiny(), tiny()
    load_pretrained(target, wrap(source.state_dict()))
    assert_equal_states(source, target)


def spoiled(change):
    """A state dict of the tiny model with the last weight changed."""
    weights = tiny().state_dict()
    key = 'stages.1.blocks.0.mlp.fc2.weight'
    weights[key] = change(weights[key])
    return weights


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        (lambda: spoiled(lambda w: w.to_sparse()), 'fc2.weight is torch.sparse_coo'),
        (lambda: spoiled(lambda w: w.to('meta')), 'fc2.weight is a meta tensor'),
        (
            lambda: spoiled(lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)),
            'fc2.weight is quantized',
        ),
        (lambda: spoiled(lambda w: w.index_fill(0, torch.tensor(1), torch.nan)), 'NaN or infinite'),
        (lambda: spoiled(lambda w: w / 0), 'NaN or infinite'),
        (lambda: spoiled(lambda w: w.double().fill_(1e300)), 'infinite values in torch.float32'),
        (lambda: spoiled(lambda w: w.long()), 'fc2.weight is torch.int64, which the torch.float32'),
        (lambda: spoiled(lambda w: w.to(torch.complex64)), 'fc2.weight is torch.complex64'),
        (lambda: {**tiny().state_dict(), 3: torch.ones(1)}, 'the key 3 is a int, not a name'),
        (lambda: {'a': torch.ones(1)}, r'fits only 0 of the \d+ tensors'),
        (lambda: {}, 'holds no state dict'),
    ],
)
@pytest.mark.parametrize('from_file', [False, True])
def test_a_refused_state_dict_changes_nothing(tmp_path, weights, message, from_file):
    model, content = tiny(), weights()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        load_pretrained(model, save(tmp_path, content) if from_file else content)
    assert '\n' not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_half_precision_files_load():
    source, target = ViTAEv2('s-vsa'), ViTAEv2('s-vsa')
    load_pretrained(target, {key: value.half() for key, value in source.state_dict().items()})
    key = 'stages.0.blocks.0.pcm.0.weight'
    expected = source.state_dict()[key].half().float()
    assert torch.equal(target.state_dict()[key], expected)


@pytest.mark.parametrize('table', [torch.zeros(0, 2), torch.zeros(9, 2).to(torch.complex64)])
def test_a_table_that_cannot_be_resized_is_reported(official, table):
    key = 'layers.0.NC.0.attn.relative_position_bias_table'
    report = load_pretrained(ViTAEv2('s-vsa'), {**official, key: table})
    assert len(report.mismatched) == 1 and not report.resized


def test_keys_are_shown_as_they_stand_in_the_file():
    content = with_prefix('module.other.', tiny().state_dict())
    with pytest.raises(CheckpointError, match='The file has module.other.'):
        load_pretrained(ViTAEv2('s-vsa'), content)


def test_a_model_of_a_host_package_takes_its_own_names():
    """The names of mmpretrain's Swin are converted only for a model of mmvsa."""
    from mmpretrain.models import ImageClassifier

    swin = dict(
        type='SwinTransformer',
        arch=dict(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4),
        img_size=64,
        window_size=2,
    )
    head = dict(type='LinearClsHead', num_classes=3, in_channels=64)
    model, other = (ImageClassifier(swin, dict(type='GlobalAveragePooling'), head) for _ in '12')
    report = load_pretrained(model, other.state_dict())
    assert not report.missing and not report.unexpected
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.fixture
def pretrained_init():
    install_pretrained_init()
    yield
    WEIGHT_INITIALIZERS.register_module(name='Pretrained', module=MMEnginesInit, force=True)


def test_every_init_cfg_follows_the_rules(tmp_path, pretrained_init):
    """MMEngine's takes whatever has the same names, and only warns."""

    class Head(BaseModule):
        def __init__(self, **init_cfg):
            super().__init__(dict(type='Pretrained', checkpoint=str(path), **init_cfg))
            self.fc = torch.nn.Linear(3, 2)

    path, fc = tmp_path / 'head.pth', torch.nn.Linear(3, 2)
    torch.save({f'head.fc.{key}': value for key, value in fc.state_dict().items()}, path)
    head = Head(prefix='head.')
    head.init_weights()
    assert torch.equal(head.fc.weight, fc.weight)
    torch.save({'x.weight': torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match='fits only 0 of the 2 tensors'):
        Head().init_weights()


def test_counters_in_floating_point():
    """Old files have them so; a whole number stays what it is."""
    model = torch.nn.BatchNorm2d(2)
    weights = {**model.state_dict(), 'num_batches_tracked': torch.tensor(7.0)}
    load_pretrained(model, weights)
    assert model.num_batches_tracked == 7 and model.num_batches_tracked.dtype == torch.int64
    weights['num_batches_tracked'] = torch.tensor(7.5)
    with pytest.raises(CheckpointError, match='num_batches_tracked is torch.float32'):
        load_pretrained(model, weights)


def test_a_checkpoint_must_be_whole(tmp_path):
    arch = dict(_delete_=True, embed_dims=8, depths=(1,), num_heads=(1,))
    options = dict(backbone=dict(arch=arch, out_indices=(0,)))
    model = get_model('swin-t-vsa', num_classes=3, **options)
    torch.save(model.state_dict(), tmp_path / 'whole.pth')
    state = {k: v for k, v in model.state_dict().items() if not k.startswith('head')}
    torch.save(state, tmp_path / 'part.pth')
    other = get_model('swin-t-vsa', num_classes=4, **options)
    assert 'head.fc.weight' in load_complete(model, tmp_path / 'whole.pth')
    with pytest.raises(CheckpointError, match='part.pth lacks 2 tensors, such as head.fc.weight'):
        load_complete(model, tmp_path / 'part.pth')
    load_complete(model, tmp_path / 'part.pth', optional='^head')
    with pytest.raises(
        CheckpointError, match=r'does not fit the model; .*head.fc.weight: \(3, 8\), \(4, 8\)'
    ):
        load_complete(other, tmp_path / 'whole.pth')
    with pytest.raises(CheckpointError, match='none.pth'):
        load_complete(model, tmp_path / 'none.pth')
