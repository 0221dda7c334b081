"""tools/image_demo.py from the command line."""

import json
from pathlib import Path

import pytest
from helpers.cli import run_tool
from helpers.predictions import write_images, write_model


def test_folder_with_a_bad_image(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    folder, out = write_images(tmp_path / 'images'), tmp_path / 'out'
    (folder / 'bad.png').write_text('no image')
    run_tool(
        'image_demo', folder, config, checkpoint, '--out-dir', out, '--batch-size', 2,
        '--device', 'cpu',
    )  # fmt: skip
    output = capsys.readouterr().out
    assert f'skipped: {folder}/bad.png cannot be decoded' in output
    assert 'predicted 2, skipped 1 that could not be read' in output
    assert len(json.loads((out / 'predictions.json').read_text())['images']) == 2
    assert len(list((out / 'pictures').glob('*.png'))) == 2


@pytest.mark.parametrize(
    ('part', 'value', 'message'),
    [
        (0, 'none.png', 'none.png is no image, folder or pattern of images'),
        (1, 'none.py', 'config none.py does not exist'),
        (2, 'none.pth', 'checkpoint none.pth does not exist'),
    ],
)
def test_what_does_not_exist(
    part: int, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    args = [write_images(tmp_path / 'images', 1), config, checkpoint]
    args[part] = Path(value)
    with pytest.raises(SystemExit) as stop:
        run_tool('image_demo', *args, '--out-dir', tmp_path / 'out')
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith(f'error: {message}') and error.count('\n') == 1
