"""Pairs of photographs: what they show, and that they appear whole or not at all."""

import numpy as np
import pytest

from mmvsa.datasets import DatasetError
from mmvsa.datasets import photo_pairs as module
from mmvsa.datasets.images import write_image
from mmvsa.datasets.photo_pairs import PHOTOGRAPHS, PairSettings, PhotoPairs, render_pair
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


def test_generated_at_load(tmp_path):
    root = tmp_path / 'pairs'
    assert [len(build(root, split)) for split in ('train', 'val', 'test')] == [3, 1, 2]
    assert len(list(root.rglob('*.png'))) == 18
    with pytest.raises(DatasetError, match='PhotoPairs .*num_val.: 2'):
        build(root, num_val=2)


def test_pairs_of_yours_are_read(tmp_path):
    """Where no settings are asked for, as after ``--cfg-options data_root=FOLDER``."""
    for folder, image in {'A': np.zeros((8, 8, 3)), 'B': np.zeros((8, 8, 3))}.items():
        write_image(tmp_path / 'train' / folder / 'a.png', image.astype(np.uint8))
    write_image(tmp_path / 'train/OUT/a.png', np.full((8, 8), 255, np.uint8))
    assert len(PhotoPairs(tmp_path, 'train')) == 1
    (tmp_path / 'train/B/a.png').unlink()
    with pytest.raises(DatasetError, match=r'has no partner'):
        PhotoPairs(tmp_path, 'train')


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
