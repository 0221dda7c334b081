"""Files that are either whole or what they were before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend

# What an interrupted write leaves behind, next to the file that it was for.
UNFINISHED = '.*.tmp'


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name once it is whole and on the disk.

    The bytes go to a file next to ``path``, which replaces ``path`` after ``fsync``. After an
    error or a power failure, ``path`` is what it was before. A link is followed.

    Args:
        path: the file to write; its folder is made if it is missing.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
    try:
        with unfinished.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a renaming to the disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


class WholeFileBackend(LocalBackend):
    """MMEngine's access to local files, with writes by :func:`whole_file`."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes to a file."""
        with whole_file(filepath) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write text to a file."""
        self.put(obj.encode(encoding), filepath)


def install_whole_files() -> None:
    """Make everything that MMEngine writes in this process, such as checkpoints, whole files."""
    register_backend('local', WholeFileBackend, force=True, prefixes='')
