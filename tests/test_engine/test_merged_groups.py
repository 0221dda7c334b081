"""Merged parameter groups: fewer of them, the same training."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

RULES = dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'head': dict(lr_mult=0.1)})


class Model(nn.Module):
    """Weights, norms and biases, and a head with a rate of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def wrapper(model: nn.Module, constructor: str, **options: object) -> OptimWrapper:
    return build_optim_wrapper(
        model,
        dict(
            constructor=constructor,
            optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1, **options),
            paramwise_cfg=RULES,
        ),
    )


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Model()


def test_groups(model: nn.Module) -> None:
    groups = wrapper(model, 'mmvsa.MergedGroupsOptimWrapperConstructor').optimizer.param_groups
    found = {(group['lr'], group['weight_decay']): len(group['params']) for group in groups}
    # Two weights; their biases and the norm; weight and bias of the head.
    assert found == {(0.01, 0.1): 2, (0.01, 0.0): 4, (0.001, 0.1): 2}
    assert len(groups) == 3


@pytest.mark.parametrize('options', [{}, dict(fused=True), dict(foreach=True)])
def test_same_training(model: nn.Module, options: dict[str, bool]) -> None:
    models = model, copy.deepcopy(model)
    wrappers = (
        wrapper(models[0], 'DefaultOptimWrapperConstructor'),
        wrapper(models[1], 'mmvsa.MergedGroupsOptimWrapperConstructor', **options),
    )
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    for _ in range(5):
        x = torch.randn(16, 4)
        for each, optimizer in zip(models, wrappers, strict=True):
            optimizer.update_params(each(x).square().mean())
    merged = dict(models[1].named_parameters())
    for name, value in models[0].named_parameters():
        torch.testing.assert_close(merged[name], value, msg=name)
        assert not torch.equal(value, start[name])
