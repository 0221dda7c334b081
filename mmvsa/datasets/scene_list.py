"""Scenes named in a text file, one per line with its class."""

import os
from typing import Any

from mmpretrain.datasets import CustomDataset

from mmvsa.registry import DATASETS

from .errors import DatasetError


@DATASETS.register_module()
class SceneList(CustomDataset):
    """Images listed as ``file class_name index`` or ``file index``, as RSP and RVSA have them.

    The columns are separated by white space. Class names, where the list has one of every class,
    become the ``classes`` of ``metainfo``. All lines are checked when the dataset is built, before
    a training starts.

    Args:
        ann_file: The list, relative to ``data_root``.
        num_classes: Indices run from 0 to ``num_classes - 1``; None takes any.
        options: Those of mmpretrain's ``CustomDataset``, such as ``data_root``, ``data_prefix``
            (the folder of the images) and ``pipeline``.

    Raises:
        DatasetError: The list or an image does not exist, a line has another number of columns, an
            index is no class, or a class has two names. The message names the list and the line.
    """

    def __init__(
        self, ann_file: str | os.PathLike, *, num_classes: int | None = None, **options: Any
    ) -> None:
        self.num_classes = num_classes
        super().__init__(ann_file=os.fspath(ann_file), **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return ``img_path`` and ``gt_label`` of every line."""
        samples = []
        names: dict[int, str] = {}
        for place, columns in self._lines():
            label = self._label(place, columns[-1])
            if len(columns) == 3 and names.setdefault(label, columns[1]) != columns[1]:
                raise DatasetError(
                    f'{place}: class {label} is {columns[1]!r}, before it was {names[label]!r}'
                )
            path = os.path.join(self.img_prefix, columns[0])
            if not os.path.isfile(path):
                raise DatasetError(f'{place}: there is no image {path}')
            samples.append(dict(img_path=path, gt_label=label))
        if not samples:
            raise DatasetError(f'{self.ann_file} lists no images')
        every = range(self.num_classes or len(names))
        if self.CLASSES is None and names and sorted(names) == list(every):
            self._metainfo['classes'] = tuple(names[label] for label in every)
        return samples

    def _lines(self) -> list[tuple[str, list[str]]]:
        """Return where each line with text is, and its columns."""
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                lines = [line.split() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f'cannot read the list {self.ann_file} ({error})') from error
        found = [(f'{self.ann_file}, line {n}', line) for n, line in enumerate(lines, 1) if line]
        for place, columns in found:
            if len(columns) not in (2, 3):
                raise DatasetError(
                    f'{place} has {len(columns)} columns; expected a file, perhaps the name of its '
                    'class, and the index of its class'
                )
        return found

    def _label(self, place: str, text: str) -> int:
        if not text.isdecimal():
            raise DatasetError(f'{place}: {text!r} is no index of a class')
        label = int(text)
        if self.num_classes is not None and label >= self.num_classes:
            raise DatasetError(
                f'{place}: there is no class {label}; the classes are 0 to {self.num_classes - 1}'
            )
        return label
