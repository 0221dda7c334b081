"""Models by name: ``get_model('vitaev2-s-vsa')``."""

import copy
import difflib
import fnmatch
import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule, initialize
from torch import nn

from mmvsa.registry import MODELS

from .backbones import rvsa, swin_vsa, vitae, vitaev2
from .checkpoints import load_pretrained


def _vitae(arch: str) -> dict[str, Any]:
    # The archs with a class token normalise the mean of the tokens.
    out_type = 'avg_featmap' if vitae.ARCHS[arch].get('class_token') else 'featmap'
    return dict(type='mmvsa.ViTAE', arch=arch, out_type=out_type)


def _rvsa(arch: str, **options: Any) -> dict[str, Any]:
    return dict(type='mmvsa.RVSA', arch=arch, out_type='avg_featmap', **options)


# name -> backbone config
BACKBONES: dict[str, dict[str, Any]] = {
    **{f'vitaev2-{arch}': dict(type='mmvsa.ViTAEv2', arch=arch) for arch in vitaev2.ARCHS},
    **{f'vitae-{arch}': _vitae(arch) for arch in vitae.ARCHS},
    **{f'swin-{arch}-vsa': dict(type='mmvsa.SwinVSA', arch=arch) for arch in swin_vsa.ARCHS},
    **{f'qformer-{arch}': dict(type='mmvsa.QFormer', arch=arch) for arch in swin_vsa.ARCHS},
    **{f'rvsa-{arch}': _rvsa(arch) for arch in rvsa.ARCHS},
    **{f'rvsa-{arch}-kvdiff': _rvsa(arch, separate_windows=True) for arch in rvsa.ARCHS},
}
# name -> config of a whole model that is no classifier
MATTORS: dict[str, dict[str, Any]] = {
    'p3m-net_vitae-s': dict(
        type='mmvsa.Mattor',
        backbone=dict(type='mmvsa.PoolingViTAE', arch='s'),
        decode_head=dict(type='mmvsa.P3MHead'),
        data_preprocessor=dict(
            type='mmvsa.MattingDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
        ),
    ),
}


def list_models(pattern: str = '*') -> list[str]:
    """Names that :func:`get_model` knows, matching a shell pattern such as ``'*vsa*'``."""
    return sorted(fnmatch.filter([*BACKBONES, *MATTORS], pattern))


def model_config(name: str, num_classes: int = 1000, **overrides: Any) -> dict[str, Any]:
    """Config of an mmpretrain ``ImageClassifier`` (or a ``Mattor``); dicts merge, others replace.

    Raises:
        ValueError: an unknown name; the message lists near ones.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    if name in MATTORS:
        config = Config(copy.deepcopy(MATTORS[name]))
        config.merge_from_dict(given)
        return config.to_dict()
    if name not in BACKBONES:
        near = difflib.get_close_matches(name, list_models(), n=4, cutoff=0.4) or list_models()
        raise ValueError(f'unknown model {name!r}; did you mean one of {near}?')
    config = Config(
        dict(
            _scope_='mmpretrain',  # also where another package's scope is the default
            type='ImageClassifier',
            backbone=copy.deepcopy(BACKBONES[name]),
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
