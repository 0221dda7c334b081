"""Precision, recall, F1 and IoU of the class "changed"."""

import logging
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric

from mmvsa.registry import METRICS

_CHANGED = 1


@METRICS.register_module()
class ChangeMetric(IoUMetric):
    """Precision, recall, F1 and IoU of the changed pixels, in percent, counted in two ways.

    ``precision``, ``recall``, ``F1`` and ``IoU`` are pooled: one count of pixels over the whole
    set, as in ``eval.py`` of ViTAE-Transformer/RSP and in most papers. ``batch_precision``,
    ``batch_recall``, ``batch_F1`` and ``batch_IoU`` are means over batches of consecutive pairs, as
    in its ``train.py``; the figures that its paper states are of this kind, and lower. A ratio
    without a denominator counts as 0, as there: a batch without changes lowers the mean.

    Args:
        batch_size: pairs per batch of the second kind, whatever the dataloader's is. The official
            figures are of batches of 8.
        ignore_index: label of the pixels that do not count.
        output_dir: folder for the predictions, one PNG of 0 and 1 per pair.
        format_only: write the predictions and compute nothing.
        collect_device: where processes put their results together, ``'cpu'`` or ``'gpu'``.
        prefix: of the names, ``change`` by default.
    """

    default_prefix = 'change'

    def __init__(
        self,
        batch_size: int = 8,
        *,
        ignore_index: int = 255,
        output_dir: str | None = None,
        format_only: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        super().__init__(
            ignore_index=ignore_index,
            output_dir=output_dir,
            format_only=format_only,
            collect_device=collect_device,
            prefix=prefix,
        )
        self.batch_size = batch_size

    def compute_metrics(self, results: list[tuple[Any, ...]]) -> dict[str, float]:
        """Compute both kinds from the areas of every pair, in the order of the dataset.

        Args:
            results: per pair the areas of intersection, union, prediction and truth, one entry
                per class each.
        """
        if self.format_only:
            return super().compute_metrics(results)
        areas = np.array([[float(area[_CHANGED]) for area in areas] for areas in results])
        if not areas[:, 3].any():
            print_log(
                'no pair has a changed pixel: precision, recall, F1 and IoU are 0 whatever the '
                'predictions are',
                logger='current',
                level=logging.WARNING,
            )
        pooled = change_scores(areas.sum(axis=0))
        starts = range(0, len(areas), self.batch_size)
        batches = [change_scores(areas[i : i + self.batch_size].sum(axis=0)) for i in starts]
        means = {f'batch_{k}': float(np.mean([b[k] for b in batches])) for k in pooled}
        return {**pooled, **means}


def change_scores(areas: np.ndarray) -> dict[str, float]:
    """Compute the scores of one count of pixels, in percent.

    Args:
        areas: pixels of intersection, union, prediction and truth of the class "changed".

    Returns:
        ``precision``, ``recall``, ``F1`` and ``IoU``; 0 where the denominator is 0.
    """
    intersection, union, predicted, true = (float(area) for area in areas)
    return {
        'precision': _percent(intersection, predicted),
        'recall': _percent(intersection, true),
        'F1': _percent(2 * intersection, predicted + true),
        'IoU': _percent(intersection, union),
    }


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0
