"""``--cfg-options``: what a value is, and whether anything reads a key."""

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine import registry as registries
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope, Registry

from mmvsa.suggestions import did_you_mean

from .errors import UsageError

# What MMEngine's runners and these tools read of a config.
TOP_KEYS = frozenset(
    'model work_dir train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg '
    'auto_scale_lr optim_wrapper param_scheduler val_evaluator test_evaluator default_hooks '
    'custom_hooks data_preprocessor load_from resume launcher env_cfg log_processor log_level '
    'visualizer default_scope randomness experiment_name runner_type strategy model_wrapper_cfg '
    'find_unused_parameters sync_bn compile activation_checkpointing efficient_conv_bn_eval '
    'tta_model tta_pipeline data_root'.split()
)
# Hooks that MMEngine's runner adds: their dicts need no type.
_HOOKS = {
    'runtime_info': 'RuntimeInfoHook',
    'timer': 'IterTimerHook',
    'sampler_seed': 'DistSamplerSeedHook',
    'logger': 'LoggerHook',
    'param_scheduler': 'ParamSchedulerHook',
    'checkpoint': 'CheckpointHook',
}
# What is read of dicts that have no type; None where anything may be.
_ENVIRONMENT = {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}
_UNTYPED = {
    'env_cfg': _ENVIRONMENT,
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
    'train_cfg': 'by_epoch max_epochs max_iters val_begin val_interval dynamic_intervals'.split(),
    'val_cfg': ['fp16'],
    'test_cfg': ['fp16'],
    'optim_wrapper': (
        'optimizer accumulative_counts clip_grad paramwise_cfg constructor type loss_scale dtype '
        'use_fsdp'.split()
    ),
    'optim_wrapper.clip_grad': (
        'max_norm clip_value norm_type error_if_nonfinite foreach type'.split()
    ),
}
_LOADER = (
    'batch_size num_workers dataset sampler batch_sampler collate_fn pin_memory drop_last timeout '
    'worker_init_fn multiprocessing_context generator prefetch_factor persistent_workers '
    'pin_memory_device num_batch_per_epoch in_order'.split()
)
_UNTYPED['default_hooks'] = {*_HOOKS, 'visualization'}
_UNTYPED |= {f'{name}_dataloader': _LOADER for name in ('train', 'val', 'test')}
# MMEngine's parser would take it for a word, or not return.
_DICT = re.compile(r"""(^|[\[(,])\s*(dict\(|\{['"])""")
_PATH_KEY = re.compile(r'(.*_)?(root|dir|path|file|folder|checkpoint|json|from|pretrained)')


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words as MMEngine's ``DictAction`` does, but paths literally.

    A path is the value of a key whose last part ends like one (``data_root``, ``work_dir``,
    ``checkpoint``, ``load_from``, ...) or lies in ``data_prefix``; ``None`` stays None.

    Raises:
        UsageError: A word has no ``=`` or no key, brackets do not match, a value is a dict.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition('=')
        if not equals or not key:
            raise UsageError(f'--cfg-options takes KEY=VALUE, got {word!r}')
        if _DICT.search(value):
            raise UsageError(
                f'--cfg-options {word}: a dict is set key by key ({key}.KEY=VALUE), or in a config '
                'that inherits this one'
            )
        try:
            options[key] = _parse_value(key, value)
        except (AssertionError, RecursionError) as error:
            raise UsageError(
                f'--cfg-options {word}: brackets do not match, or stand next to words'
            ) from error
    return options


def _parse_value(key: str, value: str) -> Any:
    if _is_path(key) and value != 'None' and not _is_list(value):
        return value
    return DictAction._parse_iterable(value)


def _is_path(key: str) -> bool:
    parts = key.split('.')
    return 'data_prefix' in parts[:-1] or bool(_PATH_KEY.fullmatch(parts[-1]))


def _is_list(value: str) -> bool:
    return value[:1] + value[-1:] in ('[]', '()') and not os.path.exists(value)


def check_options(cfg: Config, options: dict[str, Any]) -> None:
    """Raise UsageError for the first key that nothing reads; the message has the nearest one."""
    known = list(_dotted(cfg))
    for key in options:
        top = key.partition('.')[0]
        if top not in TOP_KEYS:
            used = f'; {top} was used when the config was read' if top in cfg else ''
            raise UsageError(f'--cfg-options {key}: nothing reads {top}{used}{_cure(key, known)}')
        _check_parts(cfg, key, known)


def check_keys(cfg: Config) -> None:
    """Check the keys of a config that would otherwise be passed over in silence.

    Raises:
        UsageError: The name of a dict is a misspelt key of the runner, or a dict that has no type
            has a key that nothing reads.
    """
    for key, value in cfg.items():
        if key in TOP_KEYS or not isinstance(value, dict) or key.endswith('pipeline'):
            continue
        for near in _similar(key, TOP_KEYS - {'tta_pipeline'}):
            raise UsageError(f'config: nothing reads {key}; did you mean {near}?')
    for place in _UNTYPED.keys() - {'default_hooks'}:
        node = look_up(cfg, place)
        if not isinstance(node, dict) or 'type' in node:
            continue
        for key in node.keys() - {*_UNTYPED[place], '_scope_', '_delete_'}:
            near = did_you_mean(key, _UNTYPED[place])
            raise UsageError(f'config: {place} takes no {key}{near}')


