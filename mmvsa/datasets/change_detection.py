"""Pairs of images and maps of what changed between them, for mmseg's pipelines."""

import os
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmseg.datasets import BaseCDDataset

from mmvsa.registry import DATASETS

from .change_maps import check_names, check_sizes, read_change_map
from .errors import DatasetError

SPLITS = ('train', 'val', 'test')
# Folder names of a split, as in the official code: first image, second image, change map.
PREFIXES = {'img_path': 'A', 'img_path2': 'B', 'seg_map_path': 'OUT'}
CLASSES = ('unchanged', 'changed')


@DATASETS.register_module()
class ChangeDetectionDataset(BaseCDDataset):
    """Pairs of images in ``{train,val,test}/{A,B,OUT}``, as the official code has CDD and LEVIR.

    The three files of a pair have one name. A change map is 0 where nothing changed and 255 where
    something did; see :func:`~mmvsa.datasets.change_maps.read_change_map`. All files are checked
    when the dataset is built, before a training starts.

    Args:
        data_root: folder of the splits.
        split: ``'train'``, ``'val'`` or ``'test'``. It names the folders that ``data_prefix``
            leaves out.
        data_prefix: other folders, relative to ``data_root``: ``img_path`` (first image),
            ``img_path2`` (second image), ``seg_map_path`` (change map).
        suffix: of the images.
        map_suffix: of the change maps; by default that of the images.
        check_files: read every change map and the headers of all images, about a millisecond per
            pair. Without it only the names are compared.
        options: those of mmseg's ``BaseCDDataset``, such as ``ann_file`` (a file with the names of
            some pairs, without suffix), ``pipeline``, ``test_mode`` and ``indices``.

    Raises:
        ValueError: an unknown split.
        DatasetError: a folder or a partner is missing, the sizes of a pair differ, a file is no
            image, a change map has other values than 0 and 255, or no map of a training set has
            any change. The message names the file.
    """

    METAINFO = dict(classes=CLASSES, palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str = 'train',
        data_prefix: dict[str, str] | None = None,
        *,
        suffix: str = '.png',
        map_suffix: str | None = None,
        check_files: bool = True,
        **options: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.split, self.check_files = split, check_files
        folders = {key: f'{split}/{folder}' for key, folder in PREFIXES.items()}
        super().__init__(
            data_root=os.fspath(data_root),
            data_prefix={**folders, **(data_prefix or {})},
            img_suffix=suffix,
            img_suffix2=suffix,
            seg_map_suffix=map_suffix or suffix,
            **options,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return ``img_path``, ``img_path2`` and ``seg_map_path`` of every pair, checked."""
        folders = {key: str(self.data_prefix[key]) for key in PREFIXES}
        for folder in folders.values():
            if not os.path.isdir(folder):
                raise DatasetError(f'there is no folder {folder}')
        pairs = super().load_data_list()
        if self.ann_file:
            self._check_listed(pairs)
        else:
            check_names(self._files(folders))
        if not pairs:
            raise DatasetError(f'{folders["img_path"]} has no {self.img_suffix} image')
        if self.check_files:
            self._check_files(pairs)
        return pairs

    def _files(self, folders: dict[str, str]) -> dict[str, dict[str, str]]:
        """Folder -> {name without suffix: path}, subfolders included."""
        suffixes = (self.img_suffix, self.img_suffix2, self.seg_map_suffix)
        found = {}
        for folder, suffix in zip(folders.values(), suffixes, strict=True):
            paths = Path(folder).rglob(f'*{suffix}')
            found[folder] = {
                str(path.relative_to(folder))[: -len(suffix)]: str(path) for path in paths
            }
        return found

    def _check_listed(self, pairs: list[dict[str, Any]]) -> None:
        for pair in pairs:
            for key in PREFIXES:
                if not os.path.isfile(pair[key]):
                    raise DatasetError(f'{self.ann_file} lists {pair[key]}, which does not exist')

    def _check_files(self, pairs: list[dict[str, Any]]) -> None:
        changed = 0
        for pair in pairs:
            check_sizes(pair[key] for key in PREFIXES)
            changed += bool(read_change_map(pair['seg_map_path']).any())
        folder = self.data_prefix['seg_map_path']
        if not changed and not self.test_mode:
            raise DatasetError(
                f'none of the {len(pairs)} change maps in {folder} has a changed pixel (255): '
                'there is nothing to learn'
            )
        print_log(f'{folder}: {changed} of {len(pairs)} pairs have changes', logger='current')
