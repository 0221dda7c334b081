"""Datasets of a config: where they are, whether they are there, another place for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

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
    Data sets in memory (``mmvsa.Digits``) give way to the class folders of ``data_root``
    (``mmvsa.FolderSplit``), and the classifier's head gets as many classes; beside data sets in
    folders they stay. A hook that writes a data set writes it to ``data_root`` where that does not
    exist, and is dropped where it does.

    Raises:
        UsageError: ``data_root`` is no folder (and no hook writes it), or a dataset reads none.
    """
    exists = _is_remote(data_root) or os.path.isdir(data_root)
    if exists:
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if not _writes(hook)]
    elif os.path.exists(data_root) or not _written_roots(cfg):
        raise UsageError(f'data_root={data_root} is not a folder')
    old_roots = {dataset.get('data_root') for _, dataset in iter_datasets(cfg)}
    for key, dataset in iter_datasets(cfg):
        if dataset.type == 'mmvsa.Digits':
            if not any(old_roots):
                dataset.update(type='mmvsa.FolderSplit', data_root=data_root)
                _follow_classes(cfg, data_root)
        elif not {'data_root', 'data_prefix', 'ann_file'} & dataset.keys():
            raise UsageError(f'{key} ({dataset.type}) reads no folder: data_root is not for it')
        else:
            dataset.data_root = data_root
    for root in sorted(filter(None, old_roots), key=len, reverse=True):
        for name in (*LOADERS, 'val_evaluator', 'test_evaluator', 'custom_hooks'):
            if cfg.get(name):
                cfg[name] = _replace_root(cfg[name], root, data_root)
    cfg.data_root = data_root


def _writes(hook: dict) -> bool:
    """Whether a hook writes a data set (``mmvsa.PrepareDigitScenesHook``)."""
    return 'Prepare' in str(hook.get('type')) and bool(hook.get('data_root'))


def _written_roots(cfg: Config) -> set[str]:
    """Roots of the data sets that hooks write before they are read."""
    hooks = cfg.get('custom_hooks') or []
    return {os.path.normpath(hook['data_root']) for hook in hooks if _writes(hook)}


def _follow_classes(cfg: Config, data_root: str) -> None:
    from mmvsa.datasets import class_folders

    try:
        count = len(class_folders(data_root))
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
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

    Data sets that a hook writes on first use are left to it.
    """
    for key, dataset in iter_datasets(cfg):
        written = os.path.normpath(dataset.get('data_root') or '.') in _written_roots(cfg)
        if written or not key.startswith(loaders):
            continue
        for option, path in _dataset_paths(dataset):
            if not os.path.exists(path):
                raise UsageError(
                    f'{key}.{option} points to {path}, which does not exist; put the data set '
                    f'there, or name its folder with --cfg-options data_root=PATH '
                    f'(for this one only: {key}.data_root=PATH)'
                )


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
