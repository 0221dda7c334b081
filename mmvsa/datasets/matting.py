"""Datasets of image matting: folders of images and of mattes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import fileio
from mmengine.dataset import BaseDataset

from mmvsa.registry import DATASETS

from .errors import DatasetError
from .images import IMAGE_SUFFIXES
from .matting_transforms import MATTE_KEYS


@DATASETS.register_module()
class MattingDataset(BaseDataset):
    """Images and mattes of the same file names, in one folder for each kind.

    Args:
        data_root: Folder of the folders.
        data_prefix: Kind -> folder; ``img`` and ``alpha``, and optionally ``trimap`` (for the
            metrics; generated where it is missing), ``foreground`` and ``background`` (for the
            composition loss). Suffixes may differ: files belong together by their stem.
        kwargs: Those of MMEngine's ``BaseDataset``, such as ``pipeline`` and ``indices``.

    Raises:
        ValueError: A kind is unknown.
        DatasetError: A folder is missing or has no images, or an image lacks a file.
    """

    def __init__(
        self,
        data_root: str = '',
        data_prefix: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        prefix = dict(data_prefix or dict(img='image', alpha='alpha'))
        unknown = set(prefix) - set(MATTE_KEYS)
        if unknown or not {'img', 'alpha'} <= prefix.keys():
            raise ValueError(
                f'data_prefix needs img and alpha and may have any of {MATTE_KEYS[2:]}, '
                f'got {sorted(prefix)}'
            )
        super().__init__(data_root=data_root, data_prefix=prefix, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a dict of ``img_path``, ``alpha_path``, ... for each image."""
        files = {key: files_by_stem(folder) for key, folder in self.data_prefix.items()}
        images = files['img']
        for key, found in files.items():
            missing = [path for stem, path in images.items() if stem not in found]
            if missing:
                shown = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
                raise DatasetError(
                    f'{self.data_prefix[key]} lacks the {key} of {len(missing)} of '
                    f'{len(images)} images: {shown}; add files of the same stem'
                )
        return [{f'{key}_path': found[stem] for key, found in files.items()} for stem in images]


def files_by_stem(folder: str) -> dict[str, str]:
    """Return stem -> path of the images of a folder, sorted."""
    if '://' not in folder and not Path(folder).is_dir():
        raise DatasetError(f'{folder} is no folder; check data_root and data_prefix')
    files: dict[str, str] = {}
    for name in sorted(fileio.list_dir_or_file(folder, list_dir=False)):
        if not name.lower().endswith(IMAGE_SUFFIXES) or name.startswith('.'):
            continue
        stem = Path(name).stem
        if stem in files:
            raise DatasetError(f'{folder} has two files of the stem {stem}; remove one')
        files[stem] = fileio.join_path(folder, name)
    if not files:
        raise DatasetError(f'{folder} has no images')
    return files


@DATASETS.register_module()
class P3M10K(MattingDataset):
    """P3M-10k (arXiv 2104.14222): portraits with blurred faces, and two test sets.

    Args:
        data_root: The unpacked folder, with ``train`` and ``validation``.
        split: ``'train'`` (9,421 images), ``'P3M-500-P'`` (blurred faces) or ``'P3M-500-NP'``.
        foregrounds: Load the foregrounds and backgrounds of the training images, which only the
            package of 2024 has.
        kwargs: Those of :class:`MattingDataset`.
    """

    SPLITS = {
        'train': dict(img='train/blurred_image', alpha='train/mask'),
        'P3M-500-P': dict(
            img='validation/P3M-500-P/blurred_image',
            alpha='validation/P3M-500-P/mask',
            trimap='validation/P3M-500-P/trimap',
        ),
        'P3M-500-NP': dict(
            img='validation/P3M-500-NP/original_image',
            alpha='validation/P3M-500-NP/mask',
            trimap='validation/P3M-500-NP/trimap',
        ),
    }
    FOREGROUNDS = dict(foreground='train/fg_blurred', background='train/bg')

    def __init__(
        self,
        data_root: str = 'data/P3M-10k',
        split: str = 'train',
        *,
        foregrounds: bool = False,
        **kwargs: Any,
    ) -> None:
        if split not in self.SPLITS:
            raise ValueError(f'split must be one of {list(self.SPLITS)}, got {split!r}')
        if foregrounds and split != 'train':
            raise ValueError(f'only the split train has foregrounds, not {split}')
        prefix = {**self.SPLITS[split], **(self.FOREGROUNDS if foregrounds else {})}
        kwargs.setdefault('data_prefix', prefix)
        super().__init__(data_root, **kwargs)
