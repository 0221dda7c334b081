"""Test a checkpoint with an mmpretrain, mmdet, mmseg, mmrotate or mmpose config."""

import argparse

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
from mmvsa.utils.arguments import parse_run
from mmvsa.utils.runner import use_skip_bad_images
from mmvsa.utils.settings import check_settings
from mmvsa.utils.work_dir import check_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of logs')
    parser.add_argument('--out', help='file.pkl for the predictions, file.json for the metrics')
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    return parse_run(parser)


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
