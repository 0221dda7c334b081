"""Errors that a user can fix: one line, no traceback."""

import difflib
import sys
from collections.abc import Iterable, Iterator
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
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


def did_you_mean(name: str, known: Iterable[str], count: int = 3) -> str:
    """``'; did you mean a, b?'``, or ``''`` where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f'; did you mean {", ".join(near)}?' if near else ''
