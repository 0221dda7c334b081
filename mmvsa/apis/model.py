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
from mmvsa.models.checks import check_int
from mmvsa.registry import MODELS
from mmvsa.suggestions import did_you_mean
from mmvsa.utils.options import accepted_by


@functools.cache
def collect_models() -> dict[str, dict[str, Any]]:
    """Backbone configs by model name: the ``MODELS_BY_NAME`` of every backbone module.

    Raises:
        ValueError: two modules define the same name.
    """
    found: dict[str, dict[str, Any]] = {}
    for module in vars(backbones).values():
        if not isinstance(module, ModuleType):
            continue
        models = getattr(module, 'MODELS_BY_NAME', {})
        if taken := found.keys() & models.keys():
            raise ValueError(f'{module.__name__} names models that others have: {sorted(taken)}')
        found.update(models)
    return found


# name -> config of a change detector of mmseg
CHANGE_DETECTORS: dict[str, dict[str, Any]] = {
    'bit_vitaev2-s': dict(
        type='mmvsa.SiamEncoderDecoder',
        data_preprocessor=dict(
            type='mmvsa.PairDataPreprocessor', bgr_to_rgb=True, test_cfg=dict(size_divisor=32)
        ),
        backbone=dict(
            type='mmvsa.ViTAEv2', arch='s', out_indices=(2,), attention=dict(padding='end')
        ),
        neck=dict(type='mmvsa.FeatureFusionNeck', policy='concat'),
        decode_head=dict(type='mmvsa.BITHead', in_channels=256),
    ),
}


# name -> config of a whole model that is no classifier
WHOLE_MODELS = {**CHANGE_DETECTORS, **mattors.MODELS_BY_NAME}


def list_models(pattern: str = '*') -> list[str]:
    """List the names that :func:`get_model` knows and that match a shell pattern (``'*vsa*'``)."""
    return sorted(fnmatch.filter([*collect_models(), *WHOLE_MODELS], pattern))


def model_config(name: str, num_classes: int = 1000, **overrides: Any) -> dict[str, Any]:
    """Return the config of an mmpretrain ``ImageClassifier``; dicts merge, other values replace.

    Raises:
        ValueError: an unknown name; the message lists near ones.
    """
    models = collect_models()
    if name not in models:
        near = difflib.get_close_matches(name, list_models(), n=4, cutoff=0.4) or list_models()
        raise ValueError(f'unknown model {name!r}; did you mean one of {near}?')
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
    # MMEngine takes `_delete_` out of what it merges.
    config.merge_from_dict(copy.deepcopy(overrides))
    if config.backbone.get('out_type') == 'avg_featmap' and not overrides.get('neck'):
        config.neck = None  # the backbone takes the mean itself
    _set_head_channels(config)
    return config.to_dict()


def _set_head_channels(config: Config) -> None:
    """The head's input width follows the last stage that the backbone returns."""
    head = config.get('head')
    if not head or 'in_channels' in head:
        return
    # On the meta device: nothing is allocated or initialized.
    with torch.device('meta'):
        backbone = MODELS.build(config.backbone)
    if hasattr(backbone, 'out_channels'):
        head.in_channels = backbone.out_channels[-1]


# Parts of mmpretrain's ImageClassifier
_PARTS = ('backbone', 'neck', 'head', 'train_cfg', 'data_preprocessor', 'init_cfg')
# What timm and mmpretrain call an option of the backbone
_OTHER_NAMES = {'in_chans': 'in_channels'}
_CURES = {
    'checkpoint_path': 'name the file by pretrained',
    'global_pool': 'the pooling is a neck: neck=None, or neck=dict(type=...)',
    'pretrained_cfg': 'name a file by pretrained',
    'img_size': 'images of any size are taken',
    'device': 'move the model by .to(device)',
    'window_size': 'it belongs to the arch: attention=dict(window_size=...)',
}


