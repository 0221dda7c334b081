"""Checks of arguments: what they return and what their errors say."""

import numpy as np
import pytest

from mmvsa.models import checks


@pytest.mark.parametrize(
    ('check', 'value', 'expected'),
    [
        (checks.check_int, np.int64(3), 3),
        (checks.check_number, 2, 2.0),
        (checks.check_rate, 0, 0.0),
        (checks.check_bool, False, False),
        (checks.check_ints, [1, 2], (1, 2)),
    ],
)
def test_right_values_come_back_as_plain_ones(check, value, expected) -> None:
    result = check('name', value)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ('check', 'value', 'error', 'message'),
    [
        (checks.check_int, 0, ValueError, 'name must be at least 1, got 0'),
        (checks.check_int, True, TypeError, 'name must be an integer, got True'),
        (checks.check_int, 2.0, TypeError, 'name must be an integer, got 2.0'),
        (checks.check_number, float('nan'), ValueError, 'name must be a finite number at least 0'),
        (checks.check_number, '1', TypeError, "name must be a number, got '1'"),
        (checks.check_rate, 1.0, ValueError, r'name must be in \[0, 1\), got 1.0'),
        (checks.check_bool, 1, TypeError, 'name must be True or False, got 1'),
        (checks.check_ints, (), ValueError, 'name must have at least one entry'),
        (checks.check_ints, (1, 0), ValueError, r'name\[1\] must be at least 1, got 0'),
        (checks.check_ints, '12', TypeError, "name must be a sequence of integers, got '12'"),
    ],
)
def test_wrong_values_are_named(check, value, error, message) -> None:
    with pytest.raises(error, match=message):
        check('name', value)


def test_choices_are_compared_by_type_too() -> None:
    assert checks.check_choice('name', None, ('a', None)) is None
    for value in (True, 1.0, 'b', ()):
        with pytest.raises(ValueError, match=r"name must be one of \['a', 1\], got"):
            checks.check_choice('name', value, ('a', 1))


def test_sides_are_squares() -> None:
    assert checks.check_side('img_size', 512) == checks.check_side('img_size', (512, 512)) == 512
    for value, error in (((512, 256), ValueError), ((512,), ValueError), ('512', TypeError)):
        with pytest.raises(error, match='img_size must be'):
            checks.check_side('img_size', value)
