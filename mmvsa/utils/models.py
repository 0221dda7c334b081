"""Building the model that a user names on the command line."""

from typing import Any

from torch import nn

from .config import load_config
from .errors import UsageError


def build_model(name: str, options: dict[str, Any] | None = None) -> nn.Module:
    """Build the model of a name that ``get_model`` knows, or of a config file.

    Args:
        name: A name, or the path of a config, which ends with ``.py``.
        options: Overrides, as those of ``--cfg-options``: ``{'model.head.num_classes': 10}``.

    Raises:
        UsageError: An unknown name, no such config, a wrong option.
    """
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    from mmvsa.apis import get_model

    if name.endswith('.py'):
        cfg = load_config(name, options)
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        if 'data_preprocessor' in cfg:  # as the runner does
            cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
        return MODELS.build(cfg.model)
    overrides = Config(dict(model={}))
    overrides.merge_from_dict(options or {})
    model = overrides.model.to_dict()
    classes = model.get('head', {}).pop('num_classes', None)
    try:
        return get_model(name, num_classes=classes, **model)
    except ValueError as error:  # the message lists near names
        raise UsageError(str(error)) from error


def build_backbone(name: str, options: dict[str, Any] | None = None) -> nn.Module:
    """Build the backbone of a name or a config, with several maps if it has several stages.

    A config's backbone returns what the config says. A name's returns the map of every stage; of
    a plain transformer, those after each quarter of the blocks.

    Raises:
        UsageError: As :func:`build_model`, or the model has no backbone.
    """
    built = _backbone(build_model(name, options), name)
    if name.endswith('.py'):
        return built
    step = max(built.num_stages // 4, 1)
    maps: dict[str, Any] = {
        'model.backbone.out_indices': tuple(range(step - 1, built.num_stages, step))
    }
    if hasattr(built, 'out_type'):
        maps['model.backbone.out_type'] = 'featmap'
    return _backbone(build_model(name, {**maps, **(options or {})}), name)


def _backbone(model: nn.Module, name: str) -> Any:
    if not hasattr(model, 'backbone'):
        raise UsageError(f'{name} is a {type(model).__name__}, which has no backbone')
    return model.backbone
