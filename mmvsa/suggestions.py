"""Names that may have been meant, for messages of errors."""

import difflib
from collections.abc import Callable, Iterable


def did_you_mean(
    name: str, known: Iterable[str], show: Callable[[str], str] = str, count: int = 3
) -> str:
    """Return ``'; did you mean a, b?'``, or ``''`` where nothing is near.

    Args:
        name: What was asked for.
        known: Names, or a mapping with names as keys.
        show: Turns a name into what the message shows for it.
        count: Of names at most.
    """
    near = difflib.get_close_matches(str(name), list(known), n=count, cutoff=0.5)
    return f'; did you mean {", ".join(show(each) for each in near)}?' if near else ''
