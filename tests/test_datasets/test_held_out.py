"""The fixed split of datasets that come without one."""

import sys

import numpy as np
import pytest

from mmvsa.datasets import Digits, held_out_indices


def _labels() -> np.ndarray:
    from sklearn.datasets import load_digits

    return load_digits().target


def test_no_image_is_in_both_splits() -> None:
    labels = _labels()
    train, test = (held_out_indices(labels, split) for split in ('train', 'test'))
    assert sorted([*train, *test]) == list(range(1797))


@pytest.mark.parametrize('sizes', [[5, 5], [3, 4, 9], [1, 100], [2, 2, 2]])
def test_held_out_shares(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    test = held_out_indices(labels, 'test')
    assert len(test) == np.ceil(sum(sizes) * 0.2)
    assert (
        np.abs(np.bincount(labels[test], minlength=len(sizes)) - np.multiply(sizes, 0.2)).max() < 1
    )


def test_another_seed_holds_out_others() -> None:
    labels = np.repeat(np.arange(3), 40)
    first, same, other = (held_out_indices(labels, 'test', seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()
    assert np.bincount(labels[other]).tolist() == [8, 8, 8]


def test_missing_sklearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        Digits('train')
