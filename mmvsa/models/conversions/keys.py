"""Rename the keys of a state dict by a table: rows of patterns that apply one after the other.

A pattern is a whole key with placeholders. The target of a row takes them over in their order:

- ``*``: any text, possibly none;
- ``{i}``: a number; ``{i+1}`` in a source: a number that is larger by one than ``i``;
- ``{q,k}``: one of several words; a target has as many, and takes the one at the same place.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

StateDict = dict[str, Tensor]

_PLACEHOLDER = re.compile(r'\{[^{}]+\}|\*')


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or belongs to another model."""


@dataclass(frozen=True)
class Row:
    """One row of a key table.

    Attributes:
        official: pattern of keys of the official implementation.
        mmvsa: the key here; None: the tensor is left out.
        note: what it is, for the documentation.
        change: turns the tensor into the one that is expected here.
        join: makes one tensor of those whose keys differ in the first list of words of
            ``official``, in the order of the list.
    """

    official: str
    mmvsa: str | None
    note: str = ''
    change: Callable[[Tensor], Tensor] | None = None
    join: Callable[[Sequence[Tensor]], Tensor] | None = None


@dataclass(frozen=True)
class PublishedFiles:
    """A row of the documentation's table of files that load as they are.

    Attributes:
        source: repository and models.
        example: a key by which they are recognized.
        loads_into: names of models.
        remark: what is left out or keeps its initial value.
    """

    source: str
    example: str
    loads_into: str
    remark: str = '-'


@dataclass(frozen=True)
class Family:
    """Key names of one family of published files.

    Attributes:
        name: for reports.
        recognized_by: patterns; a state dict that has a key for each of them is of this family.
        convert: returns the state dict with the names and shapes of mmvsa.
        files: the published files.
        tables: title -> key table, for the documentation.
    """

    name: str
    recognized_by: tuple[str, ...]
    convert: Callable[[Mapping[str, Tensor]], StateDict]
    files: tuple[PublishedFiles, ...] = ()
    tables: dict[str, tuple[Row, ...]] = field(default_factory=dict)

    def matches(self, state_dict: Mapping[str, Any]) -> bool:
        """Return whether the keys are those of this family."""
        patterns = [_compile(pattern) for pattern in self.recognized_by]
        return all(any(pattern.fullmatch(key) for key in state_dict) for pattern in patterns)


@dataclass(frozen=True)
class _Entry:
    """A tensor on its way: its key in the file and its key so far."""

    source: str
    key: str
    value: Tensor


def rename_keys(
    state_dict: Mapping[str, Tensor], table: Iterable[Row], **numbers: int
) -> StateDict:
    """Return the tensors of ``state_dict`` under the names of a table.

    The input stays as it is. Keys that no row matches keep their names.

    Args:
        state_dict: tensors by their official keys.
        table: rows; each applies to the keys that the rows before it have made.
        numbers: values of placeholders that stand in targets alone, such as ``{last}``.

    Raises:
        CheckpointError: two keys would become one, a part of a joined tensor is missing, or a
            tensor has a shape that its row cannot take.
    """
    entries = [_Entry(key, key, value) for key, value in state_dict.items()]
    for row in table:
        entries = _apply(row, entries, numbers)
    return unite((entry.source, entry.key, entry.value) for entry in entries)


def unite(renamed: Iterable[tuple[str, str, Tensor]]) -> StateDict:
    """Collect (key of the file, new key, tensor); no two of them may get the same new key.

    Raises:
        CheckpointError: two do; the message names both and the new key.
    """
    result: StateDict = {}
    sources: dict[str, str] = {}
    for source, key, value in renamed:
        if key in result:
            raise CheckpointError(
                f'{sources[key]!r} and {source!r} would both become {key!r}, and one of them be '
                'lost: the file is of a model that is not known here'
            )
        result[key], sources[key] = value, source
    return result


