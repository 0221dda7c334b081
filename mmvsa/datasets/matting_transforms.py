"""Transforms of image matting: everything of a sample is cropped, resized and flipped together.

A sample holds ``img``, ``foreground`` and ``background`` (H, W, 3) uint8 in BGR and ``alpha`` and
``trimap`` (H, W) uint8, the trimap of 0 (background), 128 (transition) and 255 (foreground).
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement

from mmvsa.registry import TRANSFORMS

from .errors import DatasetError
from .images import read_image

MATTE_KEYS = ('img', 'alpha', 'trimap', 'foreground', 'background')


def generate_trimap(alpha: np.ndarray, kernel_size: int) -> np.ndarray:
    """Return the trimap whose transition is everything within half a kernel of a soft pixel.

    Args:
        alpha: (H, W) uint8.
        kernel_size: Of the elliptic kernel that dilates ``alpha > 0`` and erodes ``alpha == 255``.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (kernel_size, kernel_size))
    outer = cv2.dilate((alpha > 0).astype(np.uint8), kernel)
    inner = cv2.erode((alpha == 255).astype(np.uint8), kernel)
    return np.where(inner, 255, np.where(outer, 128, 0)).astype(np.uint8)


def make_ternary(trimap: np.ndarray) -> np.ndarray:
    """Return 0 below 50, 255 above 180, and 128 between, after an interpolation."""
    return np.where(trimap > 180, 255, np.where(trimap < 50, 0, 128)).astype(np.uint8)


@TRANSFORMS.register_module()
class LoadMatte(BaseTransform):
    """Read the files ``{key}_path`` of a sample; of mattes with three channels the first (red)."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add :data:`MATTE_KEYS` and ``ori_shape``.

        Raises:
            DatasetError: A file cannot be decoded, or differs in size from the image.
        """
        for key in MATTE_KEYS:
            path = results.get(f'{key}_path')
            if path is None:
                continue
            image = read_image(path)
            results[key] = image[..., 2] if key in ('alpha', 'trimap') else image
            if image.shape[:2] != results['img'].shape[:2]:
                sizes = [f'{w} x {h}' for h, w in (image.shape[:2], results['img'].shape[:2])]
                raise DatasetError(
                    f'{path} is {sizes[0]}, but its image {results["img_path"]} is {sizes[1]}; '
                    'both must have the same size'
                )
        if 'trimap' in results:
            results['trimap'] = make_ternary(results['trimap'])
        results['ori_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class GenerateTrimap(BaseTransform):
    """Make a trimap of the alpha, unless the dataset has one.

    Args:
        kernel_size: Of the kernel, or (smallest, largest) of a random one, both included.
    """

    def __init__(self, kernel_size: int | tuple[int, int] = (15, 30)) -> None:
        low, high = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
        if not 1 <= low <= high:
            raise ValueError(f'kernel_size must be positive, the smallest first; got {kernel_size}')
        self.low, self.high = low, high

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``trimap``."""
        if 'trimap' not in results:
            size = np.random.randint(self.low, self.high + 1)
            results['trimap'] = generate_trimap(results['alpha'], size)
        return results


@TRANSFORMS.register_module()
class RandomTransitionCrop(BaseTransform):
    """Cut a random square, often around a transition pixel, and resize it.

    Args:
        sizes: Sides of the square, each as likely; one that is not smaller than the image's
            shorter side gives way to the first, and that to the shorter side.
        out: Side after resizing.
        prob: Of a center in the transition; otherwise, and without a transition, anywhere.
    """

    def __init__(
        self, sizes: Sequence[int] = (512, 768, 1024), out: int = 512, prob: float = 0.5
    ) -> None:
        self.sizes, self.out, self.prob = tuple(sizes), out, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop and resize everything; the trimap stays ternary."""
        shape = results['img'].shape[:2]
        side = np.random.choice(self.sizes)
        side = min(side if side < min(shape) else self.sizes[0], *shape)
        center = self._center(results['trimap'])
        top, left = (
            int(np.clip(position - side // 2, 0, length - side))
            for position, length in zip(center, shape, strict=True)
        )
        for key in MATTE_KEYS:
            if key in results:
                part = results[key][top : top + side, left : left + side]
                results[key] = cv2.resize(part, (self.out, self.out))
        results['trimap'] = make_ternary(results['trimap'])
        return results

    def _center(self, trimap: np.ndarray) -> tuple[int, int]:
        if np.random.rand() < self.prob:
            transition = np.flatnonzero(trimap == 128)
            if len(transition):
                return np.divmod(np.random.choice(transition), trimap.shape[1])
        return np.random.randint(trimap.shape[0]), np.random.randint(trimap.shape[1])


@TRANSFORMS.register_module()
class RandomMatteFlip(BaseTransform):
    """Mirror everything horizontally with probability ``prob``."""

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Flip or return the sample as it is."""
        if np.random.rand() < self.prob:
            results.update({k: results[k][:, ::-1] for k in MATTE_KEYS if k in results})
        return results


@TRANSFORMS.register_module()
class PackMatte(BaseTransform):
    """Make tensors, all uint8: ``inputs`` (3, H, W) and ``data_samples``.

    A sample has ``gt_alpha`` and ``gt_trimap`` (1, H, W) and, if the dataset has them,
    ``gt_foreground`` and ``gt_background`` (3, H, W). A model adds ``pred_alpha``, float32.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples``."""
        sample = BaseDataElement(
            metainfo={k: results[k] for k in ('img_path', 'ori_shape') if k in results}
        )
        for key in MATTE_KEYS[1:]:
            if key in results:
                sample.set_data({f'gt_{key}': _to_tensor(results[key])})
        return dict(inputs=_to_tensor(results['img']), data_samples=sample)


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, 3) -> (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.atleast_3d(image), -1, 0)))
