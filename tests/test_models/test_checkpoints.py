"""Loading files: formats, reports, refusals."""

import argparse
import os

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from reference import state_dict

from mmvsa import get_model
from mmvsa.models import (
    CheckpointError,
    ViTAEv2,
    convert_vitaev2,
    load_pretrained,
    read_state_dict,
)

REFERENCE = 'ViTAEv2_VSA_S'


@pytest.fixture(scope='module')
def authors():
    return state_dict(REFERENCE)


@pytest.fixture(scope='module')
def expected(authors):
    """The converted weights of the backbone."""
    converted = convert_vitaev2(authors)
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


@pytest.mark.parametrize('container', [None, 'model', 'state_dict', 'state_dict_ema'])
@pytest.mark.parametrize('module', ['', 'module.'])
def test_every_form_of_the_authors_files(tmp_path, authors, expected, container, module):
    content = {module + k: v for k, v in authors.items()}
    if container:
        content = {container: content, 'epoch': 3, 'args': argparse.Namespace(lr=0.1)}
    model = get_model('vitaev2-s-vsa', pretrained=save(tmp_path, content))
    assert_loaded(model.backbone, expected)
    assert torch.equal(model.head.fc.weight, authors['head.weight'])


def test_averaged_weights_come_first(tmp_path):
    content = {'state_dict': {'a': torch.zeros(1)}, 'state_dict_ema': {'a': torch.ones(1)}}
    assert read_state_dict(save(tmp_path, content))['a'] == 1


def test_conversion_is_pure(authors):
    before = {k: v.clone() for k, v in authors.items()}
    first, second = convert_vitaev2(authors), convert_vitaev2(authors)
    assert list(authors) == list(before)
    assert all(torch.equal(authors[k], before[k]) for k in before)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_converted_names_convert_to_themselves(authors):
    converted = convert_vitaev2(authors)
    again = convert_vitaev2(converted)
    assert again.keys() == converted.keys()


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
def test_init_cfg_takes_authors_files(tmp_path, authors, expected, prefix):
    path = str(save(tmp_path, {'model': authors}))
    init_cfg = dict(type='Pretrained', checkpoint=path)
    if prefix:
        init_cfg['prefix'] = prefix
    backbone = ViTAEv2('s-vsa', init_cfg=init_cfg)
    backbone.init_weights()
    assert_loaded(backbone, expected)


def test_init_cfg_takes_our_classifiers(tmp_path, expected):
    content = {'state_dict': {f'backbone.{k}': v for k, v in expected.items()}}
    content['state_dict']['head.fc.weight'] = torch.zeros(10, 512)
    path = str(save(tmp_path, content))
    backbone = ViTAEv2(
        's-vsa', init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    )
    backbone.init_weights()
    assert_loaded(backbone, expected)


def test_plain_load_state_dict_takes_authors_keys(authors, expected):
    backbone = ViTAEv2('s-vsa')
    result = backbone.load_state_dict(authors, strict=False)
    assert_loaded(backbone, expected)
    assert result.unexpected_keys == ['head.fc.weight', 'head.fc.bias']


def test_a_backbone_alone_leaves_the_head_fresh_and_says_so(tmp_path, authors, expected):
    content = {k: v for k, v in authors.items() if not k.startswith('head.')}
    model = get_model('vitaev2-s-vsa', num_classes=10)
    report = load_pretrained(model, save(tmp_path, content))
    assert report.missing == ['head.fc.weight', 'head.fc.bias']
    assert 'fresh' in str(report) and 'head.fc.weight' in str(report)
    assert_loaded(model.backbone, expected)


def test_another_number_of_classes_is_reported(authors):
    model = get_model('vitaev2-s-vsa', num_classes=10)
    report = load_pretrained(model, authors)
    assert report.mismatched == [
        'head.fc.weight: (1000, 512), (10, 512)',
        'head.fc.bias: (1000,), (10,)',
    ]


def test_tables_are_resized_to_another_window(authors):
    arch = {
        'embed_dims': (64, 64, 128, 256),
        'token_dims': (64, 128, 256, 512),
        'depths': (2, 2, 8, 2),
        'num_heads': (2, 4, 8, 16),
        'rc_heads': (2, 2, 4, 8),
        'rc_attention': ('vsa',) * 4,
        'nc_attention': ('vsa',) * 4,
        'window_size': 12,
    }
    backbone = ViTAEv2(arch)
    report = load_pretrained(backbone, authors)
    assert len(report.resized) == 18 and '(169, 2) -> (529, 2)' in report.resized[0]
    assert not report.missing and not report.mismatched
    # the centre and the corners of a table keep their values
    old = authors['layers.0.NC.0.attn.relative_position_bias_table']
    new = backbone.stages[0].blocks[0].attn.relative_position_bias_table
    torch.testing.assert_close(new[[0, 264, 528]], old[[0, 84, 168]], atol=1e-5, rtol=1e-4)


def test_another_model_is_an_error_that_names_both(tmp_path):
    path = save(tmp_path, {'conv1.weight': torch.zeros(3), 'fc.bias': torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r'fits only 0 of the \d+ tensors.*conv1.weight'):
        get_model('vitaev2-s-vsa', pretrained=path)


def test_another_size_is_an_error(authors):
    with pytest.raises(CheckpointError, match='of another shape'):
        load_pretrained(ViTAEv2('b-vsa'), authors)


def test_wrong_prefix_is_an_error(expected):
    with pytest.raises(CheckpointError, match="no key starts with prefix 'encoder.'"):
        load_pretrained(ViTAEv2('s-vsa'), expected, prefix='encoder.')


class Attack:
    """Unpickling it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_pickle_is_refused(tmp_path):
    made = tmp_path / 'made'
    path = save(tmp_path, {'state_dict': Attack(str(made))})
    with pytest.raises(CheckpointError, match='cannot be read as weights.*refused'):
        read_state_dict(path)
    assert not made.exists()


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match='no checkpoint at .*nowhere.pth'):
        read_state_dict(tmp_path / 'nowhere.pth')
    broken = tmp_path / 'broken.pth'
    broken.write_bytes(b'not a checkpoint')
    with pytest.raises(CheckpointError, match='broken.pth cannot be read as weights'):
        read_state_dict(broken)
    with pytest.raises(CheckpointError, match='holds no state dict'):
        read_state_dict(save(tmp_path, {'epoch': 3}))