def _sort_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Move what the backbone takes into ``backbone``, as timm and mmpretrain pass it.

    Raises:
        ValueError: Nothing takes an option.
    """
    accepted = accepted_by(MODELS.get(collect_models()[name]['type'])) or set()
    accepted -= {'type', '_scope_', '_delete_', 'init_cfg', 'arch', 'num_stages'}
    known = {*accepted, *_PARTS, 'num_classes', 'pretrained', 'features_only'}
    parts = {key: value for key, value in options.items() if key in _PARTS}
    own: dict[str, Any] = {}
    for key in options.keys() - parts.keys():
        option = _OTHER_NAMES.get(key, key)
        if option not in accepted:
            cure = f'; {_CURES[key]}' if key in _CURES else did_you_mean(key, known)
            raise ValueError(f'{name} takes no option {key}{cure}')
        own[option] = options[key]
    return {**parts, 'backbone': {**own, **parts.get('backbone', {})}} if own else parts


def get_model(
    name: str,
    pretrained: str | os.PathLike | None = None,
    num_classes: int | None = None,
    *,
    features_only: bool = False,
    **overrides: Any,
) -> nn.Module:
    """Build a classifier of mmpretrain, a change detector of mmseg, or a matting network.

    ``model(images)`` returns the logits; a change detector takes ``model((before, after))``, and
    a matting network returns ``.glance``, ``.focus`` and ``.fused``.

    Args:
        name: one of :func:`list_models`.
        pretrained: path of a checkpoint of mmvsa or of an official implementation, of a whole
            model or of a backbone; what the file lacks keeps its initial values and is reported.
        num_classes: classes of the head; by default 1000, and 2 of a change detector. A matting
            network has none. With 0, as with ``head=None``, the model returns pooled features, a
            tuple of one (B, C).
        features_only: return the backbone alone, which gives one map (B, C, H, W) per entry of
            ``out_indices``; by default those of all stages, of plain transformers the last.
        overrides: merged into the config: ``backbone=dict(out_indices=(0, 1, 2, 3))``,
            ``neck=...``, ``head=...``, ``train_cfg=...``. Options of the backbone may stand by
            themselves, as in timm: ``in_chans=4``, ``drop_path_rate=0.1``, ``out_indices=(1, 2)``.

    Raises:
        ValueError: an unknown name or a wrong option.
        mmvsa.models.CheckpointError: the file is unreadable or another model's.
    """
    if pretrained is True:
        raise ValueError(
            'pretrained=True downloads nothing: give the path of a checkpoint, docs/checkpoints.md '
            'says which'
        )
    if name in WHOLE_MODELS:
        if features_only:
            raise ValueError(f'{name} is no classifier: features_only is not for it')
        model = MODELS.build(_whole_model_config(name, num_classes, overrides))
    else:
        model = _build_classifier(name, num_classes, features_only, overrides)
    _init_weights(model)
    if pretrained:
        load_pretrained(model, pretrained)
        _mark_initialised(model)
    return model


def _build_classifier(
    name: str, num_classes: int | None, features_only: bool, overrides: dict[str, Any]
) -> nn.Module:
    classes = 1000 if num_classes is None else check_int('num_classes', num_classes, minimum=0)
    if name in collect_models():
        overrides = _sort_options(name, overrides)
    if features_only or not classes:
        overrides['head'] = None
    config = model_config(name, classes, **overrides)
    if features_only:
        return _build_backbone(config['backbone'])
    from mmpretrain.registry import MODELS as CLASSIFIERS

    return CLASSIFIERS.build(config)


def _build_backbone(config: dict[str, Any]) -> nn.Module:
    """Build a backbone, by default with the maps of all stages, from the largest map on."""
    if 'out_indices' not in config:
        with torch.device('meta'):
            stages = MODELS.build(config).num_stages
        if stages <= 4:
            config = {**config, 'out_indices': tuple(range(stages))}
    return MODELS.build(config)


def _whole_model_config(
    name: str, num_classes: int | None, overrides: dict[str, Any]
) -> dict[str, Any]:
    config = Config(copy.deepcopy(WHOLE_MODELS[name]))
    if name in CHANGE_DETECTORS:
        config._scope_ = 'mmseg'
    if num_classes is not None:
        if name not in CHANGE_DETECTORS:
            raise ValueError(f'{name} has no classes; leave num_classes={num_classes!r} out')
        config.decode_head.num_classes = check_int('num_classes', num_classes, minimum=2)
    config.merge_from_dict(copy.deepcopy(overrides))
    return config.to_dict()


def _mark_initialised(model: nn.Module) -> None:
    """Keep a runner, which calls ``init_weights``, from writing over loaded weights."""
    for module in model.modules():
        if isinstance(module, BaseModule):
            module.is_init = True


def _init_weights(model: Any) -> None:
    """Initialize as ``model.init_weights()`` does, without its line for every parameter."""
    if next(model.parameters()).is_meta:
        return  # there is no memory to initialize
    backbone = getattr(model, 'backbone', model)
    if backbone.init_cfg:
        backbone.init_weights()
    head = getattr(model, 'decode_head', None) or getattr(model, 'head', None)
    if head is not None and head.init_cfg:
        initialize(head, head.init_cfg)
