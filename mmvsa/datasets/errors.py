"""What can be wrong with a dataset."""

import difflib
from collections.abc import Iterable


class DatasetError(ValueError):
    """A file of a dataset is missing, damaged or does not fit its partners."""


def did_you_mean(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return ``'; did you mean a, b?'``, or ``''`` where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f'; did you mean {", ".join(near)}?' if near else ''
