"""One folder per class, also where nobody has split it."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.datasets import CustomDataset

from mmvsa.registry import DATASETS

from .class_folders import find_class_folders
from .errors import DatasetError
from .held_out import SPLITS, held_out_indices
from .images import IMAGE_SUFFIXES


@DATASETS.register_module()
class FolderSplit(CustomDataset):
    """Images in class folders of ``data_root``, with a train and a test split.

    ``data_root`` holds either ``train/`` and ``val/`` (or ``test/``), each with the class
    folders, or the class folders themselves: then a fifth of each class is held out, the same
    on every run. The rules are those of :mod:`mmvsa.datasets.class_folders`.

    Args:
        data_root: the folder.
        split: ``'train'`` or ``'test'``.
        skip_bad: Leave out images that cannot be read. In training another image takes the place
            of one; of the held-out images, all are read once at the start.
        extensions: Suffixes of images.
        pipeline: Transforms; :class:`mmvsa.datasets.LoadImage`, which names bad files, takes the
            place of ``LoadImageFromFile``.
        kwargs: those of mmpretrain's ``CustomDataset``.

    Raises:
        ValueError: Another split.
        DatasetError: The folders break a rule.
    """

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str = 'train',
        *,
        skip_bad: bool = False,
        extensions: tuple[str, ...] = IMAGE_SUFFIXES,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.split = split
        self.skip_bad = skip_bad
        self.folders = find_class_folders(data_root)
        # Which samples could not be read; in shared memory, since workers find out.
        self._is_bad = torch.zeros(0, dtype=torch.bool)
        self._bad_before: list[str] = []  # found at the start
        super().__init__(
            pipeline=[_with_own_loader(step) for step in pipeline],
            data_root=str(self.folders.split_folder(split)),
            metainfo=dict(classes=self.folders.classes),
            extensions=extensions,
            **kwargs,
        )

    @staticmethod
    def count_classes(config: dict[str, Any]) -> int:
        """Check the folders of a dataset's config, before it is built, and count its classes.

        Raises:
            DatasetError: The folders break a rule.
        """
        folders = find_class_folders(config['data_root'])
        suffixes = tuple(config.get('extensions', IMAGE_SUFFIXES))
        folders.samples(
            config.get('split', 'train'), suffixes, allow_empty=config.get('skip_bad', False)
        )
        return len(folders.classes)

    def full_init(self) -> None:
        """Find the samples, and read the held-out ones once where bad ones are to be skipped."""
        if self._fully_initialized:
            return
        super().full_init()
        self._is_bad = torch.zeros(len(self), dtype=torch.bool).share_memory_()
        if self.skip_bad and self.split == 'test':
            good = []
            for index in range(len(self)):
                try:
                    self.prepare_data(index)
                    good.append(index)
                except DatasetError:
                    self._bad_before.append(self.get_data_info(index)['img_path'])
            if self._bad_before:
                self.get_subset_(good)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict with ``img_path`` and ``gt_label`` per sample of the split."""
        samples = super().load_data_list()
        if self.folders.has_own_split:
            return samples
        indices = held_out_indices([sample['gt_label'] for sample in samples], self.split)
        return [samples[i] for i in indices]

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline; None, for another sample, where an image of the training is bad."""
        try:
            return super().prepare_data(idx)
        except DatasetError:
            if not self.skip_bad or self.split == 'test':
                raise
            self._is_bad[idx] = True
            return None

    def bad_images(self) -> list[str]:
        """Return the paths of the images that were skipped so far."""
        found = self._is_bad.nonzero().flatten().tolist()
        return [*self._bad_before, *(self.get_data_info(i)['img_path'] for i in found)]

    def _find_samples(self) -> list[tuple[str, int]]:
        return self.folders.samples(self.split, self.extensions, allow_empty=self.skip_bad)


def _with_own_loader(step: Any) -> Any:
    """Replace mmcv's step that reads images, which loses the name of a bad one."""
    kind = step.get('type') if isinstance(step, dict) else None
    if isinstance(kind, str) and kind.rpartition('.')[2] == 'LoadImageFromFile':
        return {**step, 'type': 'mmvsa.LoadImage'}
    return step


def class_folders(data_root: str | os.PathLike) -> list[str]:
    """Sorted names of the classes under ``data_root``, or under its ``train/``.

    Raises:
        DatasetError: The folders break a rule of :mod:`mmvsa.datasets.class_folders`.
    """
    return list(find_class_folders(data_root).classes)
