"""Reading checkpoints: files, parts of them, tables of other sizes.

Key names of other code are translated by :mod:`mmvsa.models.conversions`.
"""

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from .conversions import StateDict, adapt_state_dict, is_foreign
from .layers.position import resize_position

# Where a file keeps its weights; the averaged ones first, as timm does.
CONTAINERS = ('state_dict_ema', 'state_dict', 'model_ema', 'model')
# Below this share of the model's tensors a file is taken to be another model's.
MIN_MATCHED = 0.5


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or is another model's."""


@dataclass
class LoadReport:
    """What became of a checkpoint.

    Attributes:
        matched: keys that were loaded.
        missing: keys of the model that the file lacks; they keep their fresh values.
        unexpected: keys of the file that the model lacks.
        mismatched: ``key: file shape, model shape`` of keys left out for their shape.
        resized: ``key: file shape -> model shape`` of tables interpolated to the model's size.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{len(self.matched)} tensors loaded']
        for name in ('missing', 'unexpected', 'mismatched', 'resized'):
            keys = getattr(self, name)
            if keys:
                shown = ', '.join(keys[:4]) + (', ...' if len(keys) > 4 else '')
                word = 'fresh (not in the file)' if name == 'missing' else name
                lines.append(f'{len(keys)} {word}: {shown}')
        return '; '.join(lines)


def read_state_dict(path: str | os.PathLike) -> StateDict:
    """The weights of a file, without ``module.`` prefixes, read without running its code.

    Takes a plain state dict and one under any of :data:`CONTAINERS`.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or needs code to be run.
    """
    content = _read_file(os.fspath(path))
    for container in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(container), Mapping):
            content = content[container]
            break
    tensors = {}
    if isinstance(content, Mapping):
        tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(f'{path} holds no state dict; looked at the top and in {CONTAINERS}')
    return {_strip_module(key): value for key, value in tensors.items()}


def _read_file(path: str) -> Any:
    if path.startswith(('http://', 'https://')):
        return torch.hub.load_state_dict_from_url(path, map_location='cpu', weights_only=True)
    if not os.path.isfile(path):
        raise CheckpointError(f'no checkpoint at {path!r}; give the path of a .pth file')
    try:
        with torch.serialization.safe_globals(_harmless_types()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f'{path} cannot be read as weights ({reason}). Only tensors and plain values are '
            'loaded: a file that needs its own code to be run is refused. If you trust it, load '
            'it yourself and save its state dict alone with torch.save.'
        ) from error


class _Record:
    """Stands in for MMEngine's ``HistoryBuffer``.

    Unpickling the real one writes its methods into a table that all of them share: with ``getattr``
    replaced, a file that is merely read would break the logging of the whole process.
    """

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        pass


def _no_attribute(value: Any, name: str) -> None:
    return None


def _harmless_types() -> list[Any]:
    """What stands beside tensors in files of MMEngine (records) and of the authors (arguments).

    Records refer to methods by ``getattr``; stand-ins that look nothing up take their places.
    """
    import numpy as np

    functions = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    dtypes = {type(np.dtype(name)) for name in ('f8', 'f4', 'i8', 'i4', 'b1', 'u1')}
    types = [argparse.Namespace, np.ndarray, np.dtype, *functions, *dtypes]
    record = (_Record, 'mmengine.logging.history_buffer.HistoryBuffer')
    return [*types, record, (_no_attribute, 'builtins.getattr')]


def _strip_module(key: str) -> str:
    return key.removeprefix('module.')


def resize_to_model(
    state_dict: Mapping[str, Tensor], model: nn.Module, report: LoadReport | None = None
) -> StateDict:
    """Interpolate position tables to the window and image of ``model``, and say so."""
    own = dict(model.named_parameters())
    resized = dict(state_dict)
    for key, value in state_dict.items():
        target, resize = own.get(key), _RESIZERS.get(key.rsplit('.', 1)[-1])
        if resize is None or target is None or target.shape == value.shape:
            continue
        new = resize(value, target.shape) if value.dim() == target.dim() else value
        if new.shape == target.shape:
            resized[key] = new
            line = f'{key}: {tuple(value.shape)} -> {tuple(new.shape)}'
            print_log(f'resized {line}', logger='current')
            if report is not None:
                report.resized.append(line)
    return resized


def _resize_table(table: Tensor, shape: torch.Size) -> Tensor:
    """Relative positions ((2 a - 1)^2, heads) -> ((2 b - 1)^2, heads)."""
    old, new = math.isqrt(table.shape[0]), math.isqrt(shape[0])
    if old * old != table.shape[0]:
        return table
    image = table.float().T.reshape(1, -1, old, old)
    image = F.interpolate(image, size=(new, new), mode='bicubic', align_corners=True)
    return image.reshape(-1, new * new).T.to(table.dtype)


def _resize_line(table: Tensor, shape: torch.Size) -> Tensor:
    """Relative positions of one axis (2 a - 1, d) -> (2 b - 1, d)."""
    line = F.interpolate(table.float().T[None], size=shape[0], mode='linear', align_corners=True)
    return line[0].T.to(table.dtype)


def _resize_positions(embedding: Tensor, shape: torch.Size) -> Tensor:
    """Positions of a square map (1, E + a*a, C) -> (1, E + b*b, C), E (0 or 1) class tokens."""
    sides = [math.isqrt(length) for length in (embedding.shape[1], shape[1])]
    extra = [n - side * side for n, side in zip((embedding.shape[1], shape[1]), sides, strict=True)]
    if extra[0] != extra[1] or extra[0] > 1:
        return embedding
    return resize_position(embedding, (sides[0], sides[0]), (sides[1], sides[1]))


# Last part of a key -> how its tensor takes the shape of another window or image.
_RESIZERS: dict[str, Callable[[Tensor, torch.Size], Tensor]] = {
    'relative_position_bias_table': _resize_table,
    'rel_pos_h': _resize_line,
    'rel_pos_w': _resize_line,
    'pos_embed': _resize_positions,
}


def select_part(state_dict: Mapping[str, Tensor], model: nn.Module, prefix: str = '') -> StateDict:
    """The part of a file that fits ``model``, with the names of ``model``.

    Takes a classifier's, a detector's or a backbone's file, for a whole model (with a
    ``backbone``) or for a backbone alone. ``prefix`` names the part explicitly.
    """
    has_backbone = isinstance(getattr(model, 'backbone', None), nn.Module)
    if is_foreign(state_dict):
        # A classification file of other code has no prefix: nothing there is to be cut off.
        return _place(adapt_state_dict(state_dict), has_backbone)
    part = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    if prefix and not part:
        raise CheckpointError(
            f'no key starts with prefix {prefix!r}; the file has {_sample(state_dict)}'
        )
    inner = {k[9:]: v for k, v in part.items() if k.startswith('backbone.')}
    rest = {k: v for k, v in part.items() if not k.startswith('backbone.')}
    if not inner:
        return _place(adapt_state_dict(rest), has_backbone)
    inner = adapt_state_dict(inner)
    if not has_backbone:
        return inner
    return {**{f'backbone.{k}': v for k, v in inner.items()}, **rest}


def _place(state_dict: StateDict, has_backbone: bool) -> StateDict:
    """A backbone's keys (and ``head.``) as those of a whole model or of a backbone alone."""
    inner = {k[9:]: v for k, v in state_dict.items() if k.startswith('backbone.')}
    if inner:  # of a whole model already
        return state_dict if has_backbone else inner
    if has_backbone:
        whole = ('head.', 'neck.', 'data_preprocessor.')
        return {k if k.startswith(whole) else f'backbone.{k}': v for k, v in state_dict.items()}
    return {k: v for k, v in state_dict.items() if not k.startswith('head.')}


