"""Reading and checking pairs of images and their change maps; needs no mmseg."""

import os
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from .errors import DatasetError
from .images import image_size, read_image

# Values of a pixel in a change map.
UNCHANGED, CHANGED = 0, 255
# Formats whose compression blurs the two values (those of CDD): the nearer one counts.
LOSSY = ('.jpg', '.jpeg')


def read_change_map(path: str | os.PathLike) -> np.ndarray:
    """Read a change map: 0 where nothing changed, 255 where something did.

    Returns:
        (H, W) uint8, 0: unchanged, 1: changed.

    Raises:
        DatasetError: no image at ``path``, or one with other values. In a JPEG, which cannot keep
            the two values apart, the nearer one counts.
    """
    values = read_image(path, cv2.IMREAD_GRAYSCALE)
    if str(path).lower().endswith(LOSSY):
        return (values > CHANGED // 2).astype(np.uint8)
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    others = [int(value) for value in present if value not in (UNCHANGED, CHANGED)]
    if others:
        raise DatasetError(
            f'change map {path} has the values {_shorten(others)}; a change map holds '
            f'{UNCHANGED} (unchanged) and {CHANGED} (changed) alone'
        )
    return (values == CHANGED).astype(np.uint8)


def check_sizes(paths: Iterable[str | os.PathLike]) -> tuple[int, int]:
    """Return the common size (height, width) of the images of a pair and their change map.

    Raises:
        DatasetError: the sizes differ; the message names the files.
    """
    sizes = {str(path): image_size(path) for path in paths}
    if len(set(sizes.values())) > 1:
        listed = ', '.join(f'{path} is {w}x{h}' for path, (h, w) in sizes.items())
        raise DatasetError(f'images that belong together need one size, but {listed}')
    return next(iter(sizes.values()))


def check_names(folders: Mapping[str, Mapping[str, str]]) -> None:
    """Check that every name has a file in every folder.

    Args:
        folders: folder -> {name of the pair: path of its file there}.

    Raises:
        DatasetError: a name lacks a file; the message names the one that should be there.
    """
    names = set().union(*folders.values())
    for name in sorted(names):
        present = [files[name] for files in folders.values() if name in files]
        for folder, files in folders.items():
            if name not in files:
                lacking = sum(other not in files for other in names)
                raise DatasetError(
                    f'{present[0]} has no partner {name!r} in {folder} '
                    f'({lacking} of {len(names)} are missing there)'
                )


def _shorten(values: list[int]) -> str:
    return ', '.join(map(str, values[:4])) + (', ...' if len(values) > 4 else '')
