"""The 1,797 handwritten digits that come with scikit-learn: a real data set without a download."""

from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset

from mmvsa.registry import DATASETS

from .held_out import held_out_indices


@DATASETS.register_module()
class Digits(BaseDataset):
    """8x8 images of ten digits, in memory: 1,437 to train, 360 held out (a fixed split).

    They are the test set of the UCI data set "Optical Recognition of Handwritten Digits". A
    sample has ``img``, (8, 8, 3) uint8, so that a pipeline needs no loading step (or
    ``mmvsa.LoadImage``, which leaves it alone).

    Args:
        split: ``'train'`` or ``'test'``.
        kwargs: those of mmpretrain's ``BaseDataset``, such as ``pipeline``.
    """

    METAINFO = {'classes': tuple('0123456789')}

    def __init__(self, split: str = 'train', **kwargs: Any) -> None:
        self.split = split
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict with ``img`` and ``gt_label`` per sample of the split."""
        images, labels = _load_digits()
        indices = held_out_indices(labels, self.split)  # type: ignore[arg-type]
        return [
            dict(
                img=images[i],
                gt_label=int(labels[i]),
                ori_shape=images[i].shape[:2],
                img_shape=images[i].shape[:2],
            )
            for i in indices
        ]

    def extra_repr(self) -> list[str]:
        return [f'Split: \t{self.split}']


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 8, 8, 3) uint8 and labels (1797,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'mmvsa.Digits needs scikit-learn; install it with "pip install scikit-learn"'
        ) from error
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # pixels are 0 ... 16
    return np.repeat(grey[..., None], 3, axis=-1), digits.target
