"""What to do with a trained checkpoint."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvsa.registry import HOOKS
from mmvsa.utils.commands import shown_path, tool_command


@HOOKS.register_module()
class NextStepsHook(Hook):
    """After training, name the checkpoint and its pictures, and what can be run next.

    The commands read the config that the runner wrote into the work dir: it has all options of
    the run.
    """

    # After CheckpointHook and the hooks that draw.
    priority = 'LOWEST'

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Print the report."""
        print(self.report(runner), flush=True)

    @staticmethod
    def report(runner: Runner) -> str:
        """Return the lines that are printed."""
        work_dir = Path(runner.work_dir)
        infos = runner.message_hub.runtime_info
        checkpoint = infos.get('best_ckpt') or infos.get('last_ckpt')
        name = Path(runner.cfg.filename).name if runner.cfg.filename else None
        config = work_dir / (name or f'{runner.timestamp}.py')
        source = Path(runner.cfg.filename) if runner.cfg.filename else config
        shown = shown_path(checkpoint) if checkpoint else 'none was written'
        lines = ['', f'checkpoint   {shown}']
        lines += [f'picture      {shown_path(path)}' for path in sorted(work_dir.glob('*.png'))]
        if checkpoint:
            lines.append(f'test         {tool_command("test", config, Path(checkpoint))}')
        resume = tool_command(
            'train', config, '--work-dir', work_dir, '--resume', processes=runner.world_size
        )
        yours = tool_command('train', source, '--cfg-options', 'data_root=FOLDER')
        lines += [
            f'go on        {resume}',
            f'your images  {yours}',
            '             (FOLDER: one folder of images per class, or train/ and val/ of them)',
        ]
        return '\n'.join(lines)
