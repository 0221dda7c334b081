"""Pairs of images for tests of change detection."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData

from mmvsa.datasets.images import write_image


def write_pairs(folder: Path, count: int = 2, size: int = 64, suffix: str = '.png') -> Path:
    """Write ``count`` random pairs with a changed square to ``folder/{A,B,OUT}``."""
    rng = np.random.default_rng(0)
    for name in ('A', 'B', 'OUT'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        before = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        after, changed = before.copy(), np.zeros((size, size), np.uint8)
        after[: size // 2, : size // 4] = rng.integers(0, 256, 3)
        changed[: size // 2, : size // 4] = 255
        for name, image in (('A', before), ('B', after), ('OUT', changed)):
            write_image(folder / name / f'{index}{suffix}', image)
    return folder


def write_dataset(root: Path, count: int = 2, size: int = 64, suffix: str = '.png') -> Path:
    """Write a dataset with all three splits."""
    for split in ('train', 'val', 'test'):
        write_pairs(root / split, count, size, suffix)
    return root


def sample(changed: torch.Tensor, predicted: torch.Tensor | None = None, **meta: Any) -> Any:
    """A data sample with a map (H, W) of truth and perhaps one of a prediction."""
    from mmseg.structures import SegDataSample

    size = tuple(changed.shape)
    data_sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, **meta))
    data_sample.gt_sem_seg = PixelData(data=changed[None].long())
    if predicted is not None:
        data_sample.pred_sem_seg = PixelData(data=predicted[None].long())
    return data_sample
