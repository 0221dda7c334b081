"""tools/visualization/window_statistics.py from the command line."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from helpers.cli import run_tool
from helpers.predictions import write_images, write_model

TOOL = 'visualization/window_statistics'


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, Path]:
    """Config and checkpoint; the windows of one layer are twice as wide as the default ones."""
    config, checkpoint = write_model('classification', tmp_path)
    content = torch.load(checkpoint)
    bias = content['state_dict']['backbone.stages.0.blocks.0.attn.transform.regressor.bias']
    bias.view(-1, 4)[:, 2] = 1.0
    torch.save(content, checkpoint)
    return config, checkpoint


@pytest.mark.parametrize('images', [True, False], ids=['files', 'dataset'])
def test_statistics(
    images: bool, model: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = []
    if images:
        folder = write_images(tmp_path / 'images', 3)
        (folder / '0.png').write_text('no image')
        options = ['--images', folder]
    out = tmp_path / 'out'
    run_tool(TOOL, *model, *options, '--num-images', 3, '--out-dir', out, '--device', 'cpu')
    found = json.loads((out / 'window_statistics.json').read_text())
    assert found['images'] == (2 if images else 3)
    skipped = [line for line in capsys.readouterr().out.splitlines() if 'skipped:' in line]
    assert len(skipped) == images and all('images/0.png' in line for line in skipped)
    layers = {layer['name']: layer for layer in found['layers']}
    assert len(layers) == 6
    wide, other = layers['stages.0.blocks.0'], layers['stages.1.blocks.0']
    assert wide['mean']['size'] == pytest.approx(2**0.5) and wide['mean']['off_map'] > 10
    assert other['mean']['size'] == pytest.approx(1) and other['mean']['off_map'] == 0
    assert 0 < other['mean']['distance'] < 32
    assert cv2.imread(str(out / 'window_statistics.png')).std() > 5


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--num-images', 0], '--num-images must be at least 1, got 0'),
        (['--images', 'none'], 'none is no image, folder or pattern'),
    ],
)
def test_bad_options(
    options: list, message: str, model: tuple[Path, Path], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        run_tool(TOOL, *model, *options)
    assert capsys.readouterr().err.startswith(f'error: {message}')


def test_no_validation_set(
    model: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """As in the work dir of a training with --no-validate."""
    config = tmp_path / 'no_validation.py'
    config.write_text(f"_base_ = ['{model[0]}']\nval_dataloader = None\n")
    with pytest.raises(SystemExit):
        run_tool(TOOL, config, model[1], '--out-dir', tmp_path / 'out')
    assert 'the model has no validation set: add --images FOLDER' in capsys.readouterr().err


def test_no_image_among_the_files(
    model: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(SystemExit):
        run_tool(TOOL, *model, '--images', tmp_path / 'text.png', '--out-dir', tmp_path / 'out')
    assert 'none of the files' in capsys.readouterr().err
