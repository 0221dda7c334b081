"""scikit-learn's digits, and a fixed held-out split for datasets that come without one."""

from collections.abc import Sequence

import numpy as np

SPLITS = ('train', 'test')


def held_out_indices(
    labels: Sequence[int] | np.ndarray, split: str, fraction: float = 0.2, *, seed: int = 0
) -> np.ndarray:
    """Indices of a stratified split, the same on every call and machine.

    ``fraction`` of all samples, rounded up, are held out as ``'test'``; each class gives its
    share, and those with the largest remainders give one more (the largest-remainder method).

    Args:
        labels: class of every sample, from 0.
        split: ``'train'`` or ``'test'``.
        fraction: share of the held-out samples.
        seed: chooses the samples.

    Returns:
        Sorted indices, (N_split,).
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
    classes = np.asarray(labels)
    shares = np.bincount(classes) * fraction
    counts = np.floor(shares).astype(int)
    missing = int(np.ceil(len(classes) * fraction)) - counts.sum()
    counts[np.argsort(counts - shares, kind='stable')[:missing]] += 1
    # RandomState is frozen by numpy: its stream never changes between versions.
    order = np.random.RandomState(seed).permutation(len(classes))
    shuffled = classes[order]
    held_out = np.concatenate([order[shuffled == c][:n] for c, n in enumerate(counts)])
    if split == 'test':
        return np.sort(held_out)
    return np.setdiff1d(np.arange(len(classes)), held_out)


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Load scikit-learn's digits.

    Returns:
        Images (1797, 8, 8), float64 in 0 ... 16, and labels (1797,).

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            'the digits need scikit-learn; install it with "pip install scikit-learn"'
        ) from error
    digits = datasets.load_digits()
    return digits.images, digits.target
