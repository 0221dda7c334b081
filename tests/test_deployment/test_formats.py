"""Formats: what is missing, what is compared."""

import math
from pathlib import Path

import numpy as np
import pytest

from mmvsa.deployment.formats import FORMATS, Format, relative_difference
from mmvsa.utils import UsageError


def test_a_missing_package_is_named_with_what_to_install():
    absent = Format('a', '.a', ('numpy', 'no_such_runtime'), *[None] * 3)
    message = (
        'format a needs no_such_runtime, which is not installed; '
        r"run pip install 'mmvsa\[export\]', or pip install no_such_runtime"
    )
    with pytest.raises(UsageError, match=message):
        absent.check(Path('b.a'))


def test_suffixes_differ():
    assert len({found.suffix for found in FORMATS.values()}) == len(FORMATS)
    FORMATS['torch'].check(Path('b.pt2'))
    with pytest.raises(UsageError, match='ends with .pt2, got b.pth'):
        FORMATS['torch'].check(Path('b.pth'))


def test_relative_difference():
    """Over the largest value of each output; the largest counts."""
    expected = [np.array([1.0, -4.0]), np.array([10.0])]
    outputs = [np.array([1.0, -3.0]), np.array([11.0])]
    assert relative_difference(outputs, expected) == pytest.approx(0.25)
    assert relative_difference(expected, expected) == 0
    nothing = [np.zeros(3)]
    assert relative_difference(nothing, nothing) == 0


@pytest.mark.parametrize('side', [0, 1])
def test_nan_is_an_infinite_difference(side):
    pair = np.ones((2, 1, 2))
    pair[side, 0, 1] = math.nan
    assert relative_difference(*map(list, pair)) == math.inf


def test_other_shapes_are_an_error():
    with pytest.raises(ValueError, match=r'shapes \[\(2,\)\], the model has \[\(3,\)\]'):
        relative_difference([np.ones(2)], [np.ones(3)])
