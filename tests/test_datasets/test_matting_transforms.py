"""Transforms of matting: trimaps of the official implementation, samples that stay together."""

import cv2
import numpy as np
import pytest
from helpers.reference import ROOT

from mmvsa.datasets.matting_transforms import (
    GenerateTrimap,
    PackMatte,
    RandomMatteFlip,
    RandomTransitionCrop,
    generate_trimap,
)


def disk(height: int = 40, width: int = 50) -> np.ndarray:
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), min(height, width) // 3, 255, -1)
    return cv2.blur(alpha, (3, 3))


@pytest.mark.parametrize('size', [1, 2, 10, 15, 16, 22, 29, 30])
def test_trimaps_agree(size: int) -> None:
    with np.load(ROOT / 'matting_trimaps.npz') as stored:
        assert (generate_trimap(stored['alpha'], size) == stored[f'kernel_{size}']).all()


def results(shape: tuple[int, int] = (40, 50), alpha: np.ndarray | None = None) -> dict:
    alpha = disk(*shape) if alpha is None else alpha
    image = np.dstack([alpha] * 3)
    return dict(img=image, alpha=alpha, trimap=generate_trimap(alpha, 3), foreground=image)


@pytest.mark.parametrize('shape', [(40, 50), (1, 1), (300, 7)])
@pytest.mark.parametrize('value', [None, 0, 255])
def test_crop_keeps_everything_together(shape: tuple, value: int | None) -> None:
    alpha = None if value is None else np.full(shape, value, np.uint8)
    for _ in range(5):
        out = RandomTransitionCrop((8, 16), out=24)(results(shape, alpha))
        assert out['img'].shape == (24, 24, 3) and out['alpha'].shape == (24, 24)
        assert (out['img'][..., 0] == out['alpha']).all()
        assert (out['foreground'] == out['img']).all()
        assert set(np.unique(out['trimap'])) <= {0, 128, 255}


def test_crop_around_the_transition() -> None:
    alpha = np.zeros((200, 200), np.uint8)
    alpha[150, 60] = 100
    crop = RandomTransitionCrop((16,), out=16, prob=1.0)
    assert all((crop(results(alpha=alpha))['alpha'] == 100).any() for _ in range(10))


def test_a_crop_as_large_as_the_image_gives_way() -> None:
    """To the first size, so that 40 of a 40 x 50 image is cut to 8."""
    alpha = np.arange(2000, dtype=np.uint32).reshape(40, 50) // 50 * 6  # a value for each row
    crop = RandomTransitionCrop((8, 40), out=8)
    rows = {len(np.unique(crop(results(alpha=alpha.astype(np.uint8)))['alpha'])) for _ in range(20)}
    assert rows == {8}


def test_flip() -> None:
    data = results()
    out = RandomMatteFlip(1.0)(dict(data))
    assert all((out[key] == data[key][:, ::-1]).all() for key in data)
    assert all((RandomMatteFlip(0.0)(dict(data))[key] == data[key]).all() for key in data)
    assert PackMatte()(out)['inputs'].shape == (3, 40, 50)


def test_random_kernels_include_both_ends() -> None:
    step, seen = GenerateTrimap((2, 3)), set()
    for _ in range(30):
        data = dict(alpha=disk())
        seen.add(int((step(data)['trimap'] == 128).sum()))
    assert seen == {int((generate_trimap(disk(), size) == 128).sum()) for size in (2, 3)}
    with pytest.raises(ValueError, match='kernel_size'):
        GenerateTrimap((5, 3))