def _apply(row: Row, entries: Sequence[_Entry], numbers: Mapping[str, int]) -> list[_Entry]:
    """Return the entries after one row."""
    by_key = {entry.key: entry for entry in entries}
    result = []
    for entry in entries:
        captured = _capture(row.official, entry.key)
        if captured is None:
            result.append(entry)
        elif row.mmvsa is not None and row.join is None:
            value = _changed(row.change, entry.value, entry.source)
            result.append(_Entry(entry.source, captured.expand(row.mmvsa, numbers), value))
        elif row.mmvsa is not None and captured.choices[0] == 0:
            assert row.join is not None
            parts = _parts(row.official, entry, by_key)
            value = _changed(row.join, parts, entry.source)
            captured.choices.pop(0)
            result.append(_Entry(entry.source, captured.expand(row.mmvsa, numbers), value))
        elif row.join is not None:
            _parts(row.official, entry, by_key)  # a part without the others is an error
    return result


def _parts(pattern: str, entry: _Entry, by_key: Mapping[str, _Entry]) -> list[Tensor]:
    """Return the tensors that belong together with ``entry``, in the order of the words."""
    match = _compile(pattern).fullmatch(entry.key)
    tokens = _PLACEHOLDER.findall(pattern)
    place = next(n for n, token in enumerate(tokens) if ',' in token)
    assert match is not None
    start, end = match.span(place + 1)
    keys = [entry.key[:start] + word + entry.key[end:] for word in _words(tokens[place])]
    missing = [key for key in keys if key not in by_key]
    if missing:
        raise CheckpointError(
            f'the file is incomplete: it has {entry.key!r} but not {missing[0]!r}'
        )
    return [by_key[key].value for key in keys]


def _changed(change: Callable[[Any], Tensor] | None, value: Any, source: str) -> Tensor:
    if change is None:
        return value
    try:
        return change(value)
    except (RuntimeError, ValueError, IndexError) as error:
        tensors = value if isinstance(value, list) else [value]
        shapes = ', '.join(str(tuple(tensor.shape)) for tensor in tensors)
        raise CheckpointError(f'{source!r} has an unexpected shape: {shapes}') from error


@dataclass
class _Captured:
    """What the placeholders of a pattern stand for in a key."""

    stars: list[str]
    choices: list[int]
    numbers: dict[str, int]

    def expand(self, target: str, numbers: Mapping[str, int]) -> str:
        stars, choices = iter(self.stars), iter(self.choices)
        known = {**numbers, **self.numbers}

        def value(match: re.Match) -> str:
            token = match[0]
            if token == '*':
                return next(stars)
            words = _words(token)
            return words[next(choices)] if len(words) > 1 else str(known[words[0]])

        return _PLACEHOLDER.sub(value, target)


def _capture(pattern: str, key: str) -> _Captured | None:
    """Return what the placeholders of a pattern are in ``key``; None if it does not match."""
    match = _compile(pattern).fullmatch(key)
    if match is None:
        return None
    captured = _Captured([], [], {})
    for token, text in zip(_PLACEHOLDER.findall(pattern), match.groups(), strict=True):
        words = _words(token)
        if token == '*':
            captured.stars.append(text)
        elif len(words) > 1:
            captured.choices.append(words.index(text))
        else:
            name, _, offset = words[0].partition('+')
            captured.numbers[name] = int(text) - int(offset or 0)
    return captured if min(captured.numbers.values(), default=0) >= 0 else None


def _words(token: str) -> list[str]:
    return token.strip('{}').split(',')


@functools.cache
def _compile(pattern: str) -> re.Pattern:
    first, *texts = _PLACEHOLDER.split(pattern)
    expression = re.escape(first)
    for token, text in zip(_PLACEHOLDER.findall(pattern), texts, strict=True):
        words = [re.escape(word) for word in _words(token)]
        number = '.*' if token == '*' else r'\d+'
        expression += f'({"|".join(words) if len(words) > 1 else number})' + re.escape(text)
    return re.compile(expression)
