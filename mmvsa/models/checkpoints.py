"""Load checkpoints into models: choose the part that fits, resize tables, check, report.

Files are read by :mod:`mmvsa.models.safe_loading`; key names of other code bases are translated by
:mod:`mmvsa.models.conversions`.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.model.weight_init import PretrainedInit as _PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from .conversions import (
    CheckpointError,
    StateDict,
    adapt_state_dict,
    adapt_whole_model,
    is_foreign,
    unite,
)
from .layers.position import resize_position
from .safe_loading import read_checkpoint

# Where a file keeps its weights; the averaged ones first, as in timm.
CONTAINERS = (
    'state_dict_ema',
    'model_ema',
    'ema',
    'state_dict',
    'model_state_dict',
    'model',
    'module',
)
# A file that fills a smaller share of the model's tensors is taken to be another model's.
MIN_MATCHED = 0.5
# What torch.compile, FSDP and activation checkpointing insert into keys.
_WRAPPERS = re.compile(r'(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)')


@dataclass
class LoadReport:
    """What became of a checkpoint.

    Attributes:
        matched: keys that were loaded.
        missing: keys of the model that the file lacks; they keep their initial values.
        unexpected: keys of the file that the model lacks.
        mismatched: ``key: file shape, model shape`` of keys left out for their shape.
        resized: ``key: file shape -> model shape`` of interpolated tables and padded kernels.
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
    """Return the weights of a file, without wrapper prefixes, read without running its code.

    Takes a plain state dict and one under any of :data:`CONTAINERS`.

    Raises:
        CheckpointError: the file cannot be read or holds no weights.
    """
    return _strip_wrappers(_find_weights(read_checkpoint(path), os.fsdecode(path)))


def _find_weights(content: Mapping[Any, Any], source: str) -> StateDict:
    """Return the tensors of a checkpoint by their keys, as they stand there."""
    tensors = _tensors_in(content)
    if not tensors:
        raise CheckpointError(
            f'{source} holds no state dict; looked at the top and in {CONTAINERS}'
        )
    for key, value in tensors.items():
        check_plain(key, value, source)
    return tensors


def _tensors_in(content: Mapping[Any, Any], depth: int = 3) -> dict[Any, Tensor]:
    """Return the tensors of the first container that has some, else those at the top."""
    for name in CONTAINERS if depth else ():
        inner = content.get(name)
        found = _tensors_in(inner, depth - 1) if isinstance(inner, Mapping) else None
        if found:
            return found
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def check_plain(key: Any, value: Tensor, source: str) -> None:
    """Raise CheckpointError unless a tensor has a name, and values in memory."""
    if not isinstance(key, str):
        raise CheckpointError(f'{source}: the key {key!r} is a {type(key).__name__}, not a name')
    kind = 'a meta tensor, without values' if value.is_meta else ''
    kind = f'{value.layout}' if value.layout != torch.strided else kind
    kind = 'quantized' if value.is_quantized else kind
    if kind:
        raise CheckpointError(f'{source}: {key} is {kind}; save plain dense tensors')


def _strip_wrappers(state_dict: Mapping[str, Tensor]) -> StateDict:
    return unite((key, _strip_key(key), value) for key, value in state_dict.items())


def _strip_key(key: str) -> str:
    key = _WRAPPERS.sub('', key).lstrip('.')
    while key.startswith('module.'):
        key = key[len('module.') :]
    return key


def resize_to_model(
    state_dict: Mapping[str, Tensor], model: nn.Module, report: LoadReport | None = None
) -> StateDict:
    """Fit position tables, and 1x1 kernels, to the shapes of ``model``, and log it.

    Args:
        state_dict: with the keys of ``model``.
        model: whose parameters have the wanted shapes.
        report: receives what was resized.
    """
    own = dict(model.named_parameters())
    resized = dict(state_dict)
    for key, value in state_dict.items():
        target, resize = own.get(key), _RESIZERS.get(key.rsplit('.', 1)[-1])
        if resize is None or target is None or target.shape == value.shape:
            continue
        is_table = value.dim() == target.dim() and value.is_floating_point() and value.numel()
        new = resize(value, target.shape) if is_table else value
        if new.shape == target.shape:
            resized[key] = new
            line = f'{key}: {tuple(value.shape)} -> {tuple(new.shape)}'
            print_log(f'resized {line}', logger='current')
            if report is not None:
                report.resized.append(line)
    return resized


def _resize_table(table: Tensor, shape: torch.Size) -> Tensor:
    """Interpolate relative positions ((2 a - 1)^2, heads) to ((2 b - 1)^2, heads)."""
    old, new = math.isqrt(table.shape[0]), math.isqrt(shape[0])
    if old * old != table.shape[0]:
        return table
    image = table.float().T.reshape(1, -1, old, old)
    image = F.interpolate(image, size=(new, new), mode='bicubic', align_corners=True)
    return image.reshape(-1, new * new).T.to(table.dtype)


