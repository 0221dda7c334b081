"""Measure how many images per second one data-loader worker prepares, and how many it takes.

    python tools/analysis_tools/data_loading.py --step-ms 150 --gpus 8

The training pipeline of a config runs on JPEG files: those of --images, or photographs of
scikit-image in ImageNet's size. Times are processor time of one process, so a busy machine
matters little. With --step-ms, the time of a training step on one GPU, it prints how many workers
keep up with it.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvsa.analysis.pipeline_speed import (
    PipelineSpeed,
    measure_pipelines,
    with_option,
    workers_needed,
    write_photographs,
)
from mmvsa.analysis.report import print_rows

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/imagenet_bs128_vitae_224.py'
RESIZERS = ('pillow', 'cv2')
DECODERS = ('cv2', 'pillow', 'turbojpeg')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', type=Path, default=CONFIG)
    parser.add_argument('--images', type=Path, help='folder of JPEG files')
    parser.add_argument('--decoders', nargs='+', choices=DECODERS, default=['cv2', 'pillow'])
    parser.add_argument('--resizers', nargs='+', choices=RESIZERS, default=['pillow'])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--repeats', type=int, default=25, help='of every file in a round')
    parser.add_argument('--step-ms', type=float, help='of a training step on one GPU')
    parser.add_argument('--batch-size', type=int, default=128, help='per GPU')
    parser.add_argument('--gpus', type=int, default=8)
    args = parser.parse_args(argv)
    for name in ('rounds', 'repeats', 'batch_size', 'gpus'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if args.step_ms is not None and args.step_ms <= 0:
        parser.error('--step-ms must be positive')
    return args


def variant(pipeline: Sequence[dict[str, Any]], decoder: str, resizer: str) -> list[dict]:
    """The pipeline with these libraries."""
    pipeline = with_option(pipeline, 'LoadImageFromFile', 'imdecode_backend', decoder)
    return with_option(pipeline, 'RandomResizedCrop', 'backend', resizer)


def find_images(folder: Path) -> list[Path]:
    """At most 100 JPEG files of a folder and what is below it."""
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in ('.jpg', '.jpeg'))[:100]
    if not paths:
        raise SystemExit(f'data_loading: no .jpg or .jpeg file below {folder}')
    return paths


def print_speeds(speeds: dict[str, PipelineSpeed]) -> None:
    steps = list(next(iter(speeds.values())).ms)
    header = ['decoder, resizer', *(f'{step} ms' for step in steps), 'images/s', 'spread']
    rows = [
        [
            name,
            *(f'{speed.ms[step]:.2f}' for step in steps),
            f'{speed.images_per_s:.0f}',
            f'{speed.spread:.0%}',
        ]
        for name, speed in speeds.items()
    ]
    print_rows(header, rows, 'one worker, processor time')


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    pipeline = Config.fromfile(args.config).train_dataloader.dataset.pipeline
    pipelines = {
        f'{decoder}, {resizer}': variant(pipeline, decoder, resizer)
        for resizer in args.resizers
        for decoder in args.decoders
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = find_images(args.images) if args.images else write_photographs(Path(folder))
        size = sum(path.stat().st_size for path in paths) / len(paths)
        print(f'{len(paths)} files, {size / 1e3:.0f} kB on average')
        speeds = measure_pipelines(pipelines, paths, args.rounds, args.repeats)
    print_speeds(speeds)
    if args.step_ms:
        for name, speed in speeds.items():
            count = workers_needed(speed.images_per_s, args.batch_size, args.step_ms)
            print(f'{name}: {count} workers per GPU, {count * args.gpus} for {args.gpus} GPUs')
    return 0


if __name__ == '__main__':
    sys.exit(main())
