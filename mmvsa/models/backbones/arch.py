"""Archs: from a name or a dict of per-stage tuples to one checked record per stage.

A family describes a stage by a frozen dataclass whose fields are made with :func:`stage_key`, and
its sizes by dicts of tuples, as OpenMMLab's backbones do. :func:`resolve_arch` zips them, once.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mmvsa.models.checks import check_choice, check_rate
from mmvsa.models.layers.attention import (
    attention_options,
    expand_attention,
    merge_attention,
)
from mmvsa.suggestions import did_you_mean

Stage = TypeVar('Stage')
Attentions = str | dict[str, Any] | Sequence[str | dict[str, Any] | None] | None

_REQUIRED = object()
DROP_PATH_SCHEDULES = ('cumulative', 'official')


def stage_key(
    key: str,
    check: Callable[[str, Any], Any],
    *,
    default: Any = _REQUIRED,
    sequence: bool = False,
    used: Callable[[Any], bool] | None = None,
) -> Any:
    """Declare a field of a stage record.

    Args:
        key: Name in arch dicts.
        check: (name, value) -> the value of one stage, or an error that names it.
        default: One value for all stages, or a tuple of one per stage; required without.
        sequence: A stage's value is itself a sequence.
        used: Record -> whether the stage reads the field; a key that no stage reads is refused.
    """
    metadata = dict(key=key, check=check, default=default, sequence=sequence, used=used)
    return dataclasses.field(metadata=metadata)


def resolve_arch(
    arch: str | Mapping[str, Any],
    record: type[Stage],
    archs: Mapping[str, Mapping[str, Any]],
    family: str,
    *,
    count_key: str | None = 'depths',
) -> list[Stage]:
    """Return one record per stage of a named arch or of a dict.

    Args:
        arch: A name in ``archs`` (case does not matter) or a dict.
        record: Dataclass of a stage.
        archs: The named archs of the family.
        family: Name of the family for messages.
        count_key: The key whose tuple has one entry per stage; None for a family without stages.

    Raises:
        ValueError: An unknown name or key, a missing key, a list of the wrong length, a value out
            of range, a key that changes nothing.
        TypeError: A value of the wrong type.
    """
    given = _named_arch(arch, archs, family)
    fields = {f.metadata['key']: f for f in dataclasses.fields(record)}  # type: ignore[arg-type]
    _check_keys(given, fields, family)
    count = 1
    if count_key is not None:
        depths = given[count_key]
        if not isinstance(depths, (tuple, list)):
            raise TypeError(f'{count_key} must have one entry per stage, got {depths!r}')
        if not depths:
            raise ValueError(f'{count_key} must have at least one entry')
        count = len(depths)
    columns = {f.name: _column(key, f.metadata, given, count) for key, f in fields.items()}
    stages = [record(**{name: column[i] for name, column in columns.items()}) for i in range(count)]
    for key in given:
        used = fields[key].metadata['used']
        if used and not any(used(stage) for stage in stages):
            raise ValueError(f'{key} changes nothing in this arch of {family}; leave it out')
    return stages


def _named_arch(
    arch: str | Mapping[str, Any], archs: Mapping[str, Mapping[str, Any]], family: str
) -> Mapping[str, Any]:
    if isinstance(arch, Mapping):
        return modern_arch(arch)
    if not isinstance(arch, str):
        raise TypeError(f'arch must be a name or a dict, got {arch!r}')
    if arch.lower() not in archs:
        near = did_you_mean(arch.lower(), archs)
        raise ValueError(f'unknown arch {arch!r} of {family}; choose one of {sorted(archs)}{near}')
    return archs[arch.lower()]


def modern_arch(arch: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate the keys of arch dicts written before the attention vocabulary (with a warning)."""
    arch = dict(arch)
    for old, new in (('nc_attention', 'attention'), ('rc_attention', 'reduction_attention')):
        if old in arch:
            warn_renamed(f'arch[{old!r}]', f'arch[{new!r}]')
            arch[new] = arch.pop(old)
    if 'full_every' in arch:
        warn_renamed("arch['full_every']", "arch['attention'], a cycle such as ('rvsa', 'full')")
        arch['attention'] = ('rvsa',) * (arch.pop('full_every') - 1) + ('full',)
    if 'relative_position' in arch:
        warn_renamed("arch['relative_position']", 'the option position of an attention')
        chosen = arch.pop('relative_position')
        options = {} if chosen is None else dict(position='table' if chosen else None)
        for key in {'attention', 'reduction_attention'} & arch.keys():
            arch[key] = tuple(k if k == 'full' else dict(type=k, **options) for k in arch[key])
    return arch


def warn_renamed(old: str, new: str) -> None:
    """Warn that an option has another name now."""
    warnings.warn(f'{old} is deprecated; use {new}', DeprecationWarning, stacklevel=3)


def _check_keys(given: Mapping[str, Any], fields: Mapping[str, Any], family: str) -> None:
    required = [key for key, f in fields.items() if f.metadata['default'] is _REQUIRED]
    optional = [key for key in fields if key not in required]
    unknown, missing = sorted(set(given) - set(fields)), sorted(set(required) - set(given))
    if unknown or missing:
        near = ''.join(did_you_mean(key, fields) for key in unknown)
        raise ValueError(
            f'an arch dict of {family} needs the keys {required} and may have {optional}; '
            f'unknown: {unknown}, missing: {missing}{near}'
        )


