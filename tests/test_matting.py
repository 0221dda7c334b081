"""Matting from the command line: training, testing, cutting out."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import ROOT, run_tool

CONFIG = ROOT / 'configs/quickstart/p3m-net_vitae-nano_matte-scenes.py'
TINY = f"""
_base_ = [{str(CONFIG)!r}]
scenes = dict(data_root={{root!r}}, settings=dict(num=8, num_val=3, size=32))
dims = [8, 12, 16, 24]
model = dict(
    backbone=dict(arch=dict(
        token_dims=dims, depths=[1] * 4, num_heads=[1, 1, 2, 2], groups=[1, 4, 4, 8])),
    decode_head=dict(in_channels=dims))
train_dataloader = dict(dataset=scenes)
val_dataloader = dict(dataset=scenes)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
{{extra}}
"""


def tiny_config(folder: Path, extra: str = '') -> Path:
    path = folder / 'tiny.py'
    path.write_text(TINY.format(root=str(folder / 'scenes'), extra=extra))
    return path


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work dir after an epoch with an average of the weights."""
    folder = tmp_path_factory.mktemp('matting')
    average = "custom_hooks = [dict(type='EMAHook', momentum=0.1)]"
    run_tool('train', tiny_config(folder, average), '--work-dir', folder / 'work', '--amp')
    shutil.copyfile(folder / 'work/epoch_1.pth', folder / 'model.pth')
    return folder


def test_training_draws_mattes(trained: Path) -> None:
    image = cv2.imread(str(trained / 'work/mattes.png'))
    assert image.shape == (3 * 32, 4 * 32, 3) and image.std() > 10
    state = torch.load(trained / 'model.pth', weights_only=False)
    assert 'ema_state_dict' in state


def test_resume_and_test(trained: Path) -> None:
    config, work = trained / 'tiny.py', trained / 'work'
    run_tool(
        'train', config, '--work-dir', work, '--resume', '--cfg-options', 'train_cfg.max_epochs=2'
    )
    out, shown = trained / 'out.json', trained / 'shown'
    checkpoint = work / 'epoch_2.pth'
    run_tool('test', config, checkpoint, '--work-dir', work, '--out', out, '--show-dir', shown)
    names = ('SAD', 'MSE', 'MAD', 'SAD-T', 'MSE-T', 'MAD-T', 'SAD-FG', 'SAD-BG', 'GRAD', 'CONN')
    assert set(json.loads(out.read_text())) == {f'matting/{name}' for name in names}
    images = [cv2.imread(str(path)) for path in sorted(shown.iterdir())]
    assert [image.shape for image in images] == [(32, 128, 3)] * 3
    scene = cv2.imread(str(trained / 'scenes/val/image/000000.png'))
    assert (images[0][:, :32] == scene).all()


def test_cut_out(trained: Path, capsys: pytest.CaptureFixture) -> None:
    folder = trained / 'images'
    folder.mkdir()
    image = np.random.randint(0, 255, (45, 37, 3), np.uint8)
    cv2.imwrite(str(folder / 'a.png'), image)
    cv2.imwrite(str(folder / 'b.png'), image[..., :1])
    args = (trained / 'tiny.py', trained / 'model.pth')
    run_tool('cut_out', *args, folder, '--out-dir', trained / 'cut', '--mode', 'whole')
    cut = cv2.imread(str(trained / 'cut/a.png'), cv2.IMREAD_UNCHANGED)
    assert cut.shape == (45, 37, 4)
    # Straight colors: an opaque pixel has those of the image.
    opaque = cut[..., 3] == 255
    assert (cut[opaque][:, :3] == image[opaque]).all()
    run_tool(
        'cut_out',
        *args,
        folder / 'a.png',
        '--out-dir',
        trained / 'green',
        '--background',
        'green',
        '--device',
        'cpu',
        '--max-size',
        32,
    )
    green = cv2.imread(str(trained / 'green/a.png'), cv2.IMREAD_UNCHANGED)
    assert green.shape == (45, 37, 3) and sorted(p.name for p in (trained / 'cut').iterdir()) == [
        'a.png',
        'b.png',
    ]

    (folder / 'broken.jpg').write_bytes(b'nothing')
    with pytest.raises(SystemExit) as error:
        run_tool('cut_out', *args, folder, '--out-dir', trained / 'rest')
    assert error.value.code == 2 and 'broken.jpg cannot be decoded' in capsys.readouterr().err
    assert len(list((trained / 'rest').iterdir())) == 2


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['images', '--out-dir', 'images'], 'overwritten'),
        (['nothing'], 'nothing is no image, folder or pattern of images'),
        (['images', '--background', 'gren'], 'must be green, checker or an image'),
        (['images', '--max-size', '8'], 'max_size must be at least 32'),
    ],
)
def test_wrong_options(args, message, trained: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(trained)
    (trained / 'images').mkdir(exist_ok=True)
    cv2.imwrite('images/a.png', np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SystemExit) as error:
        run_tool('cut_out', 'tiny.py', 'model.pth', *args)
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_a_file_of_the_encoder_alone_is_refused(trained: Path, capsys) -> None:
    state = torch.load(trained / 'model.pth', weights_only=False)['state_dict']
    path = trained / 'encoder.pth'
    torch.save({k: v for k, v in state.items() if k.startswith('backbone.')}, path)
    with pytest.raises(SystemExit):
        run_tool('cut_out', trained / 'tiny.py', path, trained / 'scenes/val/image')
    assert 'encoder' in capsys.readouterr().err
