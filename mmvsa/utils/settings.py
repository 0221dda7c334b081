"""Settings that contradict themselves, the model or the data, found before training."""

import inspect
import math
import os
import re
from collections.abc import Iterable, Iterator, Sized
from numbers import Integral, Real
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from torch import nn

from mmvsa.datasets.errors import DatasetError
from mmvsa.suggestions import did_you_mean

from .errors import UsageError
from .options import accepted_by, find_classes, find_registries, look_up

TRACEBACK = 'MMVSA_TRACEBACK'  # an environment variable that shows where an error comes from

# key -> (least value, whether it is an integer); an infinite or smaller value is refused.
_LIMITS: dict[str, tuple[float, bool]] = {
    'train_cfg.max_epochs': (1, True),
    'train_cfg.max_iters': (1, True),
    'train_cfg.val_interval': (1, True),
    'default_hooks.logger.interval': (1, True),
    'optim_wrapper.accumulative_counts': (1, True),
    'optim_wrapper.clip_grad.max_norm': (0, False),
    'optim_wrapper.clip_grad.clip_value': (0, False),
    'optim_wrapper.optimizer.lr': (0, False),
    'optim_wrapper.optimizer.weight_decay': (0, False),
}
_LIMITS |= {f'{name}_dataloader.batch_size': (1, True) for name in ('train', 'val', 'test')}
_LIMITS |= {f'{name}_dataloader.num_workers': (0, True) for name in ('train', 'val', 'test')}
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def check_settings(cfg: Config) -> None:
    """Check what a config says by itself.

    Raises:
        UsageError: There is no model, a number is out of its range, an optimizer is unknown.
    """
    for key in ('model', 'model.backbone'):
        part = look_up(cfg, key)
        if not isinstance(part, dict) and (key == 'model' or part is not None):
            raise UsageError(f'{key} must be a dict with a type, got {part!r}')
    for key, (least, integer) in _LIMITS.items():
        value = look_up(cfg, key)
        if value is not None:
            _check_number(key, value, least, integer)
    kind = look_up(cfg, 'optim_wrapper.optimizer.type')
    if isinstance(kind, str) and not find_classes(kind, cfg.get('default_scope')):
        near = did_you_mean(kind, OPTIMIZERS.module_dict)
        raise UsageError(f'optim_wrapper.optimizer.type: there is no optimizer {kind}{near}')


def _check_number(key: str, value: Any, least: float, integer: bool) -> None:
    kind, name = (Integral, 'an integer') if integer else (Real, 'a number')
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < least:
        raise UsageError(f'{key} must be {name} of at least {least:g}, got {value!r}')


def fit_topk(cfg: Config) -> None:
    """Leave out the top-k accuracies that a classifier with fewer classes cannot have."""
    classes = look_up(cfg, 'model.head.num_classes')
    if not isinstance(classes, int):
        return
    owners = [('model.head', cfg.model.head)]
    for name in _EVALUATORS:
        evaluators = cfg.get(name) or []
        evaluators = [evaluators] if isinstance(evaluators, dict) else evaluators
        owners += [(name, evaluator) for evaluator in evaluators]
    for name, owner in owners:
        topk = owner.get('topk')
        if not isinstance(topk, (list, tuple)) or max(topk) <= classes:
            continue
        owner['topk'] = tuple(k for k in topk if k <= classes) or (1,)
        print(f'{name}.topk={tuple(topk)} becomes {owner["topk"]}: the head has {classes} classes')


class SettingsHook(Hook):
    """Check what a runner has built, before it trains or tests.

    Attributes:
        started: Whether an iteration has ended: errors before are those of the settings.
    """

    priority = 'HIGHEST'
    started = False

    def before_run(self, runner: Runner) -> None:
        """Raise UsageError where data, model and metrics do not fit."""
        for name, loader in _loaders(runner):
            _check_dataset(name, loader, runner.model)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                _check_checkpoint_hook(runner, hook)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Note that the settings work."""
        self.started = True

    def after_test_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Note that the settings work."""
        self.started = True


def _loaders(runner: Runner) -> Iterator[tuple[str, Any]]:
    """Yield the name and the dataloader of every loop that is built."""
    for name in ('train', 'val', 'test'):
        loop = getattr(runner, f'_{name}_loop', None)
        dataloader = getattr(loop, 'dataloader', None)
        if dataloader is not None:
            yield name, dataloader


def _check_dataset(name: str, loader: Any, model: Any) -> None:
    key, dataset = f'{name}_dataloader.dataset', loader.dataset
    if not isinstance(dataset, Sized):
        return  # a stream
    if not len(dataset):
        raise UsageError(f'{key} reads no sample{_why_empty(dataset)}')
    if not len(loader):
        raise UsageError(f'{key} has {len(dataset)} samples, fewer than a batch of {name}ing')
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if classes is None:
        return
    model = model.module if is_model_wrapper(model) else model
    for head, count in _head_classes(model):
        if count != len(classes):
            where = getattr(dataset, 'data_root', None) or type(dataset).__name__
            raise UsageError(
                f'{len(classes)} classes in {where}, {count} in model.{head}; set '
                f'model.{head}.num_classes={len(classes)}'
            )


