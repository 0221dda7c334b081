"""The photographs that scikit-image's wheel carries, as material of synthetic images."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np


@cache
def read_photograph(name: str) -> np.ndarray:
    """Read a file of scikit-image's data folder, (H, W, 3) uint8, BGR.

    Raises:
        ImportError: scikit-image is not installed.
        FileNotFoundError: It has no such file.
    """
    try:
        import skimage
    except ImportError as error:
        raise ImportError(
            'generated images need scikit-image; install it with "pip install scikit-image"'
        ) from error
    path = Path(skimage.__file__).parent / 'data' / name
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(
            f'scikit-image has no {path}; use a version that has it, such as 0.26'
        )
    return image


def random_part(rng: np.random.RandomState, photograph: np.ndarray, size: int) -> np.ndarray:
    """Return a square of at least 0.4 of the shorter side, scaled and often mirrored.

    Args:
        rng: What chooses it.
        photograph: (H, W, 3), uint8 or float32.
        size: Side of the part in pixels.

    Returns:
        (size, size, 3), of the photograph's type.
    """
    side = int(rng.uniform(0.4, 1.0) * min(photograph.shape[:2]))
    top, left = (rng.randint(length - side + 1) for length in photograph.shape[:2])
    part = photograph[top : top + side, left : left + side]
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    part = cv2.resize(part, (size, size), interpolation=interpolation)
    return np.ascontiguousarray(part[:, ::-1]) if rng.rand() < 0.5 else part
