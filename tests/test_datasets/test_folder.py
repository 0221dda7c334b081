"""Class folders with and without a split."""

from pathlib import Path

import pytest
from PIL import Image

from mmvsa.datasets import FolderSplit, class_folders


def _images(folder: Path, names: tuple[str, ...], count: int) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new('RGB', (6, 4)).save(folder / name / f'{number}.png')


def test_folder_without_splits(tmp_path: Path) -> None:
    _images(tmp_path, ('cat', 'dog'), 10)
    train, test = (FolderSplit(str(tmp_path), split) for split in ('train', 'test'))
    assert (len(train), len(test)) == (16, 4)
    paths = [{sample['img_path'] for sample in dataset} for dataset in (train, test)]
    assert not paths[0] & paths[1]
    assert train.metainfo['classes'] == ('cat', 'dog')


@pytest.mark.parametrize('name', ['val', 'test'])
def test_folder_with_splits(tmp_path: Path, name: str) -> None:
    _images(tmp_path / 'train', ('cat', 'dog'), 3)
    _images(tmp_path / name, ('cat', 'dog'), 2)
    assert len(FolderSplit(str(tmp_path), 'train')) == 6
    assert len(FolderSplit(str(tmp_path), 'test')) == 4
    assert class_folders(tmp_path) == ['cat', 'dog']


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='one folder per class'):
        class_folders(tmp_path)
    _images(tmp_path / 'train', ('cat',), 1)
    with pytest.raises(FileNotFoundError, match='none of'):
        FolderSplit(str(tmp_path), 'test')
    with pytest.raises(ValueError, match='split'):
        FolderSplit(str(tmp_path), 'val')
