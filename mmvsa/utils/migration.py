"""Options of earlier versions, in configs and in the config copies of work dirs."""

import sys
from typing import Any, NamedTuple

from mmengine.config import Config

_REMOVED = object()


class OldOption(NamedTuple):
    """An option that mmvsa no longer has.

    Attributes:
        key: its key.
        value: the value that is meant, or None for any.
        new: the value that replaces it. None removes the key, or the whole dict of a ``type``.
        advice: what to do, or what happens, instead.
        unknown: keys next to it that the replacement does not take.
    """

    key: str
    value: str | None
    new: str | None
    advice: str
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.key if self.value is None else f'{self.key}={self.value!r}'


OLD_OPTIONS = (
    OldOption('keep_activations', None, None, 'nothing is recomputed unless with_cp=True'),
    OldOption('type', 'mmvsa.Muon', 'AdamW', 'AdamW trains instead', unknown=('momentum',)),
    OldOption(
        'constructor',
        'mmvsa.MergedGroupsOptimWrapperConstructor',
        None,
        "MMEngine's constructor builds the optimizer",
    ),
    OldOption(
        'type',
        'mmvsa.PrepareDigitScenesHook',
        None,
        'tools/dataset_converters/digit_scenes.py writes DigitScenes',
    ),
)


def migrate(cfg: Config) -> None:
    """Translate the :data:`OLD_OPTIONS` of a config in place; each is warned of in one line."""
    found: dict[OldOption, None] = {}  # in order, each once
    for key in list(cfg):
        cfg[key] = _migrated(cfg[key], found)
    for option in found:
        message = f'warning: {option} of an earlier mmvsa is ignored: {option.advice}'
        print(message, file=sys.stderr)


def _migrated(value: Any, found: dict[OldOption, None]) -> Any:
    """Return a value without old options, or _REMOVED; dicts are changed in place."""
    if isinstance(value, dict):
        if _replace(value, found):
            return _REMOVED
        for key in list(value):
            new = _migrated(value[key], found)
            if new is _REMOVED:
                del value[key]
            else:
                value[key] = new
    elif isinstance(value, (list, tuple)):
        items = (_migrated(item, found) for item in value)
        return type(value)(item for item in items if item is not _REMOVED)
    return value


def _replace(config: dict[str, Any], found: dict[OldOption, None]) -> bool:
    """Replace the options of one dict; True where the whole dict is to be removed."""
    for option in OLD_OPTIONS:
        if option.key not in config or option.value not in (None, config[option.key]):
            continue
        found[option] = None
        if option.new is not None:
            config[option.key] = option.new
        elif option.key == 'type':
            return True
        else:
            del config[option.key]
        for key in option.unknown:
            config.pop(key, None)
    return False
