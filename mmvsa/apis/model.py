"""Models by name: ``get_model('vitaev2-s-vsa')``."""

import copy
import difflib
import fnmatch
import functools
import os
from types import ModuleType
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule, initialize
from torch import nn

from mmvsa.models import backbones, load_pretrained, mattors
from mmvsa.registry import MODELS


@functools.cache
def collect_models() -> dict[str, dict[str, Any]]:
    """Configs by model name: the ``MODELS_BY_NAME`` of every backbone module and of mattors.

    Those of mattors are whole models, with a ``backbone``; the others are backbones.

    Raises:
        ValueError: two modules define the same name.
    """
    found: dict[str, dict[str, Any]] = {}
    for module in (*vars(backbones).values(), mattors):
        if not isinstance(module, ModuleType):
            continue
        models = getattr(module, 'MODELS_BY_NAME', {})
        if taken := found.keys() & models.keys():
            raise ValueError(f'{module.__name__} names models that others have: {sorted(taken)}')
        found.update(models)
    return found


def list_models(pattern: str = '*') -> list[str]:
    """List the names that :func:`get_model` knows and that match a shell pattern (``'*vsa*'``)."""
    return sorted(fnmatch.filter(collect_models(), pattern))


def model_config(name: str, num_classes: int = 1000, **overrides: Any) -> dict[str, Any]:
    """Return the config of an mmpretrain ``ImageClassifier``, or of a whole model.

    Dicts of ``overrides`` are merged into it, other values replace its own.

    Raises:
        ValueError: an unknown name; the message lists near ones.
    """
    models = collect_models()
    if name not in models:
        near = difflib.get_close_matches(name, models, n=4, cutoff=0.4) or list_models()
        raise ValueError(f'unknown model {name!r}; did you mean one of {near}?')
    given = {key: value for key, value in overrides.items() if value is not None}
    if 'backbone' in models[name]:
        config = Config(copy.deepcopy(models[name]))
        config.merge_from_dict(given)
        return config.to_dict()
    config = Config(
        dict(
            _scope_='mmpretrain',  # also where another package's scope is the default
            type='ImageClassifier',
            backbone=copy.deepcopy(models[name]),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='LinearClsHead',
                num_classes=num_classes,
                loss=dict(type='CrossEntropyLoss'),
            ),
        )
    )
    config.merge_from_dict(given)
    if config.backbone.get('out_type') == 'avg_featmap' and not overrides.get('neck'):
        config.neck = None  # the backbone takes the mean itself
    _set_head_channels(config)
    return config.to_dict()


def _set_head_channels(config: Config) -> None:
    """The head's input width follows the last stage that the backbone returns."""
    head = config.get('head')
    if not head or 'in_channels' in head:
        return
    # On the meta device: nothing is allocated or initialised.
    with torch.device('meta'):
        backbone = MODELS.build(config.backbone)
    if hasattr(backbone, 'out_channels'):
        head.in_channels = backbone.out_channels[-1]


def get_model(
    name: str,
    pretrained: str | os.PathLike | None = None,
    num_classes: int = 1000,
    **overrides: Any,
) -> nn.Module:
    """An mmpretrain ``ImageClassifier``; ``model(images)`` are the logits.

    Of a matting network such as ``'p3m-net_vitae-s'``, a :class:`~mmvsa.models.Mattor`;
    ``model(images)`` has ``.glance``, ``.focus`` and ``.fused``.

    Args:
        name: one of :func:`list_models`.
        pretrained: path of a checkpoint of mmvsa or of the authors, of a whole classifier or of
            a backbone; what the file lacks stays fresh and is reported.
        num_classes: classes of a classifier's head.
        overrides: merged into the config: ``backbone=dict(out_indices=(0, 1, 2, 3))``,
            ``neck=...``, ``head=...``, ``train_cfg=...``.

    Raises:
        ValueError: an unknown name or a wrong option.
        mmvsa.models.CheckpointError: the file is unreadable or another model's.
    """
    from mmpretrain.registry import MODELS

    model = MODELS.build(model_config(name, num_classes, **overrides))
    _init_weights(model)
    if pretrained is not None:
        load_pretrained(model, pretrained)
        _mark_initialised(model)
    return model


def _mark_initialised(model: nn.Module) -> None:
    """Keep a runner, which calls ``init_weights``, from writing over loaded weights."""
    for module in model.modules():
        if isinstance(module, BaseModule):
            module.is_init = True


def _init_weights(model: Any) -> None:
    """Initialise as ``model.init_weights()`` does, without its line for every parameter."""
    if next(model.parameters()).is_meta:
        return  # there is no memory to initialise
    if model.backbone.init_cfg:
        model.backbone.init_weights()
    if getattr(model, 'with_head', False) and model.head.init_cfg:
        initialize(model.head, model.head.init_cfg)
