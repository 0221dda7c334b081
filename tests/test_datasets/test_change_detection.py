"""Datasets of pairs, and what is wrong with them before a training starts."""

import numpy as np
import pytest
from helpers.pairs import write_pairs

from mmvsa.datasets import DatasetError
from mmvsa.datasets.images import write_image
from mmvsa.registry import DATASETS


def build(root, **options):
    return DATASETS.build(dict(type='mmvsa.ChangeDetectionDataset', data_root=str(root), **options))


def test_pairs_by_name(tmp_path):
    write_pairs(tmp_path / 'train', 3)
    write_pairs(tmp_path / 'test', 1)
    dataset = build(tmp_path)
    assert [len(dataset), len(build(tmp_path, split='test'))] == [3, 1]
    first = dataset.get_data_info(0)
    assert first['img_path'] == str(tmp_path / 'train/A/0.png')
    assert first['img_path2'] == str(tmp_path / 'train/B/0.png')
    assert first['seg_map_path'] == str(tmp_path / 'train/OUT/0.png')
    assert dataset.metainfo['classes'] == ('unchanged', 'changed')


def test_other_folders_and_suffixes(tmp_path):
    write_pairs(tmp_path / 'train', 2, suffix='.jpg')
    (tmp_path / 'train/OUT').rename(tmp_path / 'train/label')
    dataset = build(tmp_path, suffix='.jpg', data_prefix=dict(seg_map_path='train/label'))
    assert dataset.get_data_info(1)['seg_map_path'] == str(tmp_path / 'train/label/1.jpg')


def test_a_list_names_some_pairs(tmp_path):
    write_pairs(tmp_path / 'train', 3)
    (tmp_path / 'some.txt').write_text('2\n0\n')
    dataset = build(tmp_path, ann_file='some.txt')
    assert [info['img_path'][-5:] for info in dataset] == ['2.png', '0.png']
    (tmp_path / 'some.txt').write_text('2\n7\n')
    with pytest.raises(DatasetError, match=r'some\.txt lists .*A/7\.png, which does not exist'):
        build(tmp_path, ann_file='some.txt')


def test_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="split must be one of .*got 'trian'"):
        build(tmp_path, split='trian')


@pytest.mark.parametrize('folder', ['A', 'B', 'OUT'])
def test_missing_half(tmp_path, folder):
    write_pairs(tmp_path / 'train')
    (tmp_path / 'train' / folder / '1.png').unlink()
    with pytest.raises(DatasetError, match=rf"1\.png has no partner '1' in .*train/{folder} "):
        build(tmp_path)


def test_missing_folder(tmp_path):
    write_pairs(tmp_path / 'train')
    (tmp_path / 'train/B').rename(tmp_path / 'train/C')
    with pytest.raises(DatasetError, match='there is no folder .*train/B'):
        build(tmp_path)


def test_no_image(tmp_path):
    write_pairs(tmp_path / 'train', 0)
    with pytest.raises(DatasetError, match=r'train/A has no \.png image'):
        build(tmp_path)


@pytest.mark.parametrize('folder', ['A', 'B', 'OUT'])
def test_sizes_differ(tmp_path, folder):
    write_pairs(tmp_path / 'train')
    write_image(tmp_path / 'train' / folder / '1.png', np.zeros((32, 64), np.uint8))
    with pytest.raises(DatasetError, match=rf'train/{folder}/1\.png is 64x32'):
        build(tmp_path)


def test_map_with_other_values(tmp_path):
    write_pairs(tmp_path / 'train')
    write_image(tmp_path / 'train/OUT/1.png', np.full((64, 64), 1, np.uint8))
    with pytest.raises(DatasetError, match=r'train/OUT/1\.png has the values 1'):
        build(tmp_path)


def test_empty_and_damaged_files(tmp_path):
    write_pairs(tmp_path / 'train')
    (tmp_path / 'train/OUT/0.png').write_bytes(b'')
    with pytest.raises(DatasetError, match=r'train/OUT/0\.png'):
        build(tmp_path)


def test_a_pair_without_change_is_fine_a_training_set_without_is_not(tmp_path):
    write_pairs(tmp_path / 'train')
    write_image(tmp_path / 'train/OUT/0.png', np.zeros((64, 64), np.uint8))
    assert len(build(tmp_path)) == 2
    write_image(tmp_path / 'train/OUT/1.png', np.zeros((64, 64), np.uint8))
    with pytest.raises(DatasetError, match='none of the 2 change maps in .*train/OUT'):
        build(tmp_path)
    assert len(build(tmp_path, test_mode=True)) == 2


def test_checks_may_be_left_out(tmp_path):
    write_pairs(tmp_path / 'train')
    (tmp_path / 'train/OUT/0.png').write_bytes(b'')
    assert len(build(tmp_path, check_files=False)) == 2
