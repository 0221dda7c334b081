"""Predict images: classes, boxes, masks, keypoints, or the class of every pixel."""

import argparse
from pathlib import Path

from mmvsa.apis import inference
from mmvsa.utils import usage_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('input', help='image, folder of images, or glob in quotes')
    parser.add_argument('config', help='config of mmpretrain, mmdet, mmrotate, mmseg or mmpose')
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('predictions'),
        help='for predictions.json and pictures/ (default: predictions)',
    )
    parser.add_argument('--device', help='default: cuda where there is one, else cpu')
    parser.add_argument('--batch-size', type=int, default=1, help='images per forward pass')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with usage_errors():
        report = inference(
            args.input,
            args.config,
            args.checkpoint,
            out_dir=args.out_dir,
            device=args.device,
            batch_size=args.batch_size,
            progress=True,
        )
    counts = {name: len(report[name]) for name in ('images', 'skipped')}
    print(f'predicted {counts["images"]}, skipped {counts["skipped"]} that could not be read')
    print(f'pictures  {args.out_dir / "pictures"}')
    print(f'results   {args.out_dir / "predictions.json"}')


if __name__ == '__main__':
    main()
