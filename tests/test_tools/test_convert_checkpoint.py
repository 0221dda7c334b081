"""tools/model_converters/convert_checkpoint.py, run in this process."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch
from helpers.reference import state_dict

from mmvsa import get_model
from mmvsa.apis.model import collect_models
from mmvsa.models import ViTAEv2, load_pretrained
from mmvsa.registry import MODELS

TOOL = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'convert_checkpoint.py'
REFERENCE = 'ViTAEv2_VSA_S'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('convert_checkpoint', TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope='module')
def official():
    return state_dict(REFERENCE)


@pytest.fixture(scope='module')
def official_file(official, tmp_path_factory):
    path = tmp_path_factory.mktemp('official') / 'official.pth.tar'
    torch.save({'state_dict': {f'module.{k}': v for k, v in official.items()}, 'epoch': 299}, path)
    return path


def read(path):
    return torch.load(path, weights_only=True)


def run(tool, *arguments):
    return tool.main([str(argument) for argument in arguments])


def assert_equal_states(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_round_trip_equals_a_direct_load(tool, official_file, tmp_path, capsys):
    converted = tmp_path / 'new' / 'new.pth'
    assert run(tool, official_file, converted) == 0
    report = capsys.readouterr().out
    assert 'vitaev2, key names of other code' in report and str(converted) in report
    content = read(converted)
    assert content['meta']['converted_from'] == official_file.name
    assert all(key.startswith(('backbone.', 'head.fc.')) for key in content['state_dict'])
    assert f'{len(content["state_dict"])} written' in report
    direct = get_model('vitaev2-s-vsa', pretrained=official_file)
    assert_equal_states(
        get_model('vitaev2-s-vsa', pretrained=converted).state_dict(), direct.state_dict()
    )


def test_strict_load_by_plain_torch(tool, official_file, tmp_path):
    assert run(tool, official_file, tmp_path / 'new.pth') == 0
    weights = read(tmp_path / 'new.pth')['state_dict']
    result = get_model('vitaev2-s-vsa').load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith('num_batches_tracked') for key in result.missing_keys)


def test_backbone_part(tool, official, official_file, tmp_path, capsys):
    path = tmp_path / 'backbone.pth'
    assert run(tool, official_file, path, '--part', 'backbone') == 0
    assert 'left out    2: head.fc.bias, head.fc.weight' in capsys.readouterr().out
    assert all(key.startswith('stages.') for key in read(path)['state_dict'])
    from_file, direct = ViTAEv2('s-vsa'), ViTAEv2('s-vsa')
    report = load_pretrained(from_file, path)
    assert not report.missing and not report.unexpected
    load_pretrained(direct, official)
    assert_equal_states(from_file.state_dict(), direct.state_dict())


def test_own_names_come_back_equal(tool, official_file, tmp_path, capsys):
    first, second = tmp_path / 'first.pth', tmp_path / 'second.pth'
    assert run(tool, official_file, first) == 0
    assert run(tool, first, second) == 0
    assert "mmvsa's own key names" in capsys.readouterr().out
    assert_equal_states(read(first)['state_dict'], read(second)['state_dict'])


def test_swin_vsa(tool, tmp_path, capsys):
    official = state_dict('SwinVSA_T')
    torch.save({'model': official}, tmp_path / 'swin.pth')
    assert run(tool, tmp_path / 'swin.pth', tmp_path / 'new.pth') == 0
    assert 'swin, key names of other code' in capsys.readouterr().out
    assert run(tool, tmp_path / 'new.pth', tmp_path / 'again.pth') == 0
    assert_equal_states(
        get_model('swin-t-vsa', pretrained=tmp_path / 'again.pth').state_dict(),
        get_model('swin-t-vsa', pretrained=tmp_path / 'swin.pth').state_dict(),
    )


@pytest.mark.parametrize(
    ('name', 'reference', 'kind'),
    [
        ('vitae-6m', 'ViTAE_basic_6M', 'vitae'),
        ('qformer-t', 'QFormer_T', 'swin'),
        ('rvsa-vit-b', 'RVSA_ViT_B', 'vit'),
    ],
)
def test_every_door_gives_the_same_backbone(tool, tmp_path, capsys, name, reference, kind):
    """``pretrained=``, ``init_cfg``, and the converted file; of a classifier and a detector."""
    official = state_dict(reference)
    path, detector, new = (tmp_path / f'{x}.pth' for x in ('official', 'detector', 'new'))
    torch.save({'model': official}, path)
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in official.items()}}, detector)
    assert run(tool, path, new) == 0
    assert f'{kind}, key names of other code' in capsys.readouterr().out
    expected = get_model(name, pretrained=path).backbone
    assert_equal_states(
        get_model(name, pretrained=new).backbone.state_dict(), expected.state_dict()
    )
    backbone = MODELS.build(
        {**collect_models()[name], 'init_cfg': dict(type='Pretrained', checkpoint=str(detector))}
    )
    backbone.init_weights()
    assert_equal_states(backbone.state_dict(), expected.state_dict())


def test_a_detectors_backbone(tool, official, tmp_path, capsys):
    content = {f'backbone.{k}': v for k, v in official.items() if not k.startswith('head.')}
    content['rpn_head.rpn_conv.weight'] = torch.zeros(1)
    torch.save(content, tmp_path / 'detector.pth')
    assert run(tool, tmp_path / 'detector.pth', tmp_path / 'out.pth') == 0
    assert 'left out    1: rpn_head.rpn_conv.weight' in capsys.readouterr().out
    assert all(k.startswith('backbone.stages.') for k in read(tmp_path / 'out.pth')['state_dict'])


def test_a_file_is_replaced_only_with_force(tool, official_file, tmp_path, capsys):
    path = tmp_path / 'out.pth'
    path.write_bytes(b'precious')
    assert run(tool, official_file, path) == 1
    assert '--force' in capsys.readouterr().err and path.read_bytes() == b'precious'
    assert run(tool, official_file, path, '--force') == 0
    assert len(read(path)['state_dict']) > 100


def test_a_failed_write_leaves_nothing(tool, official_file, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'out.pth'
    path.write_bytes(b'precious')

    def fill_the_disk(content, target):
        target.write(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr(tool.torch, 'save', fill_the_disk)
    assert run(tool, official_file, path, '--force') == 1
    assert 'No space left' in capsys.readouterr().err
    assert path.read_bytes() == b'precious' and os.listdir(tmp_path) == ['out.pth']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'not a checkpoint', 'cannot be read as weights'),
        ({'epoch': 3}, 'holds no state dict'),
        ({'conv1.weight': torch.zeros(3)}, 'no known model has keys such as conv1.weight'),
        (
            {'layers.0.NC.0.attn.sampling_offsets.2.bias': torch.zeros(4)},
            'incomplete',
        ),
        (b'', 'it is empty'),
        (
            {
                'layers.0.NC.0.norm1.bias': torch.zeros(4),
                'layers.0.NC.0.attn.norm1.bias': torch.zeros(4),
            },
            "would both become 'stages.0.blocks.0.norm1.bias'",
        ),
        ({3: torch.zeros(4)}, 'the key 3 is a int'),
        (None, 'no checkpoint at'),
    ],
)
def test_a_bad_file_is_one_line_and_status_1(tool, tmp_path, capsys, content, message):
    source = tmp_path / 'bad.pth'
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content is not None:
        torch.save(content, source)
    assert run(tool, source, tmp_path / 'out.pth') == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert message in error and 'bad.pth' in error
    assert not (tmp_path / 'out.pth').exists()
