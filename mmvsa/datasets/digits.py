"""The 1,797 handwritten digits that come with scikit-learn: a dataset without a download."""

from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset

from mmvsa.registry import DATASETS

from .held_out import held_out_indices, load_digits


@DATASETS.register_module()
class Digits(BaseDataset):
    """8x8 images of ten digits, in memory: 1,437 to train, 360 held out (a fixed split).

    They are the test set of the UCI dataset "Optical Recognition of Handwritten Digits". A
    sample has ``img``, (8, 8, 3) uint8, so that a pipeline needs no loading step (or
    ``mmvsa.LoadImage``, which leaves it alone).

    Args:
        split: ``'train'`` or ``'test'``.
        kwargs: those of mmpretrain's ``BaseDataset``, such as ``pipeline``.
    """

    METAINFO = {'classes': tuple('0123456789')}
    # What the tools use instead when a user names a folder (``data_root``).
    folder_type = 'mmvsa.FolderSplit'

    def __init__(self, split: str = 'train', **kwargs: Any) -> None:
        self.split = split
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a dict with ``img`` and ``gt_label`` for each sample of the split."""
        images, labels = load_digits()
        gray = np.rint(images * (255 / 16)).astype(np.uint8)
        images = np.repeat(gray[..., None], 3, axis=-1)
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
        """Name the split."""
        return [f'Split: \t{self.split}']
