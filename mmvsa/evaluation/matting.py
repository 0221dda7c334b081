"""Metrics of image matting by the definitions of P3M-Net (core/evaluate.py, eval.py).

mmagic has metrics of the same names and other definitions: its gradient and connectivity errors
are of the transition only, and the latter does not skip empty thresholds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmvsa.registry import METRICS

WHOLE = ('SAD', 'MSE', 'MAD')
REGIONS = ('SAD-T', 'MSE-T', 'MAD-T', 'SAD-FG', 'SAD-BG')
SLOW = ('GRAD', 'CONN')


def matte_errors(
    alpha: np.ndarray, target: np.ndarray, trimap: np.ndarray | None = None, *, fast: bool = False
) -> dict[str, float]:
    """Return the errors of one matte.

    Args:
        alpha: (H, W) float in 0 ... 1.
        target: Of the same shape.
        trimap: (H, W) uint8 of 0, 128, 255, or None: then without the metrics of its regions.
        fast: Leave GRAD and CONN out.

    SAD, SAD-*, and CONN are in thousands of pixels. MSE-T and MAD-T are NaN where the trimap has
    no transition and the matte differs inside its foreground or background.
    """
    # The thresholds of CONN depend on it: 153 / 255 is below 0.6 in float32 only.
    alpha, target = alpha.astype(np.float32), target.astype(np.float32)
    difference = np.abs(alpha - target)
    errors = {
        'SAD': difference.sum(dtype=float) / 1000,
        'MSE': np.square(difference).mean(dtype=float),
        'MAD': difference.mean(dtype=float),
    }
    if trimap is not None:
        errors |= _region_errors(alpha, target, trimap)
    if not fast:
        errors |= {
            'GRAD': gradient_error(alpha, target),
            'CONN': connectivity_error(alpha, target),
        }
    return {name: float(value) for name, value in errors.items()}


def _region_errors(alpha: np.ndarray, target: np.ndarray, trimap: np.ndarray) -> dict[str, float]:
    difference = np.abs(alpha - target)
    known = np.where(trimap == 255, np.float32(1), np.where(trimap == 0, np.float32(0), alpha))
    errors = np.abs(known - target)
    total, squares = errors.sum(dtype=float), np.square(errors).sum(dtype=float)
    count = int((trimap == 128).sum())
    return {
        'SAD-T': total / 1000,
        'MSE-T': _divide(squares, count),
        'MAD-T': _divide(total, count),
        'SAD-FG': difference[trimap == 255].sum(dtype=float) / 1000,
        'SAD-BG': difference[trimap == 0].sum(dtype=float) / 1000,
    }


def _divide(total: float, count: int) -> float:
    if count:
        return total / count
    return 0.0 if total == 0 else float('nan')


def gradient_error(alpha: np.ndarray, target: np.ndarray) -> float:
    """Return a tenth of the summed squared differences of the gradients' lengths."""
    return float(np.square(_slope(alpha) - _slope(target)).sum() / 10)


def _slope(alpha: np.ndarray, sigma: float = 1.4) -> np.ndarray:
    """Return the length of the gradient by derivatives of a Gaussian, 13 taps for sigma 1.4."""
    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    gauss = np.exp(-(x**2) / (2 * sigma**2))
    gauss /= gauss.sum()
    derivative = gauss * x / sigma**2
    alpha = alpha.astype(np.float64)
    both = ((derivative, gauss), (gauss, derivative))
    dx, dy = (cv2.sepFilter2D(alpha, -1, kx, ky, borderType=cv2.BORDER_REFLECT) for kx, ky in both)
    return np.hypot(dx, dy)


def connectivity_error(alpha: np.ndarray, target: np.ndarray, step: float = 0.1) -> float:
    """Return the summed difference of the degrees of connectedness, in thousands of pixels."""
    level = np.full(alpha.shape, -1.0)
    for threshold in np.arange(0, 1 + step, step)[1:]:
        both = ((alpha >= threshold) & (target >= threshold)).astype(np.uint8)
        if not both.any():
            continue
        labels, stats = cv2.connectedComponentsWithStats(both, connectivity=4)[1:3]
        largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
        level[(level == -1) & (labels != largest)] = threshold - step
    level[level == -1] = 1
    return float(np.abs(_connected(alpha, level) - _connected(target, level)).sum() / 1000)


def _connected(alpha: np.ndarray, level: np.ndarray) -> np.ndarray:
    distance = alpha - level
    return 1 - distance * (distance >= 0.15)


@METRICS.register_module()
class MattingMetric(BaseMetric):
    """Average :func:`matte_errors` over the images.

    The regions of the trimap are left out where a dataset has none; images whose trimap has no
    transition do not count for MSE-T and MAD-T, and a warning tells how many.

    Args:
        fast: Leave GRAD and CONN out.
        quantize: Round alphas down to 8 bits first, as the files that the official evaluation
            reads.
    """

    default_prefix = 'matting'

    def __init__(self, fast: bool = False, *, quantize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fast, self.quantize = fast, quantize

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Add the errors of each sample's ``pred_alpha`` (1, H, W)."""
        for sample in data_samples:
            alpha = sample['pred_alpha'][0].float().cpu().numpy()
            if self.quantize:
                alpha = np.floor(alpha * np.float32(255)) / np.float32(255)
            target = sample['gt_alpha'][0].cpu().numpy() / np.float32(255)
            trimap = sample['gt_trimap'][0].cpu().numpy() if 'gt_trimap' in sample else None
            self.results.append(matte_errors(alpha, target, trimap, fast=self.fast))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Return the mean of each metric over the images that have it."""
        means = {}
        for name in (*WHOLE, *REGIONS, *SLOW):
            values = np.array([errors[name] for errors in results if name in errors])
            undefined = int(np.isnan(values).sum())
            if undefined:
                text = f'{name} leaves out {undefined} of {len(values)} images: no transition'
                print_log(text, logger='current', level=30)
            if len(values) > undefined:
                means[name] = float(np.nanmean(values))
        return means
