"""The one door through which checkpoints are read: tensors and plain values, never code."""

import argparse
import hashlib
import http.client
import os
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .conversions import CheckpointError
from .pickled_modules import read_pickled_module

_URL = ('http://', 'https://')


def read_checkpoint(
    path: str | os.PathLike, *, map_location: Any = 'cpu', trust: bool = False
) -> dict[Any, Any]:
    """Read a whole checkpoint: weights, optimizer state, ``meta``, ``message_hub``.

    Nothing in the file is run. MMEngine's ``HistoryBuffer`` objects come back as such, without
    the methods that a file names for them. Config texts (``meta['config']``, ``meta['cfg']`` and
    the one of ``message_hub``) are left out: MMEngine's ``Runner.resume`` and its inferencers
    would execute them.

    Args:
        path: a file (PyTorch's format or ``.safetensors``) or an http(s) URL; a URL is downloaded
            once, into PyTorch's hub folder.
        map_location: as for ``torch.load``.
        trust: read with Python's pickle, which runs whatever code the file holds, and keep the
            config texts.

    Raises:
        CheckpointError: the file is missing, empty, broken, no dict, or needs code to be run.
    """
    source = os.fsdecode(path)
    is_url = source.startswith(_URL)
    local = _download(source) if is_url else os.path.expanduser(source)
    try:
        content = _load(local, source, map_location, trust)
    except CheckpointError:
        if is_url:  # the next attempt downloads it again
            Path(local).unlink(missing_ok=True)
        raise
    if not trust:
        _drop_configs(content)
    return content


def _load(local: str, source: str, map_location: Any, trust: bool) -> dict[Any, Any]:
    if not os.path.isfile(local):
        kind = 'is a folder' if os.path.isdir(local) else 'is missing'
        raise CheckpointError(
            f'no checkpoint at {source!r}: it {kind}; give the path of a .pth file'
        )
    try:
        if trust:
            content = torch.load(local, map_location=map_location, weights_only=False)
        else:
            with torch.serialization.safe_globals(_plain_types()):
                content = torch.load(local, map_location=map_location, weights_only=True)
    except Exception as error:
        tensors = read_pickled_module(local)
        if tensors is None:
            raise CheckpointError(_refusal(source, local, error)) from error
        content = tensors
    if not isinstance(content, dict):
        raise CheckpointError(f'{source} holds no checkpoint but a {type(content).__name__}')
    return content


def _refusal(source: str, local: str, error: Exception) -> str:
    """Return one sentence on why a file cannot be read."""
    code = re.search(r'GLOBAL (\S+)', str(error))
    if code:
        return (
            f'{source} cannot be read as weights (it needs {code[1]}). Only tensors and plain '
            'values are loaded: a file that needs its own code to be run is refused. If you trust '
            'it, load it yourself and save its state dict alone with torch.save.'
        )
    reason = (str(error) or type(error).__name__).splitlines()[0]
    try:
        with open(local, 'rb') as file:
            start = file.read(64).lstrip()
    except OSError:
        start = b'?'
    if not start:
        reason = 'it is empty'
    elif start.startswith(b'<'):
        reason = 'it is a web page'
    return f'{source} cannot be read as weights ({reason}); it may be truncated or no checkpoint'


def _download(url: str) -> str:
    """Return the path of a URL's file in PyTorch's hub folder, downloading it once."""
    # Two URLs may end in the same name.
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    name = f'{digest}-{os.path.basename(urlparse(url).path) or "checkpoint"}'
    target = Path(torch.hub.get_dir(), 'checkpoints', name)
    if target.is_file():
        return str(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), progress=sys.stderr.isatty())
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f'{url} cannot be downloaded ({reason}); download it yourself and give its path'
        ) from error
    return str(target)


class _SafeHistoryBuffer(HistoryBuffer):
    """Takes the values of a pickled ``HistoryBuffer`` and becomes one.

    Unpickling the real class writes the methods that a file names into a table that all buffers
    of the process share.
    """

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        values, counts = (np.asarray(state[key]) for key in ('_log_history', '_count_history'))
        HistoryBuffer.__init__(self, values, counts, int(state['max_length']))
        self.__class__ = HistoryBuffer  # type: ignore[assignment]


