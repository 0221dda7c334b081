"""Errors that a user can fix: one line, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmvsa.datasets.errors import DatasetError


class UsageError(Exception):
    """A wrong path or option; the message says what to do about it."""


@contextmanager
def usage_errors() -> Iterator[None]:
    """Print an error of the user, a file or a dataset as one line and exit with status 2."""
    try:
        yield
    except Exception as error:
        from mmvsa.models import CheckpointError  # loads all models

        if not isinstance(error, (UsageError, DatasetError, CheckpointError)):
            raise
        # A worker of a dataloader puts its traceback before the sentence.
        sentence = str(error).rstrip().splitlines()[-1].removeprefix(f'{_full_name(error)}: ')
        print(f'error: {sentence}', file=sys.stderr)
        sys.exit(2)


def _full_name(error: Exception) -> str:
    return f'{type(error).__module__}.{type(error).__qualname__}'