def load_pretrained(
    model: nn.Module, checkpoint: str | os.PathLike | Mapping[str, Tensor], prefix: str = ''
) -> LoadReport:
    """Load a checkpoint of mmvsa or of the authors into a model or a backbone.

    Args:
        model: a classifier, detector, segmentor, or a backbone.
        checkpoint: a path, a URL, or a state dict.
        prefix: take only the keys that start with it, and cut it off.

    Returns:
        What matched; it is logged as well.

    Raises:
        CheckpointError: the file cannot be read, or matches less than half of the model.
    """
    source = 'the state dict' if isinstance(checkpoint, Mapping) else str(checkpoint)
    state_dict = checkpoint if isinstance(checkpoint, Mapping) else read_state_dict(checkpoint)
    report = LoadReport()
    part = resize_to_model(select_part(dict(state_dict), model, prefix), model, report)
    fitting = _sort_keys(part, model, report)
    _check_matched(report, model, source, part)
    model.load_state_dict(fitting, strict=False)
    print_log(f'{source}: {report}', logger='current')
    return report


def _sort_keys(part: StateDict, model: nn.Module, report: LoadReport) -> StateDict:
    own = model.state_dict()
    for key, value in part.items():
        if key not in own:
            report.unexpected.append(key)
        elif own[key].shape != value.shape:
            shapes = f'{tuple(value.shape)}, {tuple(own[key].shape)}'
            report.mismatched.append(f'{key}: {shapes}')
        else:
            report.matched.append(key)
    report.missing.extend(k for k in own if k not in part and not k.endswith('num_batches_tracked'))
    return {key: part[key] for key in report.matched}


def _check_matched(report: LoadReport, model: nn.Module, source: str, part: StateDict) -> None:
    names = [k for k in model.state_dict() if not k.endswith('num_batches_tracked')]
    matched = sum(not k.endswith('num_batches_tracked') for k in report.matched)
    if matched >= MIN_MATCHED * len(names):
        return
    message = f'{source} fits only {matched} of the {len(names)} tensors of the model'
    if report.mismatched:
        message += f'; of another shape (file, model): {", ".join(report.mismatched[:3])}'
    raise CheckpointError(
        f'{message}. The file has {_sample(part)}; the model has {_sample(names)}. '
        'Is it a checkpoint of this model?'
    )


def _sample(keys: Any) -> str:
    names = sorted(keys)
    return ', '.join(names[:3]) + (f', ... ({len(names)} keys)' if len(names) > 3 else '')
