"""Losses of P3M-Net (arXiv 2104.14222, equations as in core/train.py of JizhiziLi/P3M).

Alphas are (N, 1, H, W) in 0 ... 1; a mask of the same shape is 1 where a pixel counts.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-12


def _robust_l1(difference: Tensor) -> Tensor:
    return (difference.square() + _EPSILON).sqrt()


def alpha_loss(alpha: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean absolute error, with a mask its sum over the mask's pixels plus one.

    The sum runs over all pixels, as in the official implementation: each pixel outside the mask
    adds ``sqrt(1e-12)``.
    """
    if mask is None:
        return _robust_l1(alpha - target).mean()
    return _robust_l1((alpha - target) * mask).sum() / (mask.sum() + 1)


def laplacian_loss(
    alpha: Tensor, target: Tensor, mask: Tensor | None = None, *, levels: int = 5
) -> Tensor:
    """Return the sum over Laplacian pyramid levels of the mean absolute difference.

    Args:
        alpha: (N, 1, H, W); both sides must be at least ``2 ** levels``.
        target: Of the same shape.
        mask: Multiplies both before the pyramids are built.
        levels: How often the map is halved; the remaining map is one more level.

    Raises:
        ValueError: A side is shorter than ``2 ** levels``.
    """
    if min(alpha.shape[-2:]) < 2**levels:
        raise ValueError(
            f'a pyramid of {levels} levels needs sides of at least {2**levels} pixels, '
            f'got {tuple(alpha.shape[-2:])}; crop larger or use fewer levels'
        )
    if mask is not None:
        alpha, target = alpha * mask, target * mask
    difference = alpha - target  # every step below is linear
    kernel = laplacian_kernel().to(difference)
    loss = difference.new_zeros(())
    for _ in range(levels):
        smooth = F.conv2d(F.pad(difference, (2, 2, 2, 2), mode='replicate'), kernel)
        loss = loss + (difference - smooth).abs().mean()
        difference = F.avg_pool2d(smooth, 2)
    return loss + difference.abs().mean()


def laplacian_kernel() -> Tensor:
    """Return the (1, 1, 5, 5) smoothing kernel: the sum, not the product, of two Gaussians."""
    axis = torch.exp(-(torch.arange(5.0) - 2).square())
    kernel = axis[:, None] + axis
    return (kernel / kernel.sum())[None, None]


def composition_loss(
    alpha: Tensor, foreground: Tensor, background: Tensor, image: Tensor
) -> Tensor:
    """Return the error of the recomposed image: mean over pixels, sum over channels.

    Args:
        alpha: (N, 1, H, W).
        foreground: (N, 3, H, W), normalized as the image is.
        background: (N, 3, H, W), normalized as the image is.
        image: (N, 3, H, W).
    """
    composed = alpha * foreground + (1 - alpha) * background
    return _robust_l1(composed - image).sum(1).mean()
