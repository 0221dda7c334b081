"""Accuracy on the reassessed labels of ImageNet's validation set (ReaL, arXiv 2006.07159)."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmvsa.registry import METRICS

_IMAGE = re.compile(r'ILSVRC2012_val_(\d{8})\.JPEG')
_NO_LABEL = -1


@METRICS.register_module()
class ReaLAccuracy(BaseMetric):
    """Share of images, in percent, with one of their labels among the k highest scores.

    Annotators gave each validation image every label that fits; an image may have several or
    none. Those with none are left out, as in the paper and in timm.

    Args:
        real_json: the file ``real.json`` of github.com/google-research/reassessed-imagenet: a list
            whose entry i is the list of labels of the image ``ILSVRC2012_val_{i + 1:08d}.JPEG``.
        topk: the k of each accuracy.
        num_images: length of that list.
        collect_device: where processes put their results together, ``'cpu'`` or ``'gpu'``.
        prefix: of the names, ``real/top1`` by default.

    Raises:
        FileNotFoundError: there is no file at ``real_json``.
        ValueError: it is no list of ``num_images`` lists of labels; later, an image of another
            name, or fewer classes than the largest k.
    """

    default_prefix = 'real'

    def __init__(
        self,
        real_json: str | os.PathLike,
        topk: int | Sequence[int] = (1, 5),
        num_images: int = 50_000,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.labels = read_real_labels(real_json, num_images)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep, for each image of the batch, at which place its first right label comes.

        Args:
            data_batch: not used.
            data_samples: each with ``pred_score`` (number of classes,) and ``img_path``.
        """
        for sample in data_samples:
            labels = self._labels_of(sample['img_path'])
            self.results.append(self._first_hit(sample['pred_score'], labels))

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        """Percentages ``top{k}`` of the images with labels; nan if there is none."""
        places = np.array([place for place in results if place != _NO_LABEL])
        if not places.size:
            return {f'top{k}': float('nan') for k in self.topk}
        return {f'top{k}': 100 * float((places < k).mean()) for k in self.topk}

    def _labels_of(self, path: str) -> list[int]:
        match = _IMAGE.fullmatch(os.path.basename(path))
        if match is None or not 1 <= int(match[1]) <= len(self.labels):
            raise ValueError(
                f'ReaL has labels for ILSVRC2012_val_00000001.JPEG to '
                f'ILSVRC2012_val_{len(self.labels):08d}.JPEG, not for {path}'
            )
        return self.labels[int(match[1]) - 1]

    def _first_hit(self, scores: Any, labels: list[int]) -> int:
        """Place of the best right label among the highest scores (from 0), or past the last."""
        count = max(self.topk)
        if count > len(scores):
            raise ValueError(f'top-{count} accuracy needs more than {len(scores)} classes')
        if not labels:
            return _NO_LABEL
        best = scores.topk(count).indices.tolist()
        return next((place for place, label in enumerate(best) if label in labels), count)


def read_real_labels(path: str | os.PathLike, num_images: int) -> list[list[int]]:
    """The labels of every image in ``real.json``, see :class:`ReaLAccuracy`."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'no ReaL labels at {path}; they are real.json of '
            'https://github.com/google-research/reassessed-imagenet'
        )
    with open(path, encoding='utf-8') as file:
        labels = json.load(file)
    if not isinstance(labels, list) or not all(isinstance(entry, list) for entry in labels):
        raise ValueError(f'{path} is no list of lists of labels')
    if len(labels) != num_images:
        raise ValueError(f'{path} has labels of {len(labels)} images, expected {num_images}')
    return labels
