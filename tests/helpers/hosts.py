"""Configs of host packages that are optional, and what their tests share."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmvsa.utils.config import OPTIONAL_HOSTS

# Folder of configs -> the package of their bases.
_FOLDERS = {'oriented_rcnn': 'mmrotate', 's2anet': 'mmrotate', 'topdown_heatmap': 'mmpose'}


def require_host(package: str) -> None:
    """Skip where an optional package is missing; the reason says how to install it."""
    hint = f'tools/install.sh {OPTIONAL_HOSTS[package]}'
    pytest.importorskip(package, reason=f'{package} is not installed: {hint}')


def require_host_of(config: Path) -> None:
    """Skip a config whose bases are in an optional package that is missing."""
    if config.parent.name in _FOLDERS:
        require_host(_FOLDERS[config.parent.name])


def train_step(cfg: Config, samples: list[dict]) -> tuple[nn.Module, dict[str, float]]:
    """The model of a config after a backward pass, and its losses."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).train()
    data = model.data_preprocessor(pseudo_collate(samples), True)
    total, log = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    return model, {name: float(value.detach()) for name, value in log.items()}


def assert_backbone_trains(model: nn.Module) -> None:
    """Every parameter that is not frozen has a finite gradient, and some are not zero."""
    parameters = {n: p for n, p in model.backbone.named_parameters() if p.requires_grad}
    gradients = {name: parameter.grad for name, parameter in parameters.items()}
    assert not [name for name, gradient in gradients.items() if gradient is None]
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert torch.stack([gradient.abs().sum() for gradient in gradients.values()]).sum() > 0


def without_workers(cfg: Config, batch_size: int) -> None:
    """Load in this process: nothing to start, nothing to wait for."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            cfg[name].update(num_workers=0, persistent_workers=False, batch_size=batch_size)