def _column(
    key: str, metadata: Mapping[str, Any], given: Mapping[str, Any], count: int
) -> list[Any]:
    """Return the values of one key, one per stage, checked."""
    value = given.get(key, metadata['default'])
    per_stage = isinstance(value, (tuple, list))
    if per_stage and metadata['sequence']:
        # A sequence of sequences is one for each stage.
        per_stage = all(isinstance(item, (tuple, list)) for item in value)
    values = list(value) if per_stage else [value] * count
    if key not in given:
        values = (values + values[-1:] * count)[:count]
    if len(values) != count:
        raise ValueError(f'{key} has {len(values)} entries for {count} stages: {value}')
    check = metadata['check']
    return [check(f'{key}[{i}]' if per_stage else key, item) for i, item in enumerate(values)]


def resolve_attentions(
    given: Attentions, own: Sequence[str | dict[str, Any]], *, cycle: bool = False
) -> list[dict[str, Any]]:
    """Return the full config of the attention of every stage.

    Args:
        given: A preset or config for all stages; a dict without ``type``, merged into the arch's
            own attentions that have its options; or a sequence of one of these (or None: the
            arch's own) per stage.
        own: The arch's own, one per stage.
        cycle: A shorter sequence is repeated over the stages.

    Raises:
        ValueError: An unknown attention or option, a sequence of the wrong length.
        TypeError: Something else than names and dicts.
    """
    configs = [expand_attention(config) for config in own]
    if given is None:
        return configs
    if isinstance(given, (str, dict)):
        if isinstance(given, dict) and 'type' not in given:
            return _merge_everywhere(given, configs)
        return [expand_attention(given)] * len(configs)
    if not isinstance(given, Sequence):
        raise TypeError(f'attention must be a name, a dict or a sequence of them, got {given!r}')
    entries = list(given)
    if cycle and entries:
        entries = [entries[i % len(entries)] for i in range(len(configs))]
    if len(entries) != len(configs):
        raise ValueError(f'attention has {len(entries)} entries for {len(configs)} stages: {given}')
    return [_one_attention(entry, config) for entry, config in zip(entries, configs, strict=True)]


def _one_attention(entry: str | dict[str, Any] | None, own: dict[str, Any]) -> dict[str, Any]:
    if entry is None:
        return own
    if isinstance(entry, dict) and 'type' not in entry:
        return merge_attention(own, entry)
    return expand_attention(entry)


def _merge_everywhere(
    options: dict[str, Any], configs: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Merge options into every config that has them; each must be of use somewhere."""
    merged = []
    for config in configs:
        known = attention_options(config)
        merged.append(merge_attention(config, {k: v for k, v in options.items() if k in known}))
    useless = [k for k in options if not any(k in attention_options(c) for c in configs)]
    if useless:
        types = sorted({config['type'] for config in configs})
        every = sorted(set().union(*(attention_options(config) for config in configs)))
        raise ValueError(
            f'attention: no stage has an option {useless[0]!r}{did_you_mean(useless[0], every)}; '
            f'{types} have {every}'
        )
    return merged


# Options before the attention vocabulary -> where they are now.
_RENAMED = {
    'window_transform': 'attention=dict(transform=...)',
    'window_padding': 'attention=dict(padding=...)',
    'attention_backend': 'attention=dict(backend=...)',
    'rpe': 'attention=dict(position=...)',
    'separate_windows': 'attention=dict(separate_windows=...)',
    'keep_activations': 'with_cp (layers keep their activations)',
}
_MOVED = {
    'window_padding': 'padding',
    'attention_backend': 'backend',
    'separate_windows': 'separate_windows',
}
_RPE = {'v1': 'table', 'v2': 'decomposed', None: None}


def modern_options(options: dict[str, Any], *attentions: list[dict[str, Any]]) -> dict[str, Any]:
    """Move options of configs written before the attention vocabulary, with a warning.

    Args:
        options: Further options of a backbone; old ones are taken out.
        attentions: Lists of full configs, changed in place where attention is sampled.

    Returns:
        The remaining options.
    """
    old = {key: options[key] for key in _RENAMED if key in options}
    for key in old:
        warn_renamed(key, _RENAMED[key])
    moved = {new: old[key] for key, new in _MOVED.items() if key in old}
    if 'rpe' in old:
        moved['position'] = _RPE[check_choice('rpe', old['rpe'], _RPE)]
    transform = old.get('window_transform') or {}
    if transform:
        moved['transform'] = dict(type=transform) if isinstance(transform, str) else transform
    for configs in attentions:
        for index, config in enumerate(configs):
            if config['type'] == 'SampledWindowAttention':
                configs[index] = _modern_attention(config, moved)
    return {key: value for key, value in options.items() if key not in old}


def _modern_attention(config: dict[str, Any], moved: dict[str, Any]) -> dict[str, Any]:
    name = moved.get('transform', {}).get('type', '')
    if not name.endswith('FixedWindow'):
        return merge_attention(config, moved)
    kept = {**config, **moved}
    return dict(
        type='WindowAttention', **{k: kept[k] for k in ('padding', 'position') if k in kept}
    )


def drop_path_rates(
    rate: float, depths: Sequence[int], schedule: str = 'cumulative'
) -> list[list[float]]:
    """Return the drop-path rate of every normal cell, stage by stage.

    ``'cumulative'`` rises linearly over all cells. ``'official'`` is that of the released
    ViTAE-VSA code, where stage i starts at ``depths[i - 1]`` instead of the number of cells before.
    """
    if schedule == 'authors':
        warn_renamed("drop_path_schedule='authors'", "'official'")
        schedule = 'official'
    check_choice('drop_path_schedule', schedule, DROP_PATH_SCHEDULES)
    check_rate('drop_path_rate', rate)
    last = max(sum(depths) - 1, 1)
    line = [rate * i / last for i in range(sum(depths))]
    starts = [sum(depths[:i]) for i in range(len(depths))]
    if schedule == 'official':
        starts = [0, *depths[:-1]]
    return [line[start : start + depth] for start, depth in zip(starts, depths, strict=True)]
