"""Images that a user names: a file, a folder or a glob, and what their outputs are called."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmvsa.datasets.images import IMAGE_SUFFIXES

from .errors import UsageError


def find_images(inputs: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """Return the images of a file, of a folder and those in it, of a glob, or of a list of these.

    A folder gives its files with a suffix of :data:`~mmvsa.datasets.images.IMAGE_SUFFIXES`, a glob
    every file that it matches.

    Raises:
        UsageError: nothing is there, or a folder has no image.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return _expand(os.path.expanduser(inputs))
    return [path for item in inputs for path in find_images(item)]


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if _is_image(file))
        if not files:
            raise UsageError(f'{name} has no images')
        return files
    if path.is_file():
        return [path]
    files = [Path(file) for file in sorted(glob.glob(name, recursive=True)) if os.path.isfile(file)]
    if not files:
        raise UsageError(f'{name} is no image, folder or pattern of images; check the path')
    return files


def _is_image(file: Path) -> bool:
    named = file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith('.')
    return named and file.is_file()


def output_stems(paths: Sequence[Path]) -> list[Path]:
    """Return a path for the output of each image, relative to their common folder, no two alike.

    The suffix is left out (``a/cat.jpg`` gives ``a/cat``), unless two images differ only by it.
    """
    absolute = [path.absolute() for path in paths]
    root = os.path.commonpath([path.parent for path in absolute])
    names = [path.relative_to(root) for path in absolute]
    counts = Counter(name.with_suffix('') for name in names)
    return [name.with_suffix('') if counts[name.with_suffix('')] == 1 else name for name in names]


def check_outputs(images: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Raise UsageError if an output would be written over its image."""
    for image, output in zip(images, outputs, strict=True):
        if output.exists() and output.samefile(image):
            raise UsageError(f'{image} would be overwritten; name another --out-dir')
