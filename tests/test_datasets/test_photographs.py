"""Parts of photographs."""

import sys

import numpy as np
import pytest

from mmvsa.datasets.photographs import random_part, read_photograph


def test_photographs_are_in_color() -> None:
    for name, shape in {'camera.png': (512, 512, 3), 'rocket.jpg': (427, 640, 3)}.items():
        photograph = read_photograph(name)
        assert photograph.shape == shape and photograph.dtype == np.uint8
    sky = read_photograph('rocket.jpg')[:100].mean((0, 1))
    assert sky[0] > sky[2], 'BGR: the sky is blue'


def test_a_missing_photograph_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r'has no .*nosuch\.png; use a version'):
        read_photograph('nosuch.png')


def test_without_scikit_image_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'skimage', None)
    with pytest.raises(ImportError, match='pip install scikit-image'):
        read_photograph('another.png')


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_parts(dtype: type) -> None:
    """Each is a square of 0.4 to 1 of the shorter side, in the photograph, mirrored half the time.

    A ramp tells: pixels have their column as value.
    """
    ramp = np.broadcast_to(np.arange(200, dtype=dtype)[None, :, None], (100, 200, 3))
    rng = np.random.RandomState(0)
    parts = [random_part(rng, ramp, 50) for _ in range(60)]
    assert all(part.shape == (50, 50, 3) and part.dtype == dtype for part in parts)
    rises = [float(part[0, -1, 0]) - float(part[0, 0, 0]) for part in parts]
    assert 20 < sum(rise < 0 for rise in rises) < 40
    assert min(map(abs, rises)) > 35 and 90 < max(map(abs, rises)) <= 100
