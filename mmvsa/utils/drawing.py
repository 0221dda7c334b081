"""One file per image, also where images of several folders have one name."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.logging import print_log


class UniqueFiles:
    """Chooses names of files that were not chosen before."""

    def __init__(self) -> None:
        self._taken: set[Path] = set()

    def choose(self, path: str | Path, source: str | Path | None = None) -> Path:
        """Return ``path``, with the folders of its source in front of the name as far as needed.

        Args:
            path: The file that is to be written.
            source: The image that it shows.
        """
        path = chosen = Path(path)
        for folder in reversed(Path(source or '').parts[:-1]):
            if chosen not in self._taken:
                break
            chosen = chosen.with_name(f'{folder.strip("/")}_{chosen.name}')
        number = 1
        while chosen in self._taken:
            number += 1
            chosen = path.with_stem(f'{path.stem}_{number}')
        self._taken.add(chosen)
        return chosen


def guard_drawing(visualizer: Any) -> None:
    """Let a host package's visualizer write one file per image, and warn where it fails.

    Its hooks name files by the last part of an image's path.

    Args:
        visualizer: MMEngine's, changed in place.
    """
    files = UniqueFiles()
    for name in ('add_datasample', 'visualize_cls'):
        if hasattr(visualizer, name):
            setattr(visualizer, name, _guarded(getattr(visualizer, name), files))


def _guarded(draw: Callable[..., Any], files: UniqueFiles) -> Callable[..., Any]:
    @functools.wraps(draw)
    def draw_guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            if kwargs.get('out_file'):
                source = getattr(kwargs.get('data_sample'), 'img_path', None)
                kwargs['out_file'] = str(files.choose(kwargs['out_file'], source))
            return draw(*args, **kwargs)
        except Exception as error:
            message = f'an image was not drawn: {type(error).__name__}: {error}'
            print_log(message, 'current', level=logging.WARNING)

    return draw_guarded
