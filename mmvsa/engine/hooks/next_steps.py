"""What to do with a trained checkpoint."""

import os
import sys
from pathlib import Path

import mmcv
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvsa.hub import metafile_root
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
        """Return the lines; their commands run in a shell where nothing was activated."""
        work_dir = Path(_shown(runner.work_dir))
        infos = runner.message_hub.runtime_info
        best, last = infos.get('best_ckpt'), infos.get('last_ckpt')
        checkpoint = _shown(best or last) if best or last else None
        config = _shown(runner.cfg.filename) if runner.cfg.filename else 'CONFIG'
        lines = ['', f'checkpoint   {checkpoint or "none was written"}']
        lines += [f'picture      {path}' for path in sorted(work_dir.glob('*.png'))]
        if checkpoint:
            # The copy in the work dir has the options of the command line, such as the classes.
            own = work_dir / Path(config).name
            image, out = _example_image(runner), work_dir / 'predictions'
            lines += [
                f'predict      {_tool("image_demo")} {image} {own} {checkpoint} --out-dir {out}',
                f'test         {_tool("test")} {config} {checkpoint}',
            ]
        train = _tool('train')
        lines += [
            f'go on        {train} {config} --work-dir {work_dir} --resume',
            f'your images  {train} {config} --cfg-options data_root=FOLDER',
            '             (FOLDER: one folder of images per class, or train/ and val/ of them)',
        ]
        return '\n'.join(lines)


def _tool(name: str) -> str:
    """Return the start of a command: this interpreter, and a script of ``tools/``."""
    root = metafile_root()
    script = (root / 'tools').resolve() / f'{name}.py' if root else Path('tools', f'{name}.py')
    return f'{_shown(sys.executable)} {_shown(script)}'


def _example_image(runner: Runner) -> str:
    """Return the file of a validation image; one that is only in memory is written."""
    dataset = runner.val_dataloader.dataset if runner.val_loop else None
    if not dataset:
        return 'IMAGE'
    sample = dataset.get_data_info(0)
    if 'img_path' in sample:
        return _shown(sample['img_path'])
    path = Path(runner.work_dir, 'example', '0.png')
    mmcv.imwrite(sample['img'], str(path))
    return _shown(path)


def _shown(path: str | os.PathLike) -> str:
    """Return a path relative to the folder of the caller where it lies inside, else absolute."""
    start = os.environ.get('MMVSA_START_DIR', os.curdir)  # tools/quickstart.sh changes the folder
    relative = os.path.relpath(path, start)
    return os.path.abspath(path) if relative.startswith(os.pardir) else relative
