"""Cutting iSAID into patches, colors into labels."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.cli import load_tool
from mmengine.registry import DATASETS, init_default_scope
from mmseg.datasets import iSAIDDataset

from mmvsa.datasets.images import write_image

tool = load_tool('dataset_converters/isaid')
PALETTE = np.array(iSAIDDataset.METAINFO['palette'], np.uint8)
SIZES = {'P0000': (40, 56), 'P0001': (32, 60)}  # (height, width); the second is not cut
MASKS = 'Semantic_masks/images'


def labels_of(size):
    """Every class, in a pattern."""
    rows, columns = np.indices(size)
    return (rows // 3 + columns // 5) % len(PALETTE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        root = tmp_path / 'iSAID' / split
        for name, size in SIZES.items():
            write_image(root / f'images/{name}.png', rng.integers(0, 256, (*size, 3), np.uint8))
            colors = PALETTE[labels_of(size)][..., ::-1]
            write_image(root / f'{MASKS}/{name}_instance_color_RGB.png', colors)
            # Another kind of mask, which is not read.
            ids = root / f'Instance_masks/images/{name}_instance_id_RGB.png'
            write_image(ids, np.zeros((2, 2), np.uint8))
    return tmp_path / 'iSAID'


def run(monkeypatch, source, out, *options):
    size = ('--size', '32', '--overlap', '8')
    monkeypatch.setattr(sys, 'argv', ['isaid', str(source), '--out', str(out), *size, *options])
    tool.main()


def refused(monkeypatch, capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *args)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_patches_are_those_of_the_official_code(source, tmp_path, monkeypatch):
    """Steps of 24: rows 0 and 8, columns 0 and 24 (twice: 48 is moved inside)."""
    run(monkeypatch, source, tmp_path / 'out')
    names = [f'P0000_{t}_{t + 32}_{x}_{x + 32}' for t in (0, 8) for x in (0, 24)] + ['P0001']
    folder = tmp_path / 'out/img_dir/val'
    assert sorted(os.listdir(folder)) == sorted(f'{name}.png' for name in names)
    for name in names:
        stem, *box = name.split('_')
        whole = cv2.imread(str(source / f'val/images/{stem}.png'))
        labels = labels_of(SIZES[stem])
        top, bottom, left, right = map(int, box) if box else (0, *whole.shape[:1], 0, 60)
        np.testing.assert_array_equal(
            cv2.imread(str(folder / f'{name}.png')), whole[top:bottom, left:right]
        )
        path = tmp_path / f'out/ann_dir/val/{name}_instance_color_RGB.png'
        patch = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(patch, labels[top:bottom, left:right])


def test_mmseg_reads_the_patches(source, tmp_path, monkeypatch):
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    init_default_scope('mmseg')
    prefix = dict(img_path='img_dir/train', seg_map_path='ann_dir/train')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    dataset = DATASETS.build(
        dict(
            type='iSAIDDataset',
            data_root=str(tmp_path / 'out'),
            data_prefix=prefix,
            pipeline=pipeline,
        )
    )
    assert len(dataset) == 5
    seen = np.concatenate([np.unique(sample['gt_seg_map']) for sample in dataset])
    assert set(seen) == set(range(16))


def test_two_images_are_left_out(source, tmp_path, monkeypatch):
    """As in the official code, where their masks do not matter."""
    write_image(source / 'train/images/P1527.png', np.zeros((8, 8, 3), np.uint8))
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert not list((tmp_path / 'out').rglob('*P1527*'))


def test_a_second_run_completes_an_interrupted_one(source, tmp_path, monkeypatch, capsys):
    written, replace = [], os.replace

    def interrupted(old, new):
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(new)
        replace(old, new)

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert not list((tmp_path / 'out').glob('*/[!.]*')), 'nothing half-written under its name'
    monkeypatch.setattr(os, 'replace', replace)
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    for folder in ('img_dir', 'ann_dir'):
        assert os.listdir(tmp_path / 'out' / folder) == ['train']
        assert len(os.listdir(tmp_path / 'out' / folder / 'train')) == 5
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert 'has its 5 patches already' in capsys.readouterr().out


def test_bad_sources_are_refused_before_anything_is_written(source, tmp_path, monkeypatch, capsys):
    mask = source / f'val/{MASKS}/P0001_instance_color_RGB.png'
    write_image(mask, np.zeros((32, 32, 3), np.uint8))
    error = refused(monkeypatch, capsys, source, tmp_path / 'out')
    assert 'belong together need one size' in error and f'{mask} is 32x32' in error
    mask.unlink()
    assert "no partner 'P0001'" in refused(monkeypatch, capsys, source, tmp_path / 'out')
    error = refused(monkeypatch, capsys, tmp_path / 'none', tmp_path / 'out')
    assert f'no image below {tmp_path}/none/train' in error
    error = refused(monkeypatch, capsys, source, tmp_path / 'out', '--overlap', '32')
    assert '--overlap must be at least 0 and less than --size 32, got 32' in error
    assert not (tmp_path / 'out').exists()


def test_unknown_colors_are_refused_by_name(source, tmp_path, monkeypatch, capsys):
    mask = source / f'val/{MASKS}/P0001_instance_color_RGB.png'
    colors = np.zeros((32, 60, 3), np.uint8)
    colors[:2, :3] = (1, 2, 63)  # BGR
    write_image(mask, colors)
    error = refused(monkeypatch, capsys, source, tmp_path / 'out', '--splits', 'val')
    assert f'{mask} has 6 pixels of a color that is no class' in error
    assert 'red, green, blue = (63, 2, 1)' in error
    assert not list((tmp_path / 'out').glob('*/[!.]*'))
