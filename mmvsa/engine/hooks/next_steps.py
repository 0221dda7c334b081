"""What to do with a trained checkpoint."""

import os
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvsa.registry import HOOKS


@HOOKS.register_module()
class NextStepsHook(Hook):
    """After training, name the checkpoint and its pictures, and what can be run next."""

    # After CheckpointHook and the hooks that draw.
    priority = 'LOWEST'

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Print the report."""
        print(self.report(runner), flush=True)

    @staticmethod
    def report(runner: Runner) -> str:
        """Return the lines that are printed."""
        work_dir = Path(_shown(runner.work_dir))
        infos = runner.message_hub.runtime_info
        best, last = infos.get('best_ckpt'), infos.get('last_ckpt')
        checkpoint = _shown(best or last) if best or last else None
        config = _shown(runner.cfg.filename) if runner.cfg.filename else 'CONFIG'
        lines = ['', f'checkpoint   {checkpoint or "none was written"}']
        lines += [f'picture      {path}' for path in sorted(work_dir.glob('*.png'))]
        if checkpoint:
            lines.append(f'test         python tools/test.py {config} {checkpoint}')
        lines += [
            f'go on        python tools/train.py {config} --work-dir {work_dir} --resume',
            f'your images  python tools/train.py {config} --cfg-options data_root=FOLDER',
            '             (FOLDER: one folder of images per class, or train/ and val/ of them)',
        ]
        return '\n'.join(lines)


def _shown(path: str) -> str:
    """Relative to the current folder where it lies inside, else absolute."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith('..') else relative
