"""The report at the end of a training."""

from pathlib import Path
from types import SimpleNamespace

from helpers.runners import fake_runner
from mmengine.logging import MessageHub

from mmvsa.engine import NextStepsHook


def test_report(hub: MessageHub, tmp_path: Path) -> None:
    (tmp_path / 'windows.png').write_text('')
    runner = fake_runner(hub, tmp_path, cfg=SimpleNamespace(filename='configs/a.py'))
    assert 'none was written' in NextStepsHook.report(runner)
    hub.update_info('last_ckpt', str(tmp_path / 'epoch_1.pth'))
    hub.update_info('best_ckpt', str(tmp_path / 'best.pth'))
    report = NextStepsHook.report(runner)
    assert 'best.pth' in report and 'windows.png' in report
    assert 'tools/test.py configs/a.py' in report