def _head_classes(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of classes of every head that tells classes apart."""
    for name, module in model.named_modules():
        # Proposals have one class, stuff has classes of its own.
        if re.search(r'head(\.\d+)?$', name) and not re.search('rpn|semantic', name):
            count = getattr(module, 'num_classes', None)
            if isinstance(count, int) and not isinstance(count, bool):
                yield name, count


def _why_empty(dataset: Any) -> str:
    """Say what an annotation file or folder has instead of what was looked for."""
    ann_file = getattr(dataset, 'ann_file', '')
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    if str(ann_file).endswith('.json') and os.path.isfile(ann_file):
        content = mmengine.load(ann_file)
        categories = content.get('categories', []) if isinstance(content, dict) else []
        own = [category['name'] for category in categories]
        if own and not set(own) & set(classes):
            return (
                f': its classes are {_few(classes)}, those of {ann_file} are {_few(own)}; set '
                'metainfo.classes'
            )
    suffix = getattr(dataset, 'img_suffix', None)
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
    if suffix and folder and os.path.isdir(folder):
        others = sorted({os.path.splitext(name)[1] for name in os.listdir(folder)} - {''})
        return f': no *{suffix} in {folder}, which has {_few(others)}; set img_suffix'
    return f' in {getattr(dataset, "data_root", None) or type(dataset).__name__}'


def _few(names: Iterable[Any]) -> str:
    shown = [str(name) for name in names]
    return ', '.join(shown[:4]) + (', ...' if len(shown) > 4 else '') or 'none'


def _check_checkpoint_hook(runner: Runner, hook: CheckpointHook) -> None:
    """Refuse options that saving does not take, and a metric's name that no evaluator gives."""
    accepted = inspect.signature(Runner.save_checkpoint).parameters
    for name in hook.args:
        if name not in accepted:
            known = {*accepted, *inspect.signature(CheckpointHook).parameters}
            near = did_you_mean(name, known)
            raise UsageError(f'default_hooks.checkpoint takes no {name}{near}')
    trains = runner._val_loop is not None and runner._train_loop is not None
    metrics = runner.val_evaluator.metrics if trains else []
    prefixes = [metric.prefix for metric in metrics]
    if not hook.save_best or not metrics or not all(prefixes):
        return  # evaluators without a prefix name their values freely
    known = {f'{m.prefix}/{name}' for m in metrics for name in _value_names(m)}
    for name in hook.key_indicators:
        prefix, _, value = name.rpartition('/')
        names = [_value_names(m) for m in metrics if m.prefix == prefix]
        if name != 'auto' and not any(not some or value in some for some in names):
            cure = did_you_mean(name, known) or f'; names begin with {", ".join(prefixes)}/'
            raise UsageError(f'default_hooks.checkpoint.save_best: no metric {name}{cure}')


def _value_names(metric: Any) -> list[str]:
    """Return the values of a top-k accuracy; none where they are not known."""
    topk = getattr(metric, 'topk', None)
    if not isinstance(topk, (list, tuple)) or getattr(metric, 'thrs', None) not in (None, (0.0,)):
        return []
    return [f'top{k}' for k in topk]


def settings_error(cfg: Config, error: Exception) -> Exception:
    """Return an error of building what a config says as a UsageError of one line.

    The environment variable :data:`TRACEBACK` keeps the error as it is.
    """
    from mmvsa.models import CheckpointError  # loads all models

    if isinstance(error, (UsageError, DatasetError, CheckpointError)) or os.environ.get(TRACEBACK):
        return error
    empty = _empty_dataset(error)
    if empty is not None:
        return UsageError(f'{type(empty).__name__} reads no sample{_why_empty(empty)}')
    text = ' '.join(str(error).split()).partition('. Please check whether')[0][:500]
    near = _near_argument(cfg, text) or _near_type(text)
    return UsageError(f'{type(error).__name__}: {text}{near} ({TRACEBACK}=1 shows where)')


def _empty_dataset(error: Exception) -> BaseDataset | None:
    """Return the dataset whose building failed since it has no sample, from the traceback."""
    trace = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get('self')
        serializes = trace.tb_frame.f_code.co_name == '_serialize_data'
        if serializes and isinstance(owner, BaseDataset) and not owner.data_list:
            return owner
        trace = trace.tb_next
    return None


def _near_argument(cfg: Config, text: str) -> str:
    """Return arguments like the one that a class of the config does not take."""
    match = re.search(r"unexpected keyword argument '(\w+)'", text)
    if not match:
        return ''
    near = ''
    for node in _typed_dicts(cfg):
        if match[1] in node:
            accepted = accepted_by(node['type'], node.get('_scope_')) or set()
            near = near or did_you_mean(match[1], accepted)
    return near


def _near_type(text: str) -> str:
    """Return names like the one that a registry does not have."""
    match = re.search(r"'?(\S+) is not in the (?:\S+::)?(.+?) registry", text)
    if not match:
        return ''
    names: set[str] = set()
    for registry in find_registries(match[2]):
        names |= {*registry.module_dict}
    return did_you_mean(match[1].rpartition('.')[2], names)


def _typed_dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, (dict, Config)):
        if 'type' in node:
            yield node  # type: ignore[misc]
        for value in node.values():
            yield from _typed_dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _typed_dicts(value)
