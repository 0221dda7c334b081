"""Models by name: ``get_model('vitaev2-s-vsa')``."""

import copy
import difflib
import fnmatch
import os
from typing import Any

from mmengine.config import Config
from mmengine.model import initialize
from torch import nn

from .backbones.vitaev2 import ARCHS, resolve_arch
from .checkpoints import load_pretrained

# name -> backbone config
BACKBONES: dict[str, dict[str, Any]] = {
    f'vitaev2-{arch}': dict(type='mmvsa.ViTAEv2', arch=arch) for arch in ARCHS
}


def list_models(pattern: str = '*') -> list[str]:
    """Names that :func:`get_model` knows, matching a shell pattern such as ``'*vsa*'``."""
    return sorted(fnmatch.filter(BACKBONES, pattern))


def model_config(name: str, num_classes: int = 1000, **overrides: Any) -> dict[str, Any]:
    """Config of an mmpretrain ``ImageClassifier``; dicts merge, other values replace.

    Raises:
        ValueError: an unknown name; the message lists near ones.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(name, BACKBONES, n=4, cutoff=0.4) or list_models()
        raise ValueError(f'unknown model {name!r}; did you mean one of {near}?')
    config = Config(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=copy.deepcopy(BACKBONES[name]),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=num_classes,
                loss=dict(type='mmpretrain.CrossEntropyLoss'),
            ),
        )
    )
    config.merge_from_dict({key: value for key, value in overrides.items() if value is not None})
    _set_head_channels(config)
    return config.to_dict()


def _set_head_channels(config: Config) -> None:
    """The head's input width follows the last stage that the backbone returns."""
    head = config.get('head')
    if not head or 'in_channels' in head:
        return
    widths = resolve_arch(config.backbone.get('arch', 's-vsa'))['token_dims']
    indices = config.backbone.get('out_indices', (3,))
    head.in_channels = widths[max(index % len(widths) for index in indices)]


def get_model(
    name: str,
    pretrained: str | os.PathLike | None = None,
    num_classes: int = 1000,
    **overrides: Any,
) -> nn.Module:
    """An mmpretrain ``ImageClassifier``; ``model(images)`` are the logits.

    Args:
        name: one of :func:`list_models`.
        pretrained: path of a checkpoint of mmvsa or of the authors, of a whole classifier or of
            a backbone; what the file lacks stays fresh and is reported.
        num_classes: classes of the head.
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
    return model


def _init_weights(model: Any) -> None:
    """Initialise as ``model.init_weights()`` does, without its line for every parameter."""
    if next(model.parameters()).is_meta:
        return  # there is no memory to initialise
    if model.backbone.init_cfg:
        model.backbone.init_weights()
    if model.with_head and model.head.init_cfg:
        initialize(model.head, model.head.init_cfg)
