"""The command line: what it prints, and one line for bad input."""

import re

import pytest
import torch
from helpers.archs import VITAEV2
from helpers.cli import QUICKSTART, ROOT, load_tool, run_command

from mmvsa.utils import build_model, load_config

tool = load_tool('deployment/export')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    file = tmp_path_factory.mktemp('weights') / 'digits.pth'
    torch.manual_seed(0)
    torch.save(build_model(str(QUICKSTART)).state_dict(), file)
    return file


def test_a_classifier_and_the_example_that_runs_it(checkpoint, tmp_path, capfd):
    from PIL import Image

    out, image = tmp_path / 'digits.pt2', tmp_path / 'a.png'
    command = [str(QUICKSTART), '--checkpoint', str(checkpoint), '--format', 'torch']
    assert tool.main([*command, '--out', str(out), '--size', '32', '--dynamic', 'batch']) == 0
    printed = capfd.readouterr().out
    assert f'{out}: torch' in printed and 'aten.linear.default' in printed
    assert 'output: s' in printed and 'x 10\n' in printed
    assert 'minus [127.5, 127.5, 127.5], divided by [127.5, 127.5, 127.5]' in printed
    assert '(2x3x32x32, 3x3x32x32)' in printed.splitlines()[-1]
    Image.new('RGB', (40, 30), (200, 90, 10)).save(image)
    script = ROOT / 'tools/deployment/run_exported.py'
    lines = run_command('python', script, out, image, 32).splitlines()[-5:]
    scores = [float(line.split(': ')[1]) for line in lines]
    assert all(line.startswith('class ') for line in lines)
    assert scores == sorted(scores, reverse=True)


def test_the_example_is_short_and_needs_no_mmvsa():
    text = (ROOT / 'tools/deployment/run_exported.py').read_text()
    assert len(text.splitlines()) < 40
    assert not any('mmvsa' in line for line in text.splitlines() if 'import' in line)


def test_features(checkpoint, tmp_path, capfd):
    command = [str(QUICKSTART), '--checkpoint', str(checkpoint), '--format', 'torch', '--features']
    tool.main([*command, '--out', str(tmp_path / 'a.pt2'), '--size', '16', '24'])
    assert 'output: 1 x 96 x 2 x 3' in capfd.readouterr().out


@pytest.mark.parametrize(
    ('config', 'channels', 'outputs'),
    [
        ('quickstart/fcn_vitaev2-vsa-nano_digit-scenes', {}, ['output: 1 x 11 x 16 x 24']),
        (
            'retinanet/retinanet_vitaev2-s-vsa_fpn_1x_coco',
            {'neck.in_channels': [16, 32, 32]},
            # Scores of five levels, then boxes: 9 anchors of 80 classes and of 4 offsets.
            ['output_0: 1 x 720 x 8 x 12', 'output_9: 1 x 36 x 1 x 1'],
        ),
        (
            'topdown_heatmap/td-hm_vitaev2-s_8xb64-210e_coco-256x192',
            {'head.in_channels': 32},
            ['output: 1 x 17 x 16 x 24'],
        ),
    ],
)
def test_whole_models_of_the_hosts(config, channels, outputs, tmp_path, capfd):
    """A segmentor, a detector of one stage and a pose estimator, as docs/deployment.md has it."""
    config = ROOT / f'configs/{config}.py'
    options = {f'model.{key}': value for key, value in channels.items()}
    cfg, file = load_config(config, options), tmp_path / 'config.py'
    cfg.model.backbone.init_cfg = None
    if channels:
        cfg.model.backbone.arch = VITAEV2
    cfg.dump(file)
    checkpoint = tmp_path / 'weights.pth'
    torch.save(build_model(str(file)).state_dict(), checkpoint)
    command = [str(file), '--checkpoint', str(checkpoint), '--format', 'torch']
    assert tool.main([*command, '--out', str(tmp_path / 'a.pt2'), '--size', '64', '96']) == 0
    printed = capfd.readouterr().out
    assert all(output in printed for output in outputs), printed


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'no checkpoint: name one for .* with --checkpoint FILE'),
        (['--checkpoint', 'none.pth'], 'none.pth'),
        (['--checkpoint', 'CHECKPOINT', '--out', 'a.onnx'], r'ends with \.pt2, got a\.onnx'),
    ],
)
def test_bad_input_is_one_line(checkpoint, options, message, capfd):
    options = [str(checkpoint) if option == 'CHECKPOINT' else option for option in options]
    with pytest.raises(SystemExit) as error:
        tool.main([str(QUICKSTART), '--format', 'torch', '--out', 'a.pt2', *options])
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    assert error.value.code == 2 and len(lines) == 1
    assert re.search(message, lines[0])


def test_another_models_checkpoint(checkpoint, capfd):
    command = ['swin-t-vsa', '--checkpoint', str(checkpoint), '--format', 'torch']
    with pytest.raises(SystemExit):
        tool.main([*command, '--out', 'a.pt2'])
    assert 'Is it a checkpoint of this model?' in capfd.readouterr().err


def test_sizes_are_checked(capfd):
    with pytest.raises(SystemExit):
        tool.main(['swin-t-vsa', '--out', 'a.onnx', '--size', '0'])
    assert '--size takes one or two positive numbers' in capfd.readouterr().err