class _Settings:
    """Stand in for yacs's ``CfgNode``, the dict of settings in files of Swin's code base and RSP.

    The restricted unpickler fills no other dicts than Python's own.
    """

    def __new__(cls) -> OrderedDict:  # type: ignore[misc]
        return OrderedDict()


def _no_attribute(value: Any, name: str) -> None:
    """Stand in for ``getattr``, by which a ``HistoryBuffer`` refers to its methods."""


def _plain_types() -> list[Callable | tuple[Callable, str]]:
    """Return what checkpoints hold next to tensors: settings, NumPy values, MMEngine's logs."""
    functions = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefdU'}
    stands: list[tuple[Callable, str]] = [
        (_Settings, 'yacs.config.CfgNode'),
        (_SafeHistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_no_attribute, 'builtins.getattr'),
    ]
    return [argparse.Namespace, slice, np.ndarray, np.dtype, *functions, *dtypes, *stands]  # type: ignore[list-item]


def _drop_configs(content: dict[Any, Any]) -> None:
    """Remove the config texts, which MMEngine executes."""
    hub = content.get('message_hub')
    runtime = hub.get('runtime_info') if isinstance(hub, dict) else None
    for place, keys in ((content.get('meta'), ('config', 'cfg')), (runtime, ('cfg',))):
        if isinstance(place, dict):
            for key in keys:
                place.pop(key, None)


# Scheme of a model zoo -> MMEngine's function of its URLs by name.
_MODEL_ZOOS = {
    'torchvision': 'get_torchvision_models',
    'modelzoo': 'get_torchvision_models',
    'open-mmlab': 'get_external_models',
    'openmmlab': 'get_external_models',
    'mmcls': 'get_mmcls_models',
}


def install_safe_loading() -> None:
    """Make everything that loads by MMEngine in this process use :func:`read_checkpoint`.

    That is: ``load_from``, ``--resume``, ``init_cfg`` of any module, the ``init_model`` and
    inferencer functions of mmpretrain, mmdet and mmsegmentation, and MMEngine's
    ``load_checkpoint``, for local files, http(s) URLs and the names of MMEngine's model zoos
    (``torchvision://``, ``open-mmlab://``, ``mmcls://``). Its other schemes (``s3://``,
    ``petrel://``, ``pavi://``) are refused. Calls of ``torch.load`` elsewhere are not affected.
    """
    from mmengine.runner import CheckpointLoader

    for prefix in list(CheckpointLoader._schemes):
        loader = load_from_unsupported
        if prefix in ('', *_URL):
            loader = load_from_weights_only
        elif prefix.removesuffix('://') in _MODEL_ZOOS:
            loader = load_from_model_zoo
        CheckpointLoader.register_scheme(prefix, loader, force=True)


# MMEngine logs the names of these functions without their first ten letters ("load_from_").
def load_from_weights_only(filename: str, map_location: Any = None) -> dict[Any, Any]:
    """Read a file or URL for MMEngine."""
    return read_checkpoint(filename, map_location=map_location)


def load_from_model_zoo(filename: str, map_location: Any = None) -> dict[Any, Any]:
    """Read a file that MMEngine's model zoos know by name."""
    from mmengine.runner import checkpoint

    scheme, _, name = filename.partition('://')
    urls = getattr(checkpoint, _MODEL_ZOOS[scheme])()
    name = checkpoint.get_deprecated_model_names().get(name, name)
    if name not in urls:
        raise CheckpointError(f'{filename!r} is no name of a model that MMEngine knows')
    content = read_checkpoint(urls[name], map_location=map_location)
    if scheme != 'mmcls':
        return content
    weights = content.get('state_dict', content)
    prefix = 'backbone.'
    return dict(
        state_dict={k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
    )


def load_from_unsupported(filename: str, map_location: Any = None) -> dict[Any, Any]:
    """Refuse a storage that cannot be read safely."""
    raise CheckpointError(f'{filename} is no file or http(s) URL: copy it here and give its path')
