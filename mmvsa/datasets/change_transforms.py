"""Steps of pipelines of image pairs.

A pair is one image of six channels, the first image's first, so that the geometric transforms of
mmcv and mmseg (flips, crops, rotations, resizing) move both images and the change map together.
"""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs

from mmvsa.registry import TRANSFORMS

from .change_maps import read_change_map
from .errors import DatasetError
from .images import read_image


@TRANSFORMS.register_module()
class LoadImagePair(BaseTransform):
    """Read ``img_path`` and ``img_path2`` into ``img``, (H, W, 6), BGR each.

    Args:
        to_float32: convert to float32, for transforms that need it.

    Raises:
        DatasetError: a file is no image, or the two differ in size.
    """

    def __init__(self, to_float32: bool = False) -> None:
        self.to_float32 = to_float32

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read both images and stack their channels: ``img`` is (H, W, 6)."""
        images = [read_image(results[key]) for key in ('img_path', 'img_path2')]
        sizes = [image.shape[:2] for image in images]
        if sizes[0] != sizes[1]:
            raise DatasetError(
                f'a pair needs one size, but {results["img_path"]} has (height, width) {sizes[0]} '
                f'and {results["img_path2"]} {sizes[1]}'
            )
        pair = np.concatenate(images, axis=2)
        results['img'] = pair.astype(np.float32) if self.to_float32 else pair
        results['img_shape'] = results['ori_shape'] = sizes[0]
        return results


@TRANSFORMS.register_module()
class LoadChangeMap(LoadAnnotations):
    """Read ``seg_map_path`` into ``gt_seg_map``, (H, W): 1 where the file has 255, else 0."""

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        results['gt_seg_map'] = read_change_map(results['seg_map_path'])
        results['seg_fields'].append('gt_seg_map')


@TRANSFORMS.register_module()
class RandomRotate90(BaseTransform):
    """Rotate the pair and its map by 90, 180 or 270 degrees, each with the same probability.

    Args:
        prob: probability of any rotation; 0.75 gives all four orientations equally often.
    """

    def __init__(self, prob: float = 0.75) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be from 0 to 1, got {prob}')
        self.prob = prob

    @cache_randomness
    def _quarters(self) -> int:
        return np.random.randint(1, 4) if np.random.rand() < self.prob else 0

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Rotate ``img`` and the maps of ``seg_fields``."""
        quarters = self._quarters()
        for key in ('img', *results.get('seg_fields', [])):
            results[key] = np.ascontiguousarray(np.rot90(results[key], quarters))
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class RandomSwapImages(BaseTransform):
    """Exchange the images of a pair; what changed stays the same.

    Args:
        prob: probability of the exchange.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be from 0 to 1, got {prob}')
        self.prob = prob

    @cache_randomness
    def _swaps(self) -> bool:
        return np.random.rand() < self.prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Exchange the images, or not."""
        if self._swaps():
            first, second = np.split(results['img'], 2, axis=2)
            results['img'] = np.concatenate((second, first), axis=2)
        return results


@TRANSFORMS.register_module()
class EachImage(BaseTransform):
    """Apply transforms of plain images to each image of a pair, independently of the other.

    For changes of color and sharpness: they must keep the size.

    Args:
        transforms: configs of transforms that read and write ``img``, (H, W, 3).
    """

    def __init__(self, transforms: list[dict[str, Any]]) -> None:
        self.transforms = Compose(transforms)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Apply the transforms to each half of the channels of ``img``."""
        images = []
        for image in np.split(results['img'], 2, axis=2):
            changed = self.transforms(dict(img=np.ascontiguousarray(image)))['img']
            if changed.shape != image.shape:
                raise ValueError(
                    'mmvsa.EachImage is for transforms that keep the size of an image, but one '
                    f'made {changed.shape} of {image.shape}'
                )
            images.append(changed)
        results['img'] = np.concatenate(images, axis=2)
        return results


@TRANSFORMS.register_module()
class PackPairInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` that keeps the path of the second image too.

    Args:
        meta_keys: keys of the results that the ``SegDataSample`` keeps.
    """

    def __init__(
        self,
        meta_keys: tuple[str, ...] = (
            'img_path',
            'img_path2',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
        ),
    ) -> None:
        super().__init__(meta_keys=meta_keys)
