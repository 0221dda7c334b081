"""Measure how many images per second one data-loader worker prepares, and how many it takes.

    python tools/benchmarks/data_loading.py --step-ms 150
    python tools/benchmarks/data_loading.py CONFIG --images FOLDER \\
        --cfg-options train_dataloader.dataset.pipeline.0.imdecode_backend=pillow

The training pipeline of a config of mmpretrain runs on JPEG files: those of --images, or
photographs of scikit-image in ImageNet's size. Times are processor time of one process, so a busy
machine matters little. With --step-ms, the time of a training step on one GPU, it prints how many
workers keep up with it.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import print_table
from mmcv.transforms import RandomChoice
from mmengine.registry import TRANSFORMS, init_default_scope

from mmvsa.utils import UsageError, load_config, usage_errors
from mmvsa.utils.arguments import add_cfg_options

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/imagenet_bs128_vitae_224.py'
PHOTOGRAPHS = ('astronaut', 'chelsea', 'coffee', 'rocket')
# The most frequent size of an ImageNet image, (width, height). At this quality a file has 95 kB,
# about as much as there (110 kB).
IMAGE_SIZE, QUALITY = (500, 375), 98


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', type=Path, default=CONFIG)
    parser.add_argument('--images', type=Path, help='folder of JPEG files')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--repeats', type=int, default=25, help='of every file in a round')
    parser.add_argument('--step-ms', type=float, help='of a training step on one GPU')
    parser.add_argument('--batch-size', type=int, default=128, help='per GPU')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    for name in ('rounds', 'repeats', 'batch_size', 'step_ms'):
        if (value := getattr(args, name)) is not None and value <= 0:
            parser.error(f'--{name.replace("_", "-")} must be positive, got {value}')
    return args


def write_photographs(folder: Path) -> list[Path]:
    """Write scikit-image's photographs as JPEGs of :data:`IMAGE_SIZE`, cropped to its shape."""
    from PIL import Image, ImageOps
    from skimage import data

    paths = [folder / f'{name}.jpg' for name in PHOTOGRAPHS]
    for path in paths:
        image = Image.fromarray(getattr(data, path.stem)())
        ImageOps.fit(image, IMAGE_SIZE, Image.Resampling.BICUBIC).save(path, quality=QUALITY)
    return paths


def find_images(folder: Path) -> list[Path]:
    """Return at most 100 JPEG files of a folder and what is below it."""
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in ('.jpg', '.jpeg'))[:100]
    if not paths:
        raise UsageError(f'no .jpg or .jpeg file in {folder}')
    return paths


def time_transforms(transforms: Sequence[Any], paths: Sequence[Path]) -> np.ndarray:
    """Return the milliseconds that an image spends in each transform."""
    seconds = np.zeros(len(transforms))
    for path in paths:
        sample: Any = dict(img_path=str(path), gt_label=0)
        for i, transform in enumerate(transforms):
            start = time.process_time()
            sample = transform(sample)
            seconds[i] += time.process_time() - start
    return 1e3 * seconds / len(paths)


def name_of(transform: Any) -> str:
    """Return the class of a transform; of a random choice that of its first candidate."""
    if isinstance(transform, RandomChoice):
        transform = transform.transforms[0].transforms[0]
    return type(transform).__name__


def workers_needed(images_per_s: float, batch: int, step_ms: float) -> int:
    """Return the workers per GPU that keep up with steps of ``step_ms`` on ``batch`` images."""
    return math.ceil(batch / (step_ms / 1e3) / images_per_s)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cv2.setNumThreads(0)  # as in a worker, by MMEngine's default
    init_default_scope('mmpretrain')
    with usage_errors(), tempfile.TemporaryDirectory() as folder:
        cfg = load_config(args.config, args.cfg_options)
        transforms = [TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline]
        paths = find_images(args.images) if args.images else write_photographs(Path(folder))
        size = sum(path.stat().st_size for path in paths) / len(paths)
        print(f'{len(paths)} files, {size / 1e3:.0f} kB on average')
        rounds = [time_transforms(transforms, paths * args.repeats) for _ in range(args.rounds + 1)]
    ms = np.array(rounds[1:])  # the first one warms up
    sums: dict[str, float] = {}
    for transform, median in zip(transforms, np.median(ms, 0), strict=True):
        sums[name_of(transform)] = sums.get(name_of(transform), 0.0) + float(median)
    rows: list[dict[str, Any]] = [{'transform': name, 'ms': t} for name, t in sums.items()]
    whole = ms.sum(1)
    rows.append({'transform': 'whole', 'ms': float(np.median(whole))})
    print_table(rows, 'one image in one worker, processor time')
    images_per_s = 1e3 / np.median(whole)
    print(f'{images_per_s:.0f} images/s, spread {np.ptp(whole) / np.median(whole):.0%}')
    if args.step_ms:
        count = workers_needed(images_per_s, args.batch_size, args.step_ms)
        print(f'{count} workers per GPU')


if __name__ == '__main__':
    main()
