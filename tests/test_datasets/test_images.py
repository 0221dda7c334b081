"""Image files: what is read, what is written, and what errors name."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvsa.datasets import DatasetError
from mmvsa.datasets.images import image_size, read_image, write_image


@pytest.mark.parametrize('shape', [(6, 5), (6, 5, 3), (6, 5, 4)])
def test_what_is_written_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = np.random.randint(0, 256, shape, np.uint8)
    path = tmp_path / 'new folder/a.png'
    write_image(path, image)
    assert (read_image(str(path), cv2.IMREAD_UNCHANGED) == image).all()
    color = np.dstack((image,) * 3) if image.ndim == 2 else image[..., :3]
    assert (read_image(path) == color).all()
    assert image_size(path) == (6, 5)


def test_the_suffix_is_the_format(tmp_path: Path) -> None:
    write_image(tmp_path / 'a.jpg', np.zeros((4, 4, 3), np.uint8))
    assert (tmp_path / 'a.jpg').read_bytes()[:2] == b'\xff\xd8'


@pytest.mark.parametrize(('content', 'reason'), [(b'', 'it is empty'), (b'no image', 'convert it')])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / 'a.png'
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf'a\.png cannot be decoded as an image; {reason}'):
        read_image(path)
    with pytest.raises(DatasetError, match=r'a\.png is no image, or a damaged one'):
        image_size(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'none\.png cannot be read \(No such file'):
        read_image(tmp_path / 'none.png')
    with pytest.raises(DatasetError, match=r'there is no image .*none\.png'):
        image_size(tmp_path / 'none.png')


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'a.png'
    write_image(path, np.zeros((4, 4), np.uint8))
    before = path.read_bytes()

    def write_half(target: Path, content: bytes) -> None:
        target.open('wb').write(content[:10])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', write_half)
    with pytest.raises(OSError, match='No space left'):
        write_image(path, np.ones((4, 4), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], 'no half of a file is left'


def test_two_processes_may_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two ranks do, of a sample that pads the last batch: each has a file of its own."""
    path, rename = tmp_path / 'a.png', os.replace

    def be_late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, 'replace', rename)
        monkeypatch.setattr(os, 'getpid', lambda: 1)
        write_image(path, np.ones((4, 4), np.uint8))
        rename(source, target)

    monkeypatch.setattr(os, 'replace', be_late)
    write_image(path, np.zeros((4, 4), np.uint8))
    assert list(tmp_path.iterdir()) == [path]
    assert (read_image(path) == 0).all()
