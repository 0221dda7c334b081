"""What to do with a trained checkpoint."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvsa.datasets.images import write_image
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
            out = work_dir / 'predictions'
            predict = tool_command(
                'image_demo', _example_image(runner), config, Path(checkpoint), '--out-dir', out
            )
            lines += [
                f'predict      {predict}',
                f'test         {tool_command("test", config, Path(checkpoint))}',
            ]
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


def _example_image(runner: Runner) -> Path:
    """Return the file of a validation image; one that is only in memory is written."""
    dataset = runner.val_dataloader.dataset if runner.val_loop else None
    if not dataset:
        return Path('IMAGE')
    sample = dataset.get_data_info(0)
    if 'img_path' in sample:
        return Path(sample['img_path'])
    path = Path(runner.work_dir, 'example', '0.png')
    write_image(path, sample['img'])
    return path
