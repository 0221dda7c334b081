"""The report at the end of a training."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers.cli import ROOT
from helpers.predictions import write_model
from helpers.runners import fake_runner
from mmengine.logging import MessageHub

from mmvsa.engine import NextStepsHook


def report(hub: MessageHub, work_dir: Path, **attributes: object) -> dict[str, str]:
    """Return label -> text of the lines of a report."""
    cfg = SimpleNamespace(filename='configs/a.py')
    text = NextStepsHook.report(fake_runner(hub, work_dir, **{'cfg': cfg, **attributes}))
    return dict(re.findall(r'^(\w[\w ]*?)  +(.+)$', text, re.M))


def test_report(hub: MessageHub, tmp_path: Path) -> None:
    (tmp_path / 'windows.png').write_text('')
    lines = report(hub, tmp_path)
    assert 'none was written' in lines['checkpoint'] and 'predict' not in lines
    hub.update_info('last_ckpt', str(tmp_path / 'epoch_1.pth'))
    hub.update_info('best_ckpt', str(tmp_path / 'best.pth'))
    lines = report(hub, tmp_path)
    assert lines['checkpoint'].endswith('best.pth') and lines['picture'].endswith('windows.png')
    assert 'tools/test.py configs/a.py' in lines['test']


def test_predict_works_as_printed_where_nothing_is_activated(
    hub: MessageHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the folder in which the quickstart was started, for an image that is in memory."""
    config, checkpoint = write_model('classification', tmp_path)
    hub.update_info('last_ckpt', str(checkpoint))
    image = np.full((8, 8, 3), 90, np.uint8)
    dataset = SimpleNamespace(get_data_info=lambda index: dict(img=image))
    monkeypatch.setenv('MMVSA_START_DIR', str(tmp_path.parent))
    lines = report(
        hub,
        tmp_path,
        cfg=SimpleNamespace(filename=str(config)),
        val_loop=object(),
        val_dataloader=SimpleNamespace(dataset=dataset),
    )
    assert (cv2.imread(str(tmp_path / 'example/0.png')) == image).all()
    bare = dict(PATH='/usr/bin:/bin', PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run(
        lines['predict'], shell=True, cwd=tmp_path.parent, env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'predicted 1, skipped 0' in done.stdout
    assert (tmp_path / 'predictions/pictures/0.png').is_file()
    for name in ('predict', 'test', 'go on', 'your images'):
        interpreter, script = lines[name].split()[:2]
        assert os.path.samefile(tmp_path.parent / interpreter, sys.executable)
        assert (tmp_path.parent / script).is_file()


def test_predict_takes_the_file_of_a_dataset(hub: MessageHub, tmp_path: Path) -> None:
    hub.update_info('last_ckpt', str(tmp_path / 'epoch_1.pth'))
    dataset = SimpleNamespace(get_data_info=lambda index: dict(img_path='/data/cat.jpg'))
    loader = SimpleNamespace(dataset=dataset)
    lines = report(hub, tmp_path, val_loop=object(), val_dataloader=loader)
    assert f' /data/cat.jpg {tmp_path}/a.py {tmp_path}/epoch_1.pth ' in lines['predict']
