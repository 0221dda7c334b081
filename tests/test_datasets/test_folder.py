"""Class folders with and without a split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvsa.datasets import DatasetError, FolderSplit, class_folders

PIPELINE = [dict(type='mmvsa.LoadImage')]


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
    _images(tmp_path / 'train', ('cat', 'dog', 'owl'), 3)
    _images(tmp_path / name, ('dog', 'owl'), 2)
    assert len(FolderSplit(str(tmp_path), 'train')) == 9
    held_out = FolderSplit(str(tmp_path), 'test')
    labels = {Path(s['img_path']).parent.name: s['gt_label'] for s in held_out}
    assert len(held_out) == 4 and labels == {'dog': 1, 'owl': 2}
    assert class_folders(tmp_path) == ['cat', 'dog', 'owl']


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='one folder per class'):
        class_folders(tmp_path)
    _images(tmp_path, ('cat', 'dog'), 2)
    with pytest.raises(ValueError, match='split'):
        FolderSplit(str(tmp_path), 'val')


def test_config_is_checked_before_the_dataset_is_built(tmp_path: Path) -> None:
    _images(tmp_path, ('cat', 'dog'), 2)
    config = dict(data_root=str(tmp_path), split='train')
    assert FolderSplit.count_classes(config) == 2
    (tmp_path / 'cat/0.png').write_bytes(b'')
    with pytest.raises(DatasetError, match='empty files: .*cat/0.png'):
        FolderSplit.count_classes(config)
    assert FolderSplit.count_classes(dict(config, skip_bad=True)) == 2


def test_bad_images_are_skipped_on_demand(tmp_path: Path) -> None:
    """In training another image takes the place; held-out images are left out."""
    _images(tmp_path, ('cat', 'dog'), 10)
    bad = [tmp_path / 'cat/3.png', tmp_path / 'dog/0.png']
    strict = [FolderSplit(tmp_path, split, pipeline=PIPELINE) for split in ('train', 'test')]
    for split in strict:
        paths = [split.get_data_info(i)['img_path'] for i in range(len(split))]
        bad.append(Path(paths[0]))
    for path in bad:
        path.write_bytes(b'no image')
    with pytest.raises(DatasetError, match='cannot be read as an image'):
        [strict[0][i] for i in range(len(strict[0]))]
    np.random.seed(0)
    train = FolderSplit(tmp_path, 'train', pipeline=PIPELINE, skip_bad=True)
    samples = [train[i] for i in range(len(train))]
    assert len(samples) == 16 and all('img' in sample for sample in samples)
    test = FolderSplit(tmp_path, 'test', pipeline=PIPELINE, skip_bad=True)
    found = {*train.bad_images(), *test.bad_images()}
    assert found == {str(path) for path in bad}
    assert len(test) == 4 - len(test.bad_images()) and all('img' in sample for sample in test)


def test_every_loader_names_a_bad_image(tmp_path: Path) -> None:
    """The pipelines of the ImageNet configs read by mmcv's step."""
    _images(tmp_path, ('cat', 'dog'), 3)
    pipeline = [dict(type='LoadImageFromFile', to_float32=True)]
    train = FolderSplit(tmp_path, 'train', pipeline=pipeline)
    assert train[0]['img'].dtype == np.float32
    Path(train.get_data_info(0)['img_path']).write_bytes(b'no image')
    with pytest.raises(DatasetError, match='.png cannot be read as an image'):
        train[0]


def test_workers_report_bad_images(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    _images(tmp_path, ('cat', 'dog'), 4)
    train = FolderSplit(tmp_path, 'train', pipeline=PIPELINE, skip_bad=True)
    bad = train.get_data_info(2)['img_path']
    Path(bad).write_bytes(b'no image')
    list(DataLoader(train, batch_size=2, num_workers=1, collate_fn=list))
    assert train.bad_images() == [bad]
