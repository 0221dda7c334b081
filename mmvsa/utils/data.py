"""Datasets of a config: where they are, whether they are there, another place for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmvsa.registry import DATASETS

from .errors import UsageError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def iter_datasets(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    """(dotted key, config) of every dataset, those inside wrappers included."""
    for loader in LOADERS:
        if cfg.get(loader) and cfg[loader].get('dataset'):
            yield from _unwrap(f'{loader}.dataset', cfg[loader].dataset)


def _unwrap(key: str, dataset: ConfigDict) -> Iterator[tuple[str, ConfigDict]]:
    if 'dataset' in dataset:
        yield from _unwrap(f'{key}.dataset', dataset.dataset)
    elif 'datasets' in dataset:
        for index, inner in enumerate(dataset.datasets):
            yield from _unwrap(f'{key}.datasets.{index}', inner)
    else:
        yield key, dataset


def use_data_root(cfg: Config, data_root: str) -> None:
    """Point every dataset of ``cfg`` to ``data_root``.

    Paths that begin with a dataset's old root follow it, also an evaluator's annotation file.
    Datasets in memory (those with a ``folder_type``, such as ``mmvsa.Digits``) give way to the
    class folders of ``data_root``, and the classifier's head gets as many classes; next to datasets
    in folders they stay. Datasets that generate their files may name a new folder.

    Raises:
        UsageError: ``data_root`` is no folder (and nothing is generated), or a dataset reads none.
    """
    generated = [data for _, data in iter_datasets(cfg) if dataset_attribute(data, 'generates')]
    if _is_remote(data_root) or os.path.isdir(data_root):
        for dataset in generated:
            dataset.settings = None  # whatever the folder has
    elif os.path.exists(data_root) or not generated:
        raise UsageError(f'data_root={data_root} is not a folder')
    old_roots = {dataset.get('data_root') for _, dataset in iter_datasets(cfg)}
    for key, dataset in iter_datasets(cfg):
        folder_type = dataset_attribute(dataset, 'folder_type')
        if folder_type:
            if not any(old_roots):
                dataset.update(type=folder_type, data_root=data_root)
                _follow_classes(cfg, data_root)
        elif not {'data_root', 'data_prefix', 'ann_file'} & dataset.keys():
            raise UsageError(f'{key} ({dataset.type}) reads no folder: data_root is not for it')
        else:
            dataset.data_root = data_root
    for root in sorted(filter(None, old_roots), key=len, reverse=True):
        for name in (*LOADERS, 'val_evaluator', 'test_evaluator'):
            if cfg.get(name):
                cfg[name] = _replace_root(cfg[name], root, data_root)
    cfg.data_root = data_root


def dataset_attribute(dataset: ConfigDict, name: str) -> Any:
    """Return an attribute of a dataset's class, or None where the class is not one of mmvsa."""
    kind = dataset.type
    return getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, name, None)


def _follow_classes(cfg: Config, data_root: str) -> None:
    from mmvsa.datasets import class_folders

    count = len(class_folders(data_root))
    cfg.model.head.num_classes = count
    if cfg.get('data_preprocessor'):
        cfg.data_preprocessor.num_classes = count


def _replace_root(value: Any, old: str, new: str) -> Any:
    """``value`` with every string that is ``old`` or lies in it moved to ``new``."""
    if isinstance(value, dict):
        for key in value:
            value[key] = _replace_root(value[key], old, new)
    elif isinstance(value, (list, tuple)):
        return type(value)(_replace_root(item, old, new) for item in value)
    elif isinstance(value, str):
        inside = value.rstrip('/') == old.rstrip('/') or value.startswith(old.rstrip('/') + '/')
        if inside:
            return os.path.join(new, value[len(old.rstrip('/')) :].lstrip('/'))
    return value


def check_datasets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Raise UsageError for the first file or folder of a dataset that does not exist.

    Class folders are looked through by the rules of :mod:`mmvsa.datasets.class_folders`. Datasets
    that generate their files are left to do so.
    """
    for key, dataset in iter_datasets(cfg):
        if not key.startswith(loaders) or dataset_attribute(dataset, 'generates'):
            continue
        for option, path in _dataset_paths(dataset):
            if not os.path.exists(path):
                raise UsageError(
                    f'{key}.{option} points to {path}, which does not exist; put the dataset '
                    f'there, or name its folder with --cfg-options data_root=PATH '
                    f'(for this one only: {key}.data_root=PATH)'
                )
        count_classes = dataset_attribute(dataset, 'count_classes')
        if count_classes and not dataset.get('ann_file'):
            count_classes(dataset)


def _dataset_paths(dataset: ConfigDict) -> Iterator[tuple[str, str]]:
    """(option, path) of the local paths that a dataset names."""
    root = dataset.get('data_root') or ''
    if _is_remote(root) or not isinstance(root, str):
        return
    if root:
        yield 'data_root', root
    prefixes = dataset.get('data_prefix') or {}
    if isinstance(prefixes, str):
        prefixes = {'': prefixes}
    named = {f'data_prefix.{name}'.rstrip('.'): path for name, path in prefixes.items()}
    for option, path in {'ann_file': dataset.get('ann_file'), **named}.items():
        if isinstance(path, str) and path and not _is_remote(path):
            yield option, str(Path(root).expanduser() / path)


def _is_remote(path: Any) -> bool:
    return isinstance(path, str) and '://' in path
