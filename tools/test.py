"""Test a checkpoint with an mmpretrain, mmdet, mmseg, mmrotate or mmpose config."""

import argparse
import os

from mmvsa.models import install_safe_loading
from mmvsa.utils import (
    build_runner,
    leave_group,
    load_config,
    usage_errors,
    use_show_dir,
    use_tta,
    write_results,
)
from mmvsa.utils.runner import use_skip_bad_images
from mmvsa.utils.settings import check_settings
from mmvsa.utils.work_dir import check_checkpoint

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of logs')
    parser.add_argument('--out', help='file.pkl for the predictions, file.json for the metrics')
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='override the config; data_root=PATH reaches every dataset',
    )
    parser.add_argument(
        '--skip-bad-images',
        action='store_true',
        help='leave out images of class folders that cannot be read, and name them',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints with pickle, which runs the code in them',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    # torchrun gives the rank in the environment, older launchers by option.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    args = parse_args()
    with usage_errors():
        if not args.trust_checkpoint:
            install_safe_loading()
        cfg = load_config(args.config, args.cfg_options)
        check_settings(cfg)
        check_checkpoint(args.checkpoint)
        cfg.update(load_from=args.checkpoint, resume=False)
        if args.show_dir:
            use_show_dir(cfg, args.show_dir)
        if args.skip_bad_images:
            use_skip_bad_images(cfg)
        if args.tta:
            use_tta(cfg)
        loaders = ('test_dataloader',)
        runner = build_runner(cfg, args.config, args.work_dir, args.launcher, loaders)
        write_results(runner, args.out)
    leave_group()


if __name__ == '__main__':
    main()
