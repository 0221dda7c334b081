"""tools/visualization/vis_windows.py from the command line."""

import json
import re
from pathlib import Path

import cv2
import pytest
from helpers.cli import run_tool
from helpers.predictions import write_images, write_model

TOOL = 'visualization/vis_windows'


@pytest.fixture
def setup(tmp_path: Path) -> list[Path]:
    """Image, config and checkpoint."""
    config, checkpoint = write_model('classification', tmp_path)
    return [write_images(tmp_path / 'images') / '0.png', config, checkpoint]


def test_picture_and_page(setup: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    image, config, checkpoint = setup
    out = tmp_path / 'out'
    run_tool(
        TOOL, image, config, '--checkpoint', checkpoint, '--stage', 1, '--block', 0, '--head', 1,
        '--query', '9,20', '--out-dir', out, '--device', 'cpu',
    )  # fmt: skip
    assert cv2.imread(str(out / '0.png')).std() > 5
    data = re.search(r'<script id="data"[^>]*>(.*?)</script>', (out / '0.html').read_text(), re.S)
    found = json.loads(data[1])
    assert found['start'] == dict(stage=1, block=0, head=1, query=[9, 20])
    assert found['title'] == 'classification on 0.png' and len(found['layers']) == 6
    assert 'no --checkpoint' not in capsys.readouterr().out


def test_defaults_and_random_weights(
    setup: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The last stage with several windows, its last block, the center."""
    image, config, _ = setup
    run_tool(TOOL, image, config, '--out-dir', tmp_path / 'out', '--device', 'cpu')
    assert 'no --checkpoint: weights are random' in capsys.readouterr().out
    start = re.search(r'"start":(\{.*?\})', (tmp_path / 'out/0.html').read_text())
    assert json.loads(start[1]) == dict(stage=1, block=1, head=0, query=[16, 16])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--query', '32,3'], '--query 32,3 is outside the image, .* 32 x 32 pixels'),
        (['--query', '3'], '--query must be X,Y in whole pixels, got 3'),
        (['--stage', 5], r'--stage 5 has no sampled windows; stages are \[0, 1, 2\]'),
        (['--stage', 1, '--block', 2], r'--block 2 .*0 \(stages.1.reduction\), 1 \('),
        (['--stage', 1, '--block', 1, '--head', 4], '--head 4 .* heads are 0 to 3'),
        (['--checkpoint', 'none.pth'], 'checkpoint none.pth does not exist'),
        (['--device', 'tpu9'], "device 'tpu9' cannot be used"),
    ],
)
def test_bad_options(
    options: list, message: str, setup: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_tool(TOOL, *setup[:2], *options, '--out-dir', tmp_path / 'out')
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count('\n') == 1
    assert re.match(f'error: {message}', error)
    assert not (tmp_path / 'out').exists()


def test_unreadable_image(setup: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(SystemExit):
        run_tool(TOOL, tmp_path / 'text.png', 'vitaev2-s-vsa')
    assert 'text.png cannot be decoded as an image' in capsys.readouterr().err
