"""What can be wrong with a dataset."""

import difflib
from collections.abc import Iterable, Mapping


class DatasetError(ValueError):
    """A file of a dataset is missing, damaged or does not fit its partners."""


def did_you_mean(name: str, known: Iterable[str] | Mapping[str, str], count: int = 3) -> str:
    """Return ``'; did you mean a, b?'``, or ``''`` where nothing is near.

    Args:
        name: What was asked for.
        known: Names, or names with what is shown for them.
        count: Of names at most.
    """
    shown = known if isinstance(known, Mapping) else {each: each for each in known}
    near = difflib.get_close_matches(name, list(shown), n=count, cutoff=0.5)
    return f'; did you mean {", ".join(shown[each] for each in near)}?' if near else ''
