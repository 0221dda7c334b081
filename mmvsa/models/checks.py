"""Checks of constructor arguments: each returns the value or raises an error that names it."""

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any


def check_int(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return ``value`` as an int within [minimum, maximum].

    Raises:
        TypeError: ``value`` is no integer.
        ValueError: ``value`` is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f'{name} must be an integer, got {value!r}')
    number = int(value)
    if number < minimum or (maximum is not None and number > maximum):
        limit = f'at least {minimum}' if maximum is None else f'from {minimum} to {maximum}'
        raise ValueError(f'{name} must be {limit}, got {number}')
    return number


def check_number(name: str, value: Any, *, minimum: float = 0.0, exclusive: bool = False) -> float:
    """Return ``value``, a finite number that is at least (or, if exclusive, above) ``minimum``.

    Raises:
        TypeError: ``value`` is no number.
        ValueError: ``value`` is too small or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f'{name} must be a number, got {value!r}')
    number = float(value)
    if not math.isfinite(number) or number < minimum or (exclusive and number == minimum):
        limit = f'above {minimum:g}' if exclusive else f'at least {minimum:g}'
        raise ValueError(f'{name} must be a finite number {limit}, got {value}')
    return number


def check_rate(name: str, value: Any) -> float:
    """Return ``value``, a drop rate in [0, 1).

    Raises:
        TypeError: ``value`` is no number.
        ValueError: ``value`` is outside [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f'{name} must be a number, got {value!r}')
    number = float(value)
    if not 0 <= number < 1:
        raise ValueError(f'{name} must be in [0, 1), got {value}')
    return number


def check_bool(name: str, value: Any) -> bool:
    """Return ``value``, True or False.

    Raises:
        TypeError: ``value`` is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f'{name} must be True or False, got {value!r}')
    return value


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ValueError: ``value`` is none of them; the message lists them.
    """
    known = list(choices)
    if not any(type(value) is type(choice) and value == choice for choice in known):
        raise ValueError(f'{name} must be one of {known}, got {value!r}')
    return value


def check_ints(name: str, value: Any, *, minimum: int = 1) -> tuple[int, ...]:
    """Return a non-empty sequence of integers as a tuple.

    Raises:
        TypeError: ``value`` is no sequence of integers.
        ValueError: ``value`` is empty or an entry is too small.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f'{name} must be a sequence of integers, got {value!r}')
    if not value:
        raise ValueError(f'{name} must have at least one entry')
    return tuple(check_int(f'{name}[{i}]', item, minimum=minimum) for i, item in enumerate(value))


def check_side(name: str, value: Any) -> int:
    """Return the side of a square: an integer, or a pair of the same one as other toolboxes write.

    Raises:
        TypeError: ``value`` is neither an integer nor a pair of integers.
        ValueError: The square is not positive, or no square.
    """
    if not isinstance(value, (tuple, list)):
        return check_int(name, value)
    sides = check_ints(name, value)
    if len(sides) != 2 or sides[0] != sides[1]:
        raise ValueError(
            f'{name} must be one side or a square (side, side), got {value!r}; inputs of any other '
            'size are taken all the same'
        )
    return sides[0]


def check_divides(divisor_name: str, divisor: int, name: str, value: int) -> None:
    """Raise ValueError unless ``divisor`` divides ``value``; the message names both."""
    if value % divisor:
        raise ValueError(f'{divisor_name}={divisor} does not divide {name}={value}')
