"""Train a model of an mmpretrain, mmdet, mmseg, mmrotate or mmpose config."""

import argparse

from mmengine.config import Config

from mmvsa.models import install_safe_loading
from mmvsa.utils import (
    UsageError,
    build_runner,
    claimed,
    leave_group,
    load_config,
    usage_errors,
    use_amp,
    use_fresh_start,
    use_resume,
    use_work_dir,
)
from mmvsa.utils.arguments import parse_run
from mmvsa.utils.runner import check_pretrained, run, use_skip_bad_images, use_skip_nan
from mmvsa.utils.settings import check_settings


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue: from a checkpoint, from the newest one of a folder, or, alone, from that '
        'of the work dir',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision; alone: float16 on a GPU, bfloat16 on a CPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size / auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--skip-nan',
        action='store_true',
        help='leave out batches whose loss is NaN or Inf, instead of stopping',
    )
    parser.add_argument('--no-validate', action='store_true', help='train only')
    return parse_run(parser)


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the command line's options into the config."""
    if args.no_validate:
        cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    if args.amp:
        use_amp(cfg, None if args.amp == 'auto' else args.amp)
    if args.skip_nan:
        use_skip_nan(cfg)
    if args.skip_bad_images:
        use_skip_bad_images(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UsageError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True


def train(cfg: Config, args: argparse.Namespace) -> None:
    """Train in the work dir, from the beginning or from a checkpoint."""
    if args.resume or cfg.get('resume'):
        resume = args.resume or cfg.load_from or 'auto'
        use_resume(cfg, resume, trust=args.trust_checkpoint)
    else:
        use_fresh_start(cfg)
    loaders = ('train_dataloader', 'val_dataloader')
    run(build_runner(cfg, args.config, args.work_dir, args.launcher, loaders), 'train')


def main() -> None:
    args = parse_args()
    with usage_errors():
        if not args.trust_checkpoint:
            install_safe_loading()
        cfg = load_config(args.config, args.cfg_options)
        check_settings(cfg)
        apply_options(cfg, args)
        check_pretrained(cfg)
        use_work_dir(cfg, args.config, args.work_dir)
        with claimed(cfg.work_dir, args.launcher):
            train(cfg, args)
    leave_group()


if __name__ == '__main__':
    main()
