"""The report at the end of a training."""

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

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
