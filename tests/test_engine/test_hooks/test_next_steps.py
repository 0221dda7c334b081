"""The report at the end of a training."""

import re
import shlex
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


def test_report(hub: MessageHub, tmp_path: Path) -> None:
    """Commands are quoted, name this interpreter, and read the config of the run."""
    work_dir = tmp_path / "my 'run' (1);$(x)"
    work_dir.mkdir()
    (work_dir / 'windows.png').write_text('')
    cfg = SimpleNamespace(filename='configs/a.py')
    runner = fake_runner(hub, work_dir, cfg=cfg, world_size=1)
    assert 'none was written' in NextStepsHook.report(runner)
    hub.update_info('last_ckpt', str(work_dir / 'epoch_1.pth'))
    hub.update_info('best_ckpt', str(work_dir / 'best.pth'))
    report = NextStepsHook.report(runner)
    assert 'best.pth' in report and 'windows.png' in report
    lines = {line[:13].strip(): line[13:] for line in report.splitlines()}
    python, tool, config, checkpoint = shlex.split(lines['test'])
    assert python == sys.executable and Path(tool).name == 'test.py'
    assert (config, checkpoint) == (str(work_dir / 'a.py'), str(work_dir / 'best.pth'))
    expected = [str(work_dir / 'a.py'), '--work-dir', str(work_dir), '--resume']
    assert shlex.split(lines['go on'])[2:] == expected
    assert shlex.split(lines['your images'])[2] == 'configs/a.py'


def test_several_processes_go_on_as_several(hub: MessageHub, tmp_path: Path) -> None:
    runner = fake_runner(hub, tmp_path, cfg=SimpleNamespace(filename='a.py'), world_size=2)
    report = NextStepsHook.report(runner)
    assert 'torch.distributed.run --standalone --nproc-per-node=2' in report
    assert '--resume --launcher pytorch' in report


def test_predict_works_as_printed_where_nothing_is_activated(
    hub: MessageHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the folder in which the quickstart was started, for an image that is in memory."""
    config, checkpoint = write_model('classification', tmp_path)
    hub.update_info('last_ckpt', str(checkpoint))
    image = np.full((8, 8, 3), 90, np.uint8)
    dataset = SimpleNamespace(get_data_info=lambda index: dict(img=image))
    monkeypatch.setenv('MMVSA_START_DIR', str(tmp_path.parent))
    runner = fake_runner(
        hub,
        tmp_path,
        cfg=SimpleNamespace(filename=str(config)),
        world_size=1,
        val_loop=object(),
        val_dataloader=SimpleNamespace(dataset=dataset),
    )
    report = NextStepsHook.report(runner)
    assert (cv2.imread(str(tmp_path / 'example/0.png')) == image).all()
    (command,) = re.findall(r'^predict +(.+)$', report, re.M)
    bare = dict(PATH='/usr/bin:/bin', PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run(
        command, shell=True, cwd=tmp_path.parent, env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'predicted 1, skipped 0' in done.stdout
    assert (tmp_path / 'predictions/pictures/0.png').is_file()


def test_predict_takes_the_file_of_a_dataset(hub: MessageHub, tmp_path: Path) -> None:
    hub.update_info('last_ckpt', str(tmp_path / 'epoch_1.pth'))
    dataset = SimpleNamespace(get_data_info=lambda index: dict(img_path='/data/cat.jpg'))
    runner = fake_runner(
        hub,
        tmp_path,
        cfg=SimpleNamespace(filename='configs/a.py'),
        world_size=1,
        val_loop=object(),
        val_dataloader=SimpleNamespace(dataset=dataset),
    )
    report = NextStepsHook.report(runner)
    assert f' /data/cat.jpg {tmp_path}/a.py {tmp_path}/epoch_1.pth ' in report
