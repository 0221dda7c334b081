"""Score the plain difference of the images as a change detector: what a model has to beat.

A pixel counts as changed where the largest difference of its three channels exceeds a threshold,
the one with the best pooled F1 on the training set.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, init_default_scope
from mmengine.structures import PixelData

from mmvsa.utils import UsageError, load_config, usage_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file of a change detector')
    parser.add_argument('--data-root', help="folder of the dataset, instead of the config's")
    return parser.parse_args()


def build_dataset(cfg: Config, split: str) -> Any:
    """Build the dataset of a dataloader, loading pairs as the test does."""
    if not cfg.get(f'{split}_dataloader') or not cfg.get('test_dataloader'):
        raise UsageError(f'the config has no {split}_dataloader')
    settings = {**cfg[f'{split}_dataloader'].dataset}
    return DATASETS.build({**settings, 'pipeline': cfg.test_dataloader.dataset.pipeline})


def differences(dataset: Any) -> Iterator[tuple[torch.Tensor, Any]]:
    """Yield the difference of every pair, (H, W) uint8, with its data sample."""
    for index in range(len(dataset)):
        item = dataset[index]
        before, after = item['inputs'].int().chunk(2)
        yield (before - after).abs().amax(0).to(torch.uint8), item['data_samples']


def best_threshold(dataset: Any) -> int:
    """Return the threshold with the best pooled F1; pixels above it count as changed."""
    counts = np.zeros((2, 256), np.int64)  # unchanged and changed pixels of every difference
    for difference, sample in differences(dataset):
        changed = sample.gt_sem_seg.data[0] == 1
        for label in (0, 1):
            values = difference[changed == bool(label)].numpy()
            counts[label] += np.bincount(values, minlength=256)
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1] - counts  # pixels above each threshold
    scores = 2 * above[1] / np.maximum(above.sum(axis=0) + counts[1].sum(), 1)
    return int(scores.argmax())


def evaluate(dataset: Any, metric: Any, threshold: int) -> dict[str, float]:
    """Score the thresholded differences of a dataset with the config's metric."""
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for difference, sample in differences(dataset):
        sample.pred_sem_seg = PixelData(data=(difference > threshold).long()[None])
        evaluator.process([sample])
    return evaluator.evaluate(len(dataset))


def main() -> None:
    args = parse_args()
    with usage_errors():
        options = {'data_root': args.data_root} if args.data_root else {}
        cfg = load_config(args.config, options)
        init_default_scope(cfg.default_scope)
        threshold = best_threshold(build_dataset(cfg, 'train'))
        scores = evaluate(build_dataset(cfg, 'test'), cfg.test_evaluator, threshold)
    print(f'best threshold of the training set: {threshold} of 255')
    for name, value in scores.items():
        print(f'{name}: {value:.2f}')


if __name__ == '__main__':
    main()
