"""Cutting people and things out of images with a trained matting network."""

import math
import os

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmvsa.models import Mattor, load_complete
from mmvsa.visualization import GREEN, checkerboard, compose


def load_mattor(model: Mattor, checkpoint: str | os.PathLike, device: str = 'cpu') -> Mattor:
    """Load all weights of a matting network, for inference.

    Raises:
        CheckpointError: The file is unreadable, another model's, or of the encoder alone.
    """
    load_complete(model, checkpoint)
    return model.to(device).eval()


@torch.no_grad()
def predict_alpha(model: Mattor, image: np.ndarray) -> np.ndarray:
    """Return the alpha (H, W) float32 of an image (H, W, 3) uint8 in BGR, at its own size.

    ``model.test_cfg`` has the strategy and bounds the memory, see :class:`Mattor`.
    """
    inputs = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    sample = BaseDataElement(metainfo=dict(ori_shape=image.shape[:2]))
    (result,) = model.test_step(dict(inputs=[inputs], data_samples=[sample]))
    return result.pred_alpha[0].float().cpu().numpy()


def cut_out(
    model: Mattor, image: np.ndarray, background: str | np.ndarray | None = None
) -> np.ndarray:
    """Cut the foreground out of an image.

    Args:
        model: With weights, see :func:`load_mattor`.
        image: (H, W, 3) uint8 in BGR.
        background: ``'green'``, ``'checker'``, or an image that is scaled to cover (H, W).

    Returns:
        Without a background (H, W, 4) uint8: BGR that is not multiplied by alpha, and alpha.
        Else the composed image, (H, W, 3) uint8 in BGR.
    """
    alpha = predict_alpha(model, image)
    foreground = estimate_foreground(image, alpha)
    if background is None:
        return np.dstack((foreground, np.floor(alpha * 255).astype(np.uint8)))
    return compose(foreground, alpha, _background(background, alpha.shape))


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Remove the background's color from soft pixels (blur fusion, arXiv 2006.14970).

    Args:
        image: (H, W, 3) uint8.
        alpha: (H, W) float32.

    Returns:
        The foreground of the same shape and type; opaque pixels stay as they are.
    """
    alpha, colors = alpha[..., None], image.astype(np.float32)
    foreground = background = colors
    for size in (90, 6):
        weight = cv2.blur(alpha, (size, size))[..., None]
        foreground = cv2.blur(foreground * alpha, (size, size)) / (weight + 1e-5)
        background = cv2.blur(background * (1 - alpha), (size, size)) / (1 - weight + 1e-5)
        rest = colors - alpha * foreground - (1 - alpha) * background
        foreground = np.clip(foreground + alpha * rest, 0, 255)
    return np.rint(foreground).astype(np.uint8)


def _background(background: str | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    if isinstance(background, str):
        if background == 'green':
            return np.full((height, width, 3), GREEN, np.uint8)
        if background == 'checker':
            return checkerboard(height, width)
        raise ValueError(f"background must be 'green', 'checker' or an image, got {background!r}")
    scale = max(height / background.shape[0], width / background.shape[1])
    covering = (math.ceil(length * scale) for length in background.shape[1::-1])
    scaled = cv2.resize(background, tuple(covering), interpolation=cv2.INTER_AREA)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]
