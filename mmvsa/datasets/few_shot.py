"""A few images of every class, for training on little data."""

from typing import Any

import numpy as np
from mmpretrain.datasets.base_dataset import BaseDataset

from mmvsa.registry import DATASETS

from .errors import DatasetError
from .held_out import held_out_indices


@DATASETS.register_module(name='FewShot')
def few_shot(dataset: dict[str, Any], *, fraction: float, seed: int = 0) -> BaseDataset:
    """Build a dataset of single labels and keep a random share of every class.

    The same seed chooses the same images on every machine. Classes get their shares by the
    largest remainder, so that the whole is ``fraction`` of all images, rounded up.

    Args:
        dataset: Config of the dataset.
        fraction: Share of the images, above 0 and up to 1.
        seed: Chooses the images.

    Returns:
        The dataset itself, shortened.

    Raises:
        DatasetError: ``fraction`` is no number in (0, 1], or a class would have no image; the
            message names it.
    """
    is_number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not is_number or not 0 < fraction <= 1:
        raise DatasetError(f'fraction must be a number above 0 and up to 1, got {fraction!r}')
    source = DATASETS.build(dataset)
    source.full_init()
    labels = source.get_gt_labels()
    chosen = held_out_indices(labels, 'test', fraction, seed=seed)
    missing = np.setdiff1d(labels, labels[chosen])
    if missing.size:
        label = int(missing[0])
        name = source.CLASSES[label] if source.CLASSES else label
        raise DatasetError(
            f'fraction={fraction} leaves no image of {missing.size} classes, such as {name!r}, '
            f'which has {int((labels == label).sum())}; choose a larger fraction'
        )
    source.get_subset_(chosen.tolist())
    return source
