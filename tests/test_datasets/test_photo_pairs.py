"""Pairs of photographs: what they show, and that they appear whole or not at all."""

import json
import os

import numpy as np
import pytest

from mmvsa.datasets import DatasetError
from mmvsa.datasets import photo_pairs as module
from mmvsa.datasets.photo_pairs import PHOTOGRAPHS, PairSettings, render_pair
from mmvsa.registry import DATASETS

TINY = dict(num_train=3, num_val=1, num_test=2, size=64, max_object=24)


def build(root, split='train', **options):
    settings = {**TINY, **options}
    return DATASETS.build(
        dict(type='mmvsa.PhotoPairs', data_root=str(root), split=split, settings=settings)
    )


def test_no_photograph_is_in_two_splits():
    names = [name for names in PHOTOGRAPHS.values() for name in names]
    assert len(names) == len(set(names))


def test_pairs_are_the_same_on_every_call():
    settings = PairSettings(**TINY)
    first, again = (render_pair(settings, 'train', 1) for _ in range(2))
    np.testing.assert_array_equal(first.before, again.before)
    np.testing.assert_array_equal(first.after, again.after)
    np.testing.assert_array_equal(first.changed, again.changed)
    other = render_pair(PairSettings(**TINY, seed=1), 'train', 1)
    assert (first.before != other.before).any()


def test_neither_count_nor_order_changes_a_pair():
    few, many = PairSettings(**TINY), PairSettings(**{**TINY, 'num_train': 9, 'num_test': 9})
    np.testing.assert_array_equal(
        render_pair(few, 'test', 1).after, render_pair(many, 'test', 1).after
    )


def test_maps_show_what_changed(monkeypatch):
    """With one exposure and no shift the images differ inside the map, and nowhere else."""
    monkeypatch.setattr(module, '_expose', lambda rng, image: image)
    settings = PairSettings(**TINY, max_shift=0)
    shares = []
    for index in range(12):
        pair = render_pair(settings, 'train', index)
        differs = (pair.before != pair.after).any(2)
        inside = pair.changed == 255
        assert set(np.unique(pair.changed)) == {0, 255}
        assert differs[inside].mean() > 0.95
        # Soft edges of objects are less than half covered.
        assert differs[~inside].mean() < 0.05
        shares.append(inside.mean())
    assert 0.01 < np.mean(shares) < 0.3


def test_unchanged_pixels_differ_by_shift_and_exposure():
    settings = PairSettings(**TINY)
    pairs = [render_pair(settings, 'train', index) for index in range(8)]
    unchanged = [
        np.abs(p.before.astype(int) - p.after).max(2)[p.changed == 0].mean() for p in pairs
    ]
    assert np.mean(unchanged) > 20


def test_written_once_and_read_again(tmp_path):
    root = tmp_path / 'pairs'
    assert [len(build(root, split)) for split in ('train', 'val', 'test')] == [3, 1, 2]
    written = sorted(path.stat().st_mtime_ns for path in root.rglob('*.png'))
    assert len(written) == 18
    assert len(build(root)) == 3
    assert sorted(path.stat().st_mtime_ns for path in root.rglob('*.png')) == written
    assert [path.name for path in tmp_path.iterdir()] == ['pairs'], 'no temporary folder is left'
    assert json.loads((root / 'photo_pairs.json').read_text())['num_train'] == 3


def test_an_empty_folder_is_filled(tmp_path):
    assert len(build(tmp_path)) == 3


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return render_pair(*args)

    monkeypatch.setattr(module, 'render_pair', interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'pairs')
    assert os.listdir(tmp_path) == []


def test_other_content_is_refused_by_name(tmp_path):
    build(tmp_path / 'pairs')
    with pytest.raises(DatasetError, match='does not hold the pairs asked for .*num_val.: 2'):
        build(tmp_path / 'pairs', num_val=2)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/photo.png').write_bytes(b'mine')
    with pytest.raises(DatasetError, match='mine does not hold the pairs asked for'):
        build(tmp_path / 'mine')
    assert (tmp_path / 'mine/photo.png').read_bytes() == b'mine'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_val=0), 'num_val must be at least 1'),
        (dict(min_object=2), 'min_object must be at least 4'),
        (dict(max_object=80), 'half of the size 128'),
        (dict(max_shift=-1), 'must not be negative'),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        PairSettings(**options)
