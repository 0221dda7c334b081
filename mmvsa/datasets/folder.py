"""One folder per class, also where nobody has split it."""

import os
from pathlib import Path
from typing import Any

from mmpretrain.datasets import CustomDataset

from mmvsa.registry import DATASETS

from .held_out import SPLITS, held_out_indices

# split -> names of its folder, the first that exists
_FOLDERS = {'train': ('train', 'training'), 'test': ('test', 'val', 'validation')}


@DATASETS.register_module()
class FolderSplit(CustomDataset):
    """Images in class folders of ``data_root``, with a train and a test split.

    ``data_root`` holds either ``train/`` and ``val/`` (or ``test/``), each with the class
    folders, or the class folders themselves: then a fifth of each class is held out, the same
    on every run.

    Args:
        data_root: the folder.
        split: ``'train'`` or ``'test'``.
        kwargs: those of mmpretrain's ``CustomDataset``, such as ``pipeline``.
    """

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.split = split
        folder = _split_folder(data_root, split)
        self.has_own_split = folder is not None
        classes = class_folders(data_root)
        super().__init__(
            data_root=str(folder or data_root), metainfo=dict(classes=tuple(classes)), **kwargs
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict with ``img_path`` and ``gt_label`` per sample of the split."""
        samples = super().load_data_list()
        if self.has_own_split:
            return samples
        samples.sort(key=lambda sample: sample['img_path'])
        indices = held_out_indices([sample['gt_label'] for sample in samples], self.split)
        return [samples[i] for i in indices]


def class_folders(data_root: str | os.PathLike) -> list[str]:
    """Sorted names of the classes under ``data_root``, or under its ``train/``.

    Raises:
        FileNotFoundError: there are none.
    """
    folder = _split_folder(data_root, 'train') or Path(data_root)
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != '.'
    )
    if not names:
        raise FileNotFoundError(f'{folder} has no folders; it should hold one folder per class')
    return names


def _split_folder(data_root: str | os.PathLike, split: str) -> Path | None:
    """The folder of a split; None where ``data_root`` holds the classes themselves."""
    root = Path(data_root)
    if not any((root / name).is_dir() for name in _FOLDERS['train']):
        return None
    for name in _FOLDERS[split]:
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f'{root} has a training folder but none of {_FOLDERS[split]}')
