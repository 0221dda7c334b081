"""Checkpoints are deleted late, and only in the folder of the training."""

from pathlib import Path
from typing import Any

import pytest
from helpers.runners import fake_runner
from mmengine.logging import MessageHub

from mmvsa.engine import CheckpointHook
from mmvsa.engine.hooks.random_state import RANDOM_STATES


class Training:
    """A hook with a runner that notes which files were there at each write."""

    def __init__(self, work_dir: Path, hub: MessageHub | None = None, **options: Any) -> None:
        work_dir.mkdir(exist_ok=True)
        self.work_dir, self.seen = work_dir, []
        self.hub = hub or MessageHub(f'hub of {work_dir}')
        self.runner = fake_runner(self.hub, work_dir, iter=0, save_checkpoint=self.save)
        self.hook = CheckpointHook(interval=1, **options)
        self.hook.before_train(self.runner)

    def save(self, out_dir: str, filename: str, *args: Any, **options: Any) -> None:
        self.seen.append(self.files())
        checkpoint = dict(optimizer={}) if options['save_optimizer'] else {}
        self.hook.before_save_checkpoint(self.runner, checkpoint)
        assert (RANDOM_STATES in checkpoint) is options['save_optimizer']
        Path(out_dir, filename).touch()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.work_dir.glob('*.pth'))

    def epoch(self, **metrics: float) -> list[str]:
        """Train and validate an epoch; return the checkpoints that are left."""
        self.hook.after_train_epoch(self.runner)
        self.runner.epoch += 1
        self.hook.after_val_epoch(self.runner, metrics)
        return self.files()


def test_outdated_checkpoints_go_after_the_new_one(tmp_path: Path) -> None:
    training = Training(tmp_path, max_keep_ckpts=2)
    assert [training.epoch(a=1) for _ in range(4)][2:] == [
        ['epoch_2.pth', 'epoch_3.pth'],
        ['epoch_3.pth', 'epoch_4.pth'],
    ]
    assert training.seen[-1] == ['epoch_2.pth', 'epoch_3.pth']  # nothing was deleted yet
    assert training.hub.get_info('keep_ckpt_ids') == [3, 4]


def test_last_checkpoint_is_a_name(tmp_path: Path) -> None:
    training = Training(tmp_path)
    training.epoch(a=1)
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_1.pth'
    other = Training(tmp_path / 'run', out_dir=str(tmp_path / 'disk'))
    (tmp_path / 'disk/run').mkdir(parents=True)
    other.hook.after_train_epoch(other.runner)
    assert (tmp_path / 'run/last_checkpoint').read_text() == '../disk/run/epoch_1.pth'


def test_a_template_without_a_number_keeps_its_file(tmp_path: Path) -> None:
    training = Training(tmp_path, max_keep_ckpts=1, filename_tmpl='last.pth')
    assert [training.epoch(a=1) for _ in range(3)][-1] == ['last.pth']


@pytest.mark.parametrize('indicators', ['acc', 'auto', ['acc', 'loss']])
def test_the_best_goes_after_the_new_best(tmp_path: Path, indicators: Any) -> None:
    training = Training(tmp_path, max_keep_ckpts=1, save_best=indicators)
    training.epoch(acc=0.5, loss=1.0)
    assert 'best_acc_epoch_1.pth' in training.epoch(acc=0.4, loss=1.0)  # no better
    left = training.epoch(acc=0.6, loss=2.0)
    assert 'best_acc_epoch_3.pth' in left and 'best_acc_epoch_1.pth' not in left
    assert ('best_loss_epoch_1.pth' in left) is isinstance(indicators, list)
    assert all('best_acc_epoch_1.pth' in seen for seen in training.seen[-2:])


def test_the_best_of_another_folder_stays(tmp_path: Path) -> None:
    """A training that resumes elsewhere deletes nothing of the first one."""
    first = Training(tmp_path / 'a', save_best='acc')
    first.epoch(acc=0.5)
    second = Training(tmp_path / 'b', save_best='acc', hub=first.hub)
    second.runner.epoch = 1
    assert 'best_acc_epoch_2.pth' in second.epoch(acc=0.6)
    assert first.files() == ['best_acc_epoch_1.pth', 'epoch_1.pth']


def test_the_best_of_a_moved_folder_is_replaced(tmp_path: Path) -> None:
    first = Training(tmp_path / 'a', save_best='acc')
    first.epoch(acc=0.5)
    (tmp_path / 'a').rename(tmp_path / 'b')
    second = Training(tmp_path / 'b', save_best='acc', hub=first.hub)
    assert first.hub.get_info('best_ckpt') == str(tmp_path / 'b/best_acc_epoch_1.pth')
    second.runner.epoch = 1
    assert second.epoch(acc=0.6) == ['best_acc_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']
