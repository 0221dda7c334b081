"""Interrupted trainings: they resume to the bit, and lose or overwrite nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from helpers.cli import run_tool, tiny_config
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

# Augmentation, drop path, attention dropout, an average of the weights, no seed in the config.
RANDOM = """
model['backbone'].update(drop_path_rate=0.2, attn_drop_rate=0.1)
train_dataloader.update(num_workers={workers}, persistent_workers={workers} > 0)
val_dataloader['dataset'].update(indices=16)
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
randomness = dict(_delete_=True)
"""
BY_ITERATION = """
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=8, val_interval=2)
train_dataloader.update(sampler=dict(type='InfiniteSampler', shuffle=True))
param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=8, by_epoch=False)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3))
log_processor = dict(by_epoch=False)
"""


class Killed(BaseException):
    """Ends a training without any of its hooks, as a signal would."""


def kill_at(iteration: int) -> mock._patch:
    """Let a training die before an iteration."""

    def before_train_iter(self: RuntimeInfoHook, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter == iteration:
            raise Killed
        original(self, runner, *args, **kwargs)

    original = RuntimeInfoHook.before_train_iter
    return mock.patch.object(RuntimeInfoHook, 'before_train_iter', before_train_iter)


def tensors(content: object, name: str = '') -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors of a checkpoint."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from tensors(value, f'{name}.{key}')
    elif isinstance(content, (list, tuple)):
        for key, value in enumerate(content):
            yield from tensors(value, f'{name}.{key}')


def assert_same_training(a: Path, b: Path) -> None:
    """Weights, average, optimizer and random states are equal to the bit."""
    left, right = (dict(tensors(torch.load(path, weights_only=False))) for path in (a, b))
    assert left.keys() == right.keys() and len(left) > 500
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert different == []


@pytest.mark.parametrize(
    ('workers', 'by_epoch', 'amp'),
    [
        (0, True, True),
        (2, False, False),
        pytest.param(2, True, True, marks=pytest.mark.slow),
        pytest.param(0, False, False, marks=pytest.mark.slow),
    ],
)
def test_a_killed_training_resumes_to_the_bit(
    tmp_path: Path, workers: int, by_epoch: bool, amp: bool
) -> None:
    extra = RANDOM.format(workers=workers) + ('' if by_epoch else BY_ITERATION)
    config = tiny_config(tmp_path, epochs=2, extra=extra)
    last = 'epoch_2.pth' if by_epoch else 'iter_8.pth'
    options = ['--amp', 'bfloat16'] if amp else []
    straight, killed = tmp_path / 'straight', tmp_path / 'killed'
    # The seed of the first run is given by hand: without one, the two would start differently.
    seed = ['--cfg-options', 'randomness.seed=7']
    run_tool('train', config, '--work-dir', straight, *options, *seed)
    with kill_at(6), pytest.raises(Killed):
        run_tool('train', config, '--work-dir', killed, *options, *seed)
    assert not (killed / last).exists()
    run_tool('train', config, '--work-dir', killed, *options, '--resume')
    assert_same_training(straight / last, killed / last)


@pytest.fixture(scope='module')
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the config and the work dir of a training of one epoch."""
    folder = tmp_path_factory.mktemp('finished')
    config = tiny_config(folder, epochs=2, extra='custom_hooks = []')
    run_tool('train', config, '--work-dir', folder / 'w', '--cfg-options', 'train_cfg.max_epochs=1')
    return config, folder / 'w'


def error_of(capsys: pytest.CaptureFixture, *args: object) -> str:
    """Return the one line that a tool prints before it exits with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        run_tool(*args)
    assert exit_.value.code == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith('error: ')]
    return line


def test_what_does_not_resume(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config, work_dir = finished
    resume = ('train', config, '--work-dir', tmp_path, '--resume')
    classes = ('--cfg-options', 'model.head.num_classes=12')
    error = error_of(capsys, *resume, work_dir / 'epoch_1.pth', *classes)
    assert '10 classes in Digits, 12 in model.head' in error
    window = ('--cfg-options', 'model.backbone.arch.window_size=3')
    assert '(resized)' in error_of(capsys, *resume, work_dir / 'epoch_1.pth', *window)
    (best,) = work_dir.glob('best_*.pth')
    error = error_of(capsys, *resume, best)
    assert 'no training state' in error and f'load_from={best}' in error
    assert not list(tmp_path.glob('*.pth'))


def test_a_used_work_dir_is_refused(
    finished: tuple[Path, Path], capsys: pytest.CaptureFixture
) -> None:
    config, work_dir = finished
    times = [path.stat().st_mtime_ns for path in work_dir.glob('*.pth')]
    error = error_of(capsys, 'train', config, '--work-dir', work_dir)
    assert 'epoch_1.pth' in error and '--resume' in error and '--work-dir' in error
    assert times == [path.stat().st_mtime_ns for path in work_dir.glob('*.pth')]


def test_a_copied_work_dir_resumes_from_itself(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Also where the newest file was cut off and nothing says which is the last."""
    config, work_dir = finished
    copied = tmp_path / 'copy'
    shutil.copytree(work_dir, copied)
    (copied / 'last_checkpoint').unlink()
    (copied / 'epoch_2.pth').write_bytes((copied / 'epoch_1.pth').read_bytes()[:1000])
    before = {path: path.read_bytes() for path in work_dir.glob('*.pth')}
    run_tool('train', config, '--work-dir', copied, '--resume')
    output = capsys.readouterr().out
    assert f'resuming from {copied}/epoch_1.pth' in output
    assert f'passed by: {copied}/epoch_2.pth cannot be read' in output
    assert torch.load(copied / 'epoch_2.pth', weights_only=False)['meta']['epoch'] == 2
    assert (copied / 'last_checkpoint').read_text() == 'epoch_2.pth'
    assert before == {path: path.read_bytes() for path in work_dir.glob('*.pth')}


def test_what_is_not_tested(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config, work_dir = finished
    weights = torch.load(work_dir / 'epoch_1.pth', weights_only=False)['state_dict']
    path, out = tmp_path / 'other.pth', tmp_path / 'metrics.json'
    test = ('test', config, path, '--work-dir', tmp_path, '--out', out)

    def error(content: object, *options: str) -> str:
        torch.save(content, path)
        return error_of(capsys, *test, *options)

    assert 'fits only 0 of the' in error({f'x.{key}': value for key, value in weights.items()})
    bare = {k.removeprefix('backbone.'): v for k, v in weights.items() if k.startswith('backbone')}
    assert 'not in the file: head.fc.weight, head.fc.bias' in error(bare)
    classes = ('--cfg-options', 'model.head.num_classes=5')
    found = error(dict(state_dict=weights), *classes)
    assert '10 classes in Digits, 5 in model.head' in found
    broken = {**weights, 'head.fc.bias': weights['head.fc.bias'] / 0}
    assert 'head.fc.bias has NaN or infinite values' in error(dict(state_dict=broken))
    path.write_text('garbage')
    assert f'{path} cannot be read as weights' in error_of(capsys, *test)
    assert not out.exists()

    torch.save(dict(model=weights), path)
    run_tool(*test)
    other = json.loads(out.read_text())
    run_tool('test', config, work_dir / 'epoch_1.pth', '--work-dir', tmp_path, '--out', out)
    assert json.loads(out.read_text()) == other
