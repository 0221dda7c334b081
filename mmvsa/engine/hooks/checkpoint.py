"""Checkpoints that survive an interruption, and a training that resumes from them exactly."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import Runner

from mmvsa.registry import HOOKS
from mmvsa.utils.files import whole_file

from .random_state import RANDOM_STATES, random_state


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """MMEngine's hook, made safe against interruptions.

    - An older checkpoint is deleted after the newer one is whole, and only inside the folder that
      this training writes to.
    - ``last_checkpoint`` holds the path relative to the work dir, so that a work dir can be moved
      and copied. It is replaced at once, as checkpoints are where
      :func:`mmvsa.utils.files.install_whole_files` was called; ``tools/train.py`` does.
    - Checkpoints with the state of the optimizer have the random states of all processes.
    """

    def before_train(self, runner: Runner) -> None:
        """Find out where to write, and which best checkpoint is this folder's."""
        super().before_train(runner)
        for key, path in self._best_paths().items():
            own = os.path.join(self.out_dir, os.path.basename(path)) if path else ''
            if os.path.exists(own):
                runner.message_hub.update_info(f'best_ckpt_{key}' if key else 'best_ckpt', own)
            self._set_best_path(key, own if os.path.exists(own) else None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the random states to what can be resumed from."""
        if 'optimizer' in checkpoint:
            checkpoint[RANDOM_STATES] = self._random_states

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        self._random_states = all_gather_object(random_state())
        outdated = list(self._count(step))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        with whole_file(Path(runner.work_dir, 'last_checkpoint')) as file:
            file.write(_relative(self.last_ckpt, runner.work_dir).encode())
        for path in outdated:
            self._remove(path)

    def _count(self, step: int) -> Iterator[str]:
        """Count a checkpoint among those to keep; yield the one that is then outdated."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            name = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            if name != self.filename_tmpl.format(step):  # a template without a number
                yield self.file_backend.join_path(self.out_dir, name)
        self.keep_ckpt_ids.append(step)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        previous = self._best_paths()
        for key in previous:
            self._set_best_path(key, None)  # MMEngine's deletes it before it has written
        super()._save_best_checkpoint(runner, metrics)
        for key, path in self._best_paths().items():
            if path is None:
                self._set_best_path(key, previous[key])
            elif previous[key] not in (None, path) and is_main_process():
                self._remove(previous[key])

    def _best_paths(self) -> dict[str, Any]:
        """Return indicator ('' if there is one alone) -> the best checkpoint, or None."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_path(self, key: str, path: str | None) -> None:
        if key:
            self.best_ckpt_path_dict[key] = path
        else:
            self.best_ckpt_path = path

    def _remove(self, path: str) -> None:
        """Delete a checkpoint: a file, or a folder of sharded files."""
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)


def _relative(path: str, folder: str) -> str:
    return path if '://' in path else os.path.relpath(path, folder)