def _resize_line(table: Tensor, shape: torch.Size) -> Tensor:
    """Interpolate relative positions of one axis (2 a - 1, d) to (2 b - 1, d)."""
    line = F.interpolate(table.float().T[None], size=shape[0], mode='linear', align_corners=True)
    return line[0].T.to(table.dtype)


def _resize_positions(embedding: Tensor, shape: torch.Size) -> Tensor:
    """Interpolate positions of a square map (1, E + a*a, C) to (1, E + b*b, C).

    E, 0 or 1, is the number of class tokens.
    """
    sides = [math.isqrt(length) for length in (embedding.shape[1], shape[1])]
    extra = [n - side * side for n, side in zip((embedding.shape[1], shape[1]), sides, strict=True)]
    if extra[0] != extra[1] or extra[0] > 1:
        return embedding
    return resize_position(embedding, (sides[0], sides[0]), (sides[1], sides[1]))


def _pad_kernel(kernel: Tensor, shape: torch.Size) -> Tensor:
    """Return a 1x1 kernel as the larger kernel of the same convolution; others stay.

    MAE's ViTAE convolves with 1x1 kernels (convertK1toK3.py of Remote-Sensing-RVSA).
    """
    height, width = shape[-2:] if kernel.dim() == 4 else (0, 0)
    if height % 2 == 0 or height != width or kernel.shape[2:] != (1, 1):
        return kernel
    return F.pad(kernel, (height // 2,) * 4)


# Last part of a key -> how its tensor gets the shape of another window, image or kernel.
_RESIZERS: dict[str, Callable[[Tensor, torch.Size], Tensor]] = {
    'weight': _pad_kernel,
    'relative_position_bias_table': _resize_table,
    'rel_pos_h': _resize_line,
    'rel_pos_w': _resize_line,
    'pos_embed': _resize_positions,
}


def select_part(
    state_dict: Mapping[str, Tensor], model: nn.Module, prefix: str = '', *, search: bool = True
) -> StateDict:
    """Return the part of a file that fits ``model``, with the names of ``model``.

    Takes a classifier's, a detector's or a backbone's file, for a whole model (with a
    ``backbone``) or for a backbone alone. Wrapper prefixes (``module.``, ``_orig_mod.``) are cut
    off. Without ``prefix``, another one under which the file holds the model is found.

    Args:
        state_dict: the tensors of the file.
        model: what they are for.
        prefix: takes only the keys that start with it, and cuts it off.
        search: look for a prefix under which the file holds the model.

    Raises:
        CheckpointError: no key starts with ``prefix``, the model stands under several prefixes,
            or the names cannot be converted.
    """
    plain, prefix = adapt_whole_model(_strip_wrappers(state_dict)), _strip_key(prefix)
    if is_foreign(plain):
        # A classification file of another code base has no prefix: nothing is to be cut off.
        return _with_names_of(plain, model)
    if prefix:
        return _with_names_of(_cut(plain, prefix), model)
    part = _with_names_of(plain, model)
    if not search or _fits(part, model):
        return part
    found = {name: _with_names_of(_cut(plain, name), model) for name in _prefixes(plain, model)}
    found = {name: inner for name, inner in found.items() if _fits(inner, model)}
    return found[_choose(found, model)] if found else part


def _cut(state_dict: StateDict, prefix: str) -> StateDict:
    part = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    if not part:
        raise CheckpointError(
            f'no key starts with prefix {prefix!r}; the file has {_sample(state_dict)}'
        )
    return part


def _with_names_of(part: StateDict, model: nn.Module) -> StateDict:
    """Return a backbone's or a whole model's tensors with the names of ``model``.

    A model of a host package has the names of its own files, which for others are to be converted.
    """
    return max(_converted(part, model), part, key=lambda names: _num_matched(names, model))


def _converted(part: StateDict, model: nn.Module) -> StateDict:
    has_backbone = isinstance(getattr(model, 'backbone', None), nn.Module)
    start = 'backbone.'
    inner = {k[len(start) :]: v for k, v in part.items() if k.startswith(start)}
    rest = {k: v for k, v in part.items() if not k.startswith(start)}
    if is_foreign(part) or not inner:
        return _place(adapt_state_dict(part), has_backbone)
    inner = adapt_state_dict(inner)
    if not has_backbone:
        return inner
    return {**{start + k: v for k, v in inner.items()}, **rest}


def _place(state_dict: StateDict, has_backbone: bool) -> StateDict:
    """Return a backbone's keys (and ``head.``) as those of a whole model or of a backbone."""
    if has_backbone:
        whole = ('head.', 'neck.', 'data_preprocessor.')
        return {k if k.startswith(whole) else f'backbone.{k}': v for k, v in state_dict.items()}
    return {k: v for k, v in state_dict.items() if not k.startswith('head.')}


def _num_matched(keys: Iterable[str], model: nn.Module) -> int:
    return len(set(keys) & set(_names(model)))


def _fits(keys: Iterable[str], model: nn.Module) -> bool:
    return _num_matched(keys, model) >= max(1, MIN_MATCHED * len(_names(model)))


def _names(model: nn.Module) -> list[str]:
    """Return the keys of a model that a checkpoint must have."""
    return [key for key in model.state_dict() if not key.endswith('num_batches_tracked')]


def _prefixes(state_dict: StateDict, model: nn.Module) -> list[str]:
    """Return prefixes under which enough keys for ``model`` stand, the shortest first."""
    counts: Counter[str] = Counter()
    for key in state_dict:
        counts.update(key[: dot.end()] for dot in re.finditer(r'\.', key))
    enough = MIN_MATCHED * len(_names(model))
    found = [prefix for prefix, count in counts.items() if count >= enough]
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


def _choose(found: Mapping[str, StateDict], model: nn.Module) -> str:
    """Return the prefix under which most of the model stands; the shortest of those."""
    scores = {prefix: _num_matched(part, model) for prefix, part in found.items()}
    best = [prefix for prefix, score in scores.items() if score == max(scores.values())]
    others = [prefix for prefix in best if not prefix.startswith(best[0])]
    if others:
        raise CheckpointError(
            f'the file has the weights of this model under {best[0]!r} and {others[0]!r}: choose '
            f'with prefix={best[0]!r} or prefix={others[0]!r}'
        )
    return best[0]


def load_pretrained(
    model: nn.Module, checkpoint: str | os.PathLike | Mapping[str, Any], prefix: str = ''
) -> LoadReport:
    """Load a checkpoint of mmvsa or of an official implementation into a model or a backbone.

    Either all that fits is loaded, or, after an error, nothing of the model has changed.

    Args:
        model: a classifier, detector, segmentor, or a backbone.
        checkpoint: a path, a URL, or a state dict (alone or under one of :data:`CONTAINERS`).
        prefix: take only the keys that start with it, and cut it off.

    Returns:
        What matched; it is logged as well.

    Raises:
        CheckpointError: the file cannot be read, fills less than half of the model, or has
            weights that the model cannot take (NaN, infinite, integer, complex).
    """
    if isinstance(checkpoint, Mapping):
        source, content = 'the state dict', checkpoint
    else:
        source, content = os.fsdecode(checkpoint), read_checkpoint(checkpoint)
    return _load(model, content, source, prefix)


def load_complete(
    model: nn.Module, checkpoint: str | os.PathLike, optional: str = r'\.directions$'
) -> dict[Any, Any]:
    """Load a whole model for inference, by the rules of :func:`load_pretrained`.

    Args:
        model: What the file is for.
        checkpoint: A path or a URL.
        optional: Pattern of the keys that the file may lack; by default the random directions of
            Performer attention, which are drawn, not learned.

    Returns:
        The content of the file, such as its ``meta``.

    Raises:
        CheckpointError: as :func:`load_pretrained`, or a part of the model is not in the file or
            has another shape there: its answers would come from random weights.
    """
    content = read_checkpoint(checkpoint)
    report = _load(model, content, os.fsdecode(checkpoint))
    mismatched, missing = (
        [key for key in keys if not re.search(optional, key)]
        for keys in (report.mismatched, report.missing)
    )
    if mismatched:
        raise CheckpointError(
            f'{checkpoint} does not fit the model; of another shape (file, model): '
            f'{", ".join(mismatched[:3])}'
        )
    if missing:
        raise CheckpointError(
            f'{checkpoint} lacks {len(missing)} tensors, such as {missing[0]}; '
            'is it a file of a backbone alone, or of other options?'
        )
    return content


def _load(
    model: nn.Module, content: Mapping[Any, Any], source: str, prefix: str = ''
) -> LoadReport:
    """Load what a file holds; ``source`` names it in errors."""
    fitting, report = fit_weights(model, content, source, prefix)
    model.load_state_dict(fitting, strict=False)
    print_log(f'{source}: {report}', logger='current')
    return report


class PretrainedInit(_PretrainedInit):
    """MMEngine's initialization by a checkpoint, with the rules of :func:`load_pretrained`."""

    def __call__(self, module: nn.Module) -> None:
        """Load the checkpoint into a module."""
        from mmengine.runner import CheckpointLoader

        content = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location)
        _load(module, content, self.checkpoint, self.prefix or '')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def install_pretrained_init() -> None:
    """Make ``init_cfg=dict(type='Pretrained')`` of any module follow :func:`load_pretrained`."""
    WEIGHT_INITIALIZERS.register_module(name='Pretrained', module=PretrainedInit, force=True)


def fit_weights(
    model: nn.Module,
    content: Mapping[Any, Any],
    source: str,
    prefix: str = '',
    *,
    exact: bool = False,
) -> tuple[StateDict, LoadReport]:
    """Return the weights of a checkpoint that can be loaded into a model, which is not changed.

    Args:
        model: what they are for; only the names, shapes and types of its tensors are looked at.
        content: the checkpoint.
        source: its name, for messages.
        prefix: take only the keys that start with it, and cut it off.
        exact: refuse a file that lacks a tensor of the model, has others, or holds the model under
            a prefix.

    Returns:
        The tensors by the names of the model, and what became of the others.

    Raises:
        CheckpointError: as for :func:`load_pretrained`.
    """
    weights = _find_weights(content, source)
    report = LoadReport()
    part = select_part(weights, model, prefix, search=not exact)
    fitting = _sort_keys(resize_to_model(part, model, report), model, report)
    _check_matched(report, model, source, weights)
    if exact:
        _check_exact(report, model, source)
    _check_values(fitting, model, source)
    return fitting, report


def _sort_keys(part: StateDict, model: nn.Module, report: LoadReport) -> StateDict:
    """Write into the report which keys fit, and return those."""
    own = model.state_dict()
    backbones = [
        (f'{name}.' if name else '', module)
        for name, module in model.named_modules()
        if hasattr(module, 'is_unbuilt')
    ]
    for key, value in part.items():
        if key not in own:
            # Stages that the outputs do not need are left out without a word.
            if not any(key.startswith(p) and m.is_unbuilt(key[len(p) :]) for p, m in backbones):
                report.unexpected.append(key)
        elif own[key].shape != value.shape:
            shapes = f'{tuple(value.shape)}, {tuple(own[key].shape)}'
            report.mismatched.append(f'{key}: {shapes}')
        else:
            report.matched.append(key)
    report.missing.extend(key for key in _names(model) if key not in part)
    return {key: part[key] for key in report.matched}


def _check_matched(report: LoadReport, model: nn.Module, source: str, weights: StateDict) -> None:
    if _fits(report.matched, model):
        return
    names = _names(model)
    matched = _num_matched(report.matched, model)
    message = f'{source} fits only {matched} of the {len(names)} tensors of the model'
    if report.mismatched:
        message += f'; of another shape (file, model): {", ".join(report.mismatched[:3])}'
    raise CheckpointError(
        f'{message}. The file has {_sample(weights)}; the model has {_sample(names)}. '
        'Is it a checkpoint of this model?'
    )


def _check_exact(report: LoadReport, model: nn.Module, source: str) -> None:
    reasons = []
    if report.mismatched:
        reasons.append(f'of another shape (file, model): {_first(report.mismatched)}')
        reasons += _other_classes(report.mismatched, model)
    if report.missing:
        reasons.append(f'not in the file: {_first(report.missing)}')
    if report.unexpected:
        reasons.append(f'not in the model: {_first(report.unexpected)}')
    if reasons:
        raise CheckpointError(f'{source} is not of the model of the config; {"; ".join(reasons)}')


def _other_classes(mismatched: Iterable[str], model: nn.Module) -> list[str]:
    """Say that a head is of another number of classes, where that is all that differs."""
    for name, module in model.named_modules():
        classes = getattr(module, 'num_classes', None)
        for line in mismatched:
            found = re.fullmatch(rf'{re.escape(name)}\..*: \((\d+),(.*)\), \({classes},\2\)', line)
            if found:
                return [f'the checkpoint is of {found[1]} classes, the config of {classes}']
    return []


def _first(items: list[str], count: int = 3) -> str:
    return ', '.join(items[:count]) + (f', ... ({len(items)})' if len(items) > count else '')


def _check_values(fitting: StateDict, model: nn.Module, source: str) -> None:
    """Raise CheckpointError for values that would be lost in the model, or spoil it."""
    own = model.state_dict()
    for key, value in fitting.items():
        dtype = own[key].dtype
        if value.is_floating_point() and dtype.is_floating_point:
            if not value.to(dtype).isfinite().all():
                raise CheckpointError(f'{source}: {key} has NaN or infinite values in {dtype}')
        elif value.is_complex() or dtype.is_floating_point or (value.to(dtype) != value).any():
            raise CheckpointError(
                f'{source}: {key} is {value.dtype}, which the {dtype} of the model cannot hold'
            )


def _sample(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return ', '.join(names[:3]) + (f', ... ({len(names)} keys)' if len(names) > 3 else '')
