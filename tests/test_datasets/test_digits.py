"""The digits, the folder split, and loading."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

import mmvsa
from mmvsa.datasets import Digits, FolderSplit, LoadImage, class_folders, held_out_indices
from mmvsa.registry import DATASETS


def test_split_is_fixed_stratified_and_complete() -> None:
    train, test = Digits('train'), Digits('test')
    assert (len(train), len(test)) == (1437, 360)
    counts = np.bincount(test.get_gt_labels())
    totals = counts + np.bincount(train.get_gt_labels())
    assert np.abs(counts - totals * 0.2).max() < 1
    # Written down: a published accuracy depends on these very images.
    assert held_out_indices(_labels(), 'test')[:8].tolist() == [4, 5, 6, 9, 14, 17, 18, 19]
    assert test.get_gt_labels()[:8].tolist() == [4, 5, 6, 9, 4, 7, 8, 9]


def _labels() -> np.ndarray:
    from sklearn.datasets import load_digits

    return load_digits().target


def test_no_image_is_in_both_splits() -> None:
    labels = _labels()
    train, test = (held_out_indices(labels, split) for split in ('train', 'test'))
    assert sorted([*train, *test]) == list(range(1797))


def test_images() -> None:
    from sklearn.datasets import load_digits

    sample = Digits('test').get_data_info(0)
    index = held_out_indices(_labels(), 'test')[0]
    assert sample['img'].shape == (8, 8, 3) and sample['img'].dtype == np.uint8
    expected = load_digits().images[index] * 255 / 16
    np.testing.assert_allclose(sample['img'][..., 1], expected, atol=0.5)
    assert sample['img'].max() == 255


def test_mmpretrain_pipeline() -> None:
    init_default_scope('mmpretrain')
    steps = [
        dict(type='mmvsa.LoadImage'),
        dict(type='Resize', scale=(32, 32)),
        dict(type='PackInputs'),
    ]
    dataset = DATASETS.build(dict(type='mmvsa.Digits', split='train', pipeline=steps))
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 32, 32)
    assert int(sample['data_samples'].gt_label) == dataset.get_gt_labels()[0]
    assert dataset.metainfo['classes'] == tuple('0123456789')
    # A second reading sees the same image: the pipeline must not change the one in memory.
    assert (dataset[0]['inputs'] == sample['inputs']).all()


def test_registered_for_other_scopes() -> None:
    assert mmvsa.datasets.Digits is Digits
    assert DATASETS.get('Digits') is Digits


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="'train', 'test'"):
        Digits('val')


def test_missing_sklearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        Digits('train')


@pytest.mark.parametrize('sizes', [[5, 5], [3, 4, 9], [1, 100], [2, 2, 2]])
def test_held_out_shares(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    test = held_out_indices(labels, 'test')
    assert len(test) == np.ceil(sum(sizes) * 0.2)
    assert (
        np.abs(np.bincount(labels[test], minlength=len(sizes)) - np.multiply(sizes, 0.2)).max() < 1
    )


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


def test_load_image(tmp_path: Path) -> None:
    path = tmp_path / 'image.png'
    Image.new('RGB', (6, 4), (255, 0, 0)).save(path)
    loaded = LoadImage()(dict(img_path=str(path)))
    assert loaded['img'].shape == (4, 6, 3) and loaded['img'][0, 0].tolist() == [0, 0, 255]  # BGR
    given = np.zeros((2, 2, 3), np.uint8)
    assert LoadImage()(dict(img=given))['img'] is given
