"""What is a split, a class, an image."""

import os
from pathlib import Path

import pytest
from PIL import Image

from mmvsa.datasets import DatasetError
from mmvsa.datasets.class_folders import find_class_folders


def make(root: Path, *names: str, count: int = 3, suffix: str = 'png') -> None:
    """Write images into the class folders ``names`` of ``root``."""
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new('RGB', (6, 4)).save(root / name / f'{number}.{suffix}')


@pytest.mark.parametrize(
    ('train', 'held_out', 'expected'),
    [
        ('train', ('val', 'test'), 'val'),
        ('Training', ('valid',), 'valid'),
        ('train', ('Test',), 'Test'),
        ('trn', ('dev', 'test'), 'dev'),
        ('train', ('validation', 'testing'), 'validation'),
    ],
)
def test_spellings_of_splits(
    tmp_path: Path, train: str, held_out: tuple[str, ...], expected: str
) -> None:
    make(tmp_path, *(f'{split}/{name}' for split in (train, *held_out) for name in 'ab'))
    folders = find_class_folders(tmp_path)
    assert (folders.train, folders.test) == (tmp_path / train, tmp_path / expected)
    assert folders.classes == ('a', 'b')


def test_labels_go_by_the_names_in_train(tmp_path: Path) -> None:
    make(tmp_path / 'train', 'cat', 'dog', 'owl')
    make(tmp_path / 'val', 'dog', 'owl', count=1)
    assert find_class_folders(tmp_path).samples('test') == [('dog/0.png', 1), ('owl/0.png', 2)]


def test_unknown_class_of_the_held_out_split(tmp_path: Path) -> None:
    make(tmp_path / 'train', 'cat', 'dog')
    make(tmp_path / 'val', 'cat', 'dogs')
    with pytest.raises(DatasetError, match='val has the classes dogs, .*did you mean dog'):
        find_class_folders(tmp_path)


def test_a_class_may_be_named_like_a_split(tmp_path: Path) -> None:
    make(tmp_path, 'bus', 'car', 'train', 'val')
    folders = find_class_folders(tmp_path)
    assert folders.classes == ('bus', 'car', 'train', 'val') and folders.test is None


def test_what_is_ignored(tmp_path: Path) -> None:
    make(tmp_path, '.git', '__MACOSX', 'train/.ipynb_checkpoints', 'val/@eaDir')
    make(tmp_path, *(f'{split}/{name}' for split in ('train', 'val') for name in 'ab'))
    make(tmp_path, 'train/a/.ipynb_checkpoints', 'train/a/more')
    (tmp_path / 'train/b/.DS_Store').touch()
    folders = find_class_folders(tmp_path)
    assert folders.classes == ('a', 'b')
    files = [path for path, label in folders.samples('train') if label == 0]
    assert files == [f'a/{folder}{n}.png' for folder in ('', 'more/') for n in range(3)]


@pytest.mark.parametrize(
    ('folders', 'root', 'message'),
    [
        (
            ('images/a', 'images/b'),
            '',
            "one class only, 'images'; the classes seem to be in .*es$",
        ),
        (('a', 'b'), 'a', 'has no folders but images: name the folder above'),
        (('x/a', 'x/b', 'y/a', 'y/b'), '', 'x, y all hold the folders a, b'),
        (('train', 'val'), '', 'has train, val, but no training folder with one folder per class'),
        (
            ('train/a', 'train/b'),
            '',
            'has train/ but no held-out class folders.*hold out a fifth',
        ),
        (('train/a', 'train/b', 'Training/a', 'val/a'), '', 'several training folders'),
        (('train/a', 'val/a'), '', "one class only, 'a'"),
        ((), '', 'has no folders; it should hold one folder per class'),
        ((), 'missing', 'missing is not a folder'),
    ],
)
def test_implausible_folders_are_questioned(
    tmp_path: Path, folders: tuple[str, ...], root: str, message: str
) -> None:
    make(tmp_path, *folders)
    with pytest.raises(DatasetError, match=message):
        find_class_folders(tmp_path / root)


@pytest.mark.parametrize('suffix', 'webp gif tiff avif JPG jfif bmp ppm jp2'.split())
def test_every_format_of_the_decoder(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, 'a', 'b', suffix=suffix)
    assert len(find_class_folders(tmp_path).samples('train')) == 6


def test_files_that_are_no_images(tmp_path: Path) -> None:
    make(tmp_path, 'a', 'b')
    (tmp_path / 'a/image.heic').touch()
    with pytest.warns(UserWarning, match='left out .*1 with .heic'):
        find_class_folders(tmp_path).samples('train')
    for path in (tmp_path / 'a').glob('*.png'):
        path.unlink()
    with pytest.raises(DatasetError, match='a has no image .*1 with .heic.*end with .jpg'):
        find_class_folders(tmp_path).samples('train')


def test_bad_files_are_named(tmp_path: Path) -> None:
    make(tmp_path, 'a', 'b')
    folders = find_class_folders(tmp_path)
    (tmp_path / 'b/1.png').write_bytes(b'')
    with pytest.raises(DatasetError, match='empty files: .*b/1.png'):
        folders.samples('train')
    assert len(folders.samples('train', allow_empty=True)) == 6
    (tmp_path / 'a/9.png').symlink_to('nowhere.png')
    with pytest.raises(DatasetError, match='a/9.png is a link to a file that does not exist'):
        folders.samples('train')


def test_nothing_can_be_held_out_of_one_image(tmp_path: Path) -> None:
    make(tmp_path, 'a', 'b')
    make(tmp_path, 'c', count=1)
    with pytest.raises(DatasetError, match='one image only: .*c; a fifth is held out'):
        find_class_folders(tmp_path).samples('train')


def test_held_out_split_without_images(tmp_path: Path) -> None:
    make(tmp_path / 'train', 'a', 'b')
    make(tmp_path / 'val', 'a', count=0)
    with pytest.raises(DatasetError, match='val has no image of the classes a, b'):
        find_class_folders(tmp_path).samples('test')


def test_links_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path / 'elsewhere', 'a')
    make(tmp_path / 'data', 'b')
    os.symlink(tmp_path / 'elsewhere/a', tmp_path / 'data/a')
    os.symlink(tmp_path / 'data/b', tmp_path / 'data/b/loop')
    assert len(find_class_folders(tmp_path / 'data').samples('train')) == 6
