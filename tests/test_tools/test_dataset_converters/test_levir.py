"""Cutting LEVIR-CD into patches."""

import os
import sys

import cv2
import numpy as np
import pytest
from helpers.cli import load_tool
from helpers.pairs import write_pairs

from mmvsa.datasets.images import write_image
from mmvsa.registry import DATASETS

tool = load_tool('dataset_converters/levir')


@pytest.fixture
def source(tmp_path):
    root = tmp_path / 'LEVIR'
    for split in ('train', 'val', 'test'):
        write_pairs(root / split, 2, 64)
        (root / split / 'OUT').rename(root / split / 'label')
    return root


def run(monkeypatch, source, out, *options):
    arguments = ['levir', str(source), '--out', str(out), '--size', '32', *options]
    monkeypatch.setattr(sys, 'argv', arguments)
    tool.main()


def refused(monkeypatch, capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *args)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_patches_cover_every_scene(source, tmp_path, monkeypatch):
    run(monkeypatch, source, tmp_path / 'out')
    for folder, old in (('A', 'A'), ('B', 'B'), ('OUT', 'label')):
        whole = cv2.imread(str(source / 'val' / old / '1.png'), cv2.IMREAD_UNCHANGED)
        joined = np.zeros_like(whole)
        names = sorted(path.name for path in (tmp_path / 'out/val' / folder).glob('1_*.png'))
        assert names == ['1_0000_0000.png', '1_0000_0032.png', '1_0032_0000.png', '1_0032_0032.png']
        for name in names:
            top, left = (int(part) for part in name[:-4].split('_')[1:])
            patch = cv2.imread(str(tmp_path / 'out/val' / folder / name), cv2.IMREAD_UNCHANGED)
            joined[top : top + 32, left : left + 32] = patch
        np.testing.assert_array_equal(joined, whole)
    dataset = DATASETS.build(
        dict(type='mmvsa.ChangeDetectionDataset', data_root=str(tmp_path / 'out'))
    )
    assert len(dataset) == 8


def test_a_second_run_changes_nothing(source, tmp_path, monkeypatch, capsys):
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').rglob('*.png')}
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert 'has its 8 patches already' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').rglob('*.png')} == files


def test_a_second_run_completes_an_interrupted_one(source, tmp_path, monkeypatch):
    written, replace = [], os.replace

    def interrupted(old, new):
        if len(written) == 15:
            raise KeyboardInterrupt
        written.append(new)
        replace(old, new)

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert not list((tmp_path / 'out/train').glob('[!.]*')), 'nothing half-written under its name'
    monkeypatch.setattr(os, 'replace', replace)
    kept = written[0].stat().st_mtime_ns
    run(monkeypatch, source, tmp_path / 'out', '--splits', 'train')
    assert os.listdir(tmp_path / 'out') == ['train']
    assert sorted(os.listdir(tmp_path / 'out/train')) == ['A', 'B', 'OUT']
    assert len(list((tmp_path / 'out/train').rglob('*'))) == 3 + 3 * 8
    assert (tmp_path / 'out/train/A' / written[0].name).stat().st_mtime_ns == kept


def test_other_content_is_refused_by_name(source, tmp_path, monkeypatch, capsys):
    write_image(tmp_path / 'out/val/A/mine.png', np.zeros((4, 4), np.uint8))
    error = refused(monkeypatch, capsys, source, tmp_path / 'out', '--splits', 'val')
    assert f'{tmp_path}/out/val/A exists and does not hold the 8 patches' in error
    assert (tmp_path / 'out/val/A/mine.png').exists()


def test_bad_sources_are_refused_before_anything_is_written(source, tmp_path, monkeypatch, capsys):
    label = source / 'test/label/1.png'
    write_image(label, np.zeros((64, 32), np.uint8))
    assert 'test/label/1.png is 32x64' in refused(monkeypatch, capsys, source, tmp_path / 'out')
    label.unlink()
    assert "no partner '1'" in refused(monkeypatch, capsys, source, tmp_path / 'out')
    error = refused(monkeypatch, capsys, tmp_path, tmp_path / 'out')
    assert f'there is no folder {tmp_path}/train/A' in error
    error = refused(monkeypatch, capsys, source, tmp_path / 'out', '--size', '48')
    assert 'is 64x64, which --size 48 does not divide' in error
    assert not (tmp_path / 'out').exists()


def test_maps_with_other_values_are_refused(source, tmp_path, monkeypatch, capsys):
    write_image(source / 'train/label/0.png', np.full((64, 64), 7, np.uint8))
    error = refused(monkeypatch, capsys, source, tmp_path / 'out', '--splits', 'train')
    assert 'train/label/0.png has the values 7' in error
    assert not list((tmp_path / 'out/train').glob('[!.]*'))