def look_up(cfg: Config, key: str) -> Any:
    """Return the value of a dotted key, or None where there is none."""
    node: Any = cfg
    for part in key.split('.'):
        node = node.get(part) if hasattr(node, 'get') else None
    return node


def _similar(key: str, names: frozenset[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(key, names, n=1, cutoff=0.85)


def _check_parts(cfg: Config, key: str, known: list[str]) -> None:
    """Follow a dotted key into the config as far as it exists."""
    parts = key.split('.')
    node: Any = cfg
    for depth, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                place = '.'.join(parts[:depth])
                raise UsageError(f'--cfg-options {key}: {place} has entries 0 to {len(node) - 1}')
            node = node[int(part)]
        elif isinstance(node, dict) or node is cfg:
            if part not in node:
                if depth:
                    _check_new_key(node, parts[:depth], part, key, known)
                return  # a new dict: its reader checks it
            node = node[part]
        elif node is not None:
            place = '.'.join(parts[:depth])
            raise UsageError(f'--cfg-options {key}: {place} is {node!r}, which has no {part}')
        else:
            return


def _check_new_key(
    node: dict[str, Any], place: list[str], part: str, key: str, known: list[str]
) -> None:
    """Raise UsageError unless the reader of ``node`` takes a key that the config lacks."""
    accepted = _accepted_keys(node, '.'.join(place))
    if accepted is None or part in accepted:
        return
    near = did_you_mean(part, accepted) or _cure(key, known)
    raise UsageError(f'--cfg-options {key}: {".".join(place)} takes no {part}{near}')


def _accepted_keys(node: dict[str, Any], place: str) -> set[str] | None:
    """Return the keys that a dict's reader takes; None where that cannot be told."""
    if place.endswith(('_cfg', 'test_cfg')) and place not in _UNTYPED:
        return None  # its reader takes keys out before it builds the type
    kind = node.get('type')
    hook = place.removeprefix('default_hooks.')
    if kind is None and hook in _HOOKS:
        kind = _HOOKS[hook]
    if kind is None:
        return set(_UNTYPED[place]) | set(node) if place in _UNTYPED else None
    return accepted_by(kind, node.get('_scope_'))


def accepted_by(kind: Any, scope: str | None = None) -> set[str] | None:
    """Return the arguments of all classes that a ``type`` may mean; None for any argument."""
    classes = find_classes(kind, scope) if isinstance(kind, str) else [kind]
    accepted: set[str] = {'type', '_scope_', '_delete_', 'init_cfg'}
    for found in classes:
        own = _arguments(found)
        if own is None:
            return None
        accepted |= own
    return accepted if classes else None


def find_classes(kind: str, scope: str | None = None) -> list[Any]:
    """Return what the registries know by the name ``kind``."""
    current = DefaultScope.get_current_instance()
    scopes = [scope, current.scope_name if current else None, 'mmengine']
    names = [kind if '.' in kind or not s else f'{s}.{kind}' for s in scopes]
    found = []
    for registry in _roots():
        for name in dict.fromkeys(names):
            entry = registry.get(name)
            if entry is not None and entry not in found:
                found.append(entry)
                break
    return found


def find_registries(name: str) -> list[Registry]:
    """Return the registries of a name (``'model'``) and their children, as messages spell it."""
    found = []
    for registry in _roots():
        family = [registry, *registry.children.values()]
        if any(_plain(one.name) == _plain(name) for one in family):
            found += family
    return found


def _plain(name: str) -> str:
    return name.replace('_', ' ')


def _roots() -> list[Registry]:
    return [value for value in vars(registries).values() if isinstance(value, Registry)]


def _arguments(kind: Any) -> set[str] | None:
    """Return the arguments of a class, those of its bases where it passes them on."""
    found: set[str] = set()
    for cls in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        if inspect.isclass(cls) and '__init__' not in vars(cls):
            continue
        function = cls.__init__ if inspect.isclass(cls) else cls
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return None
        found |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return found - {'self'}
    return None


def _dotted(node: Any, prefix: str = '') -> Iterator[str]:
    """Yield the dotted keys of a config that can be set."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(node, dict) or prefix == '':
        items = iter(node.items())
    elif isinstance(node, (list, tuple)):
        items = iter(enumerate(node))
    for key, value in items:
        if prefix or key in TOP_KEYS:
            yield f'{prefix}{key}'
            yield from _dotted(value, f'{prefix}{key}.')


def _cure(key: str, known: list[str]) -> str:
    """Return the keys of the config that may have been meant."""
    last = key.rpartition('.')[2]
    same = [name for name in known if name.rpartition('.')[2] == last]
    if same:
        return f'; set {" or ".join(sorted(same, key=len)[:3])}'
    return did_you_mean(key, {*known, *TOP_KEYS})
