"""Steps of data pipelines."""

import warnings
from typing import Any

import cv2
import mmcv
import mmengine.fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile

from mmvsa.registry import TRANSFORMS

from .errors import DatasetError

_BYTE = 255
_COLOR_AND_DEPTH = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """Read the image from its file unless the dataset gives it in memory (``img``).

    Args:
        bits: Significant bits of images with 16 bits per channel, such as 12: their range becomes
            0 ... 255. By default 16; an image that uses 12 or fewer is warned of.
        kwargs: Those of mmcv's ``LoadImageFromFile``.

    Raises:
        DatasetError: A file cannot be read; the message names it.
        ValueError: ``bits`` is not from 8 to 16.
    """

    def __init__(self, *, bits: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if bits is not None and not 8 <= bits <= 16:
            raise ValueError(f'bits must be from 8 to 16, got {bits!r}')
        self.bits = bits

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add ``img``, (H, W, C) uint8, and its shape."""
        if 'img' in results:
            return results
        path = results['img_path']
        try:
            image = self._read(path)
        except (OSError, ValueError, AssertionError, cv2.error) as error:
            if self.ignore_empty:
                return None
            raise DatasetError(f'{path} cannot be read as an image: {_reason(error)}') from error
        if self.to_float32:
            image = image.astype(np.float32)
        results.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        return results

    def _read(self, path: str) -> np.ndarray:
        backend_args = self.backend_args or self.file_client_args
        content = mmengine.fileio.get(path, backend_args=backend_args)
        if not content:
            raise ValueError('it is empty')
        image = None
        if self.color_type == 'color' and self.imdecode_backend == 'cv2':
            # OpenCV drops the low bits of 16 without asking.
            image = mmcv.imfrombytes(content, flag=_COLOR_AND_DEPTH, backend='cv2')
            if image is not None and image.dtype == np.uint16:
                return self._to_bytes(image, path)
        if image is None or image.dtype != np.uint8:
            image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        if image is None:
            raise ValueError('no decoder reads it, or it is damaged')
        return image

    def _to_bytes(self, image: np.ndarray, path: str) -> np.ndarray:
        """Map 0 ... 2 ** bits - 1 to 0 ... 255."""
        used = int(image.max()).bit_length()
        if self.bits is None and 0 < used <= 12:
            warnings.warn(
                f'{path} uses {used} of 16 bits, of which {2 ** max(used - 8, 0)} levels are left; '
                f"keep more with dict(type='mmvsa.LoadImage', bits={max(used, 8)})",
                stacklevel=2,
            )
        top = 2 ** (self.bits or 16) - 1
        scaled = np.minimum(image, top) * (_BYTE / top)
        return np.rint(scaled).astype(np.uint8) if self.bits else (image >> 8).astype(np.uint8)


def _reason(error: Exception) -> str:
    """Return what went wrong, in one line without the path."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return ' '.join(str(error).split()) or type(error).__name__
