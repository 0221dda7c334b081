"""Cut people and things out of images: PNG files with straight alpha, or on a background."""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from rich.progress import track

from mmvsa import get_model, list_models
from mmvsa.apis.matting import cut_out, load_mattor
from mmvsa.datasets.images import read_image, write_image
from mmvsa.models import CheckpointError, Mattor
from mmvsa.registry import MODELS
from mmvsa.utils import UsageError, load_config, usage_errors
from mmvsa.utils.images import check_outputs, find_images, output_stems


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='config file, or a name such as p3m-net_vitae-s')
    parser.add_argument('checkpoint', help='checkpoint file, of mmvsa or official')
    parser.add_argument('input', help='image, folder of images, or glob in quotes')
    parser.add_argument('--out-dir', type=Path, default=Path('cut_outs'))
    parser.add_argument('--background', metavar='green|checker|FILE', help='default: transparent')
    parser.add_argument('--mode', choices=('resize', 'hybrid', 'whole'), help='test_cfg.mode')
    parser.add_argument(
        '--max-size', type=int, help='longest side the network sees; less needs less memory'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def build_model(args: argparse.Namespace) -> Mattor:
    options = dict(mode=args.mode, max_size=args.max_size)
    test_cfg = {key: value for key, value in options.items() if value is not None}
    try:
        if args.model in list_models():
            model = get_model(args.model, test_cfg=test_cfg)
        else:
            cfg = load_config(args.model, dict(model=dict(test_cfg=test_cfg)))
            init_default_scope(cfg.get('default_scope', 'mmvsa'))
            model = MODELS.build(cfg.model)
        if not isinstance(model, Mattor):
            raise UsageError(f'{args.model} is a {type(model).__name__}, no matting network')
        return load_mattor(model, args.checkpoint, args.device)
    except (ValueError, CheckpointError) as error:
        raise UsageError(str(error)) from error


def read_background(name: str | None) -> str | np.ndarray | None:
    if name is None or name in ('green', 'checker'):
        return name
    if not os.path.isfile(name):
        raise UsageError(f'--background must be green, checker or an image, got {name}')
    return read_image(name)


def main() -> None:
    args = parse_args()
    with usage_errors():
        images = find_images(args.input)
        background = read_background(args.background)
        args.out_dir.mkdir(parents=True, exist_ok=True)
        targets = [args.out_dir / f'{stem}.png' for stem in output_stems(images)]
        check_outputs(images, targets)
        model = build_model(args)
        failed = []
        pairs = list(zip(images, targets, strict=True))
        for source, target in track(pairs, description='cut out'):
            try:
                write_image(target, cut_out(model, read_image(source), background))
            except ValueError as error:
                failed.append(str(error))
        print(f'{len(images) - len(failed)} images in {args.out_dir}')
        if failed:
            raise UsageError(f'{len(failed)} of {len(images)} images failed: {"; ".join(failed)}')


if __name__ == '__main__':
    main()
