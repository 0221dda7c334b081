"""Muon: its updates, which parameters are AdamW's, and that it goes on from where it stopped."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from timm.optim import muon as timm_muon
from torch import Tensor, nn

from mmvsa.engine.muon import Muon, orthogonalize


class Model(nn.Module):
    """Weights for Muon in ``conv`` and ``linear``; all others are AdamW's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
        self.linear = nn.Linear(16, 24)
        self.table = nn.Parameter(torch.randn(49, 4))


def give_gradients(model: nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model()


@pytest.mark.parametrize('shape', [(16, 16), (8, 72), (40, 12)])
def test_orthogonalize_flattens_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape, dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ torch.stack(orthogonalize(matrices.unbind())) @ right.mT
    values = found.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.7 and values.max() < 1.2
    torch.testing.assert_close(found, torch.diag_embed(values))


def test_orthogonalize_as_timm() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(1, 24, 32, dtype=torch.float64)
    expected = timm_muon.zeropower_via_newtonschulz(
        matrix, 5, timm_muon._COEFFICIENTS['quintic'], dtype=torch.float64
    )
    torch.testing.assert_close(orthogonalize(matrix), list(expected))


def test_orthogonalize_in_any_company() -> None:
    """Matrices of one side are computed together, whatever their size and their other side."""
    torch.manual_seed(0)
    shapes = [(8, 72), (16, 8), (12, 12), (8, 8), (40, 12)]
    matrices = [torch.randn(shape, dtype=torch.float64) * 10.0**i for i, shape in enumerate(shapes)]
    matrices.append(torch.randn(8, 72))
    for found, matrix in zip(orthogonalize(matrices), matrices, strict=True):
        assert found.shape == matrix.shape
        torch.testing.assert_close(found, orthogonalize([matrix])[0])


def test_orthogonalize_precision() -> None:
    """In float32 down to a thousandth of the largest singular value."""
    torch.manual_seed(0)
    matrix = torch.randn(32, 288) * torch.logspace(0, -3, 32)[:, None]
    torch.testing.assert_close(
        orthogonalize([matrix])[0].double(), orthogonalize([matrix.double()])[0], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize('size', [0.0, 1e-40, 1e-23, 1e-15])
def test_orthogonalize_vanishing(size: float) -> None:
    """Entries whose squares are 0 in float32 stay small."""
    assert orthogonalize([torch.full((8, 8), size)])[0].abs().max() < 1e-4


def test_update_of_matrices(model: Model) -> None:
    """Nesterov momentum, orthogonal, 0.2 of the rate in the mean square; weights decay."""
    optimizer = Muon(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.5)
    expected = {name: getattr(model, name).weight.detach().clone() for name in ('conv', 'linear')}
    averages = {name: torch.zeros_like(value) for name, value in expected.items()}
    for step in range(3):
        give_gradients(model, step)
        for name, value in expected.items():
            gradient = getattr(model, name).weight.grad
            averages[name] = 0.9 * averages[name] + 0.1 * gradient
            update = 0.1 * gradient + 0.9 * averages[name]
            matrix = orthogonalize([update.flatten(1)])[0]
            size = 0.2 * max(matrix.shape) ** 0.5
            value.mul_(1 - 0.01 * 0.5).sub_(0.01 * size * matrix.view_as(value))
        optimizer.step()
    for name, value in expected.items():
        torch.testing.assert_close(getattr(model, name).weight.detach(), value)


def test_others_are_adamw(model: Model) -> None:
    twin = copy.deepcopy(model)
    optimizers = [
        kind(each.parameters(), lr=0.01, weight_decay=0.1, betas=(0.9, 0.98))
        for kind, each in ((Muon, model), (torch.optim.AdamW, twin))
    ]
    for step in range(3):
        for each, optimizer in zip((model, twin), optimizers, strict=True):
            give_gradients(each, step)
            optimizer.step()
    for (name, value), expected in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(value, expected) == (name not in ('conv.weight', 'linear.weight')), name


def test_parameters_without_gradient_stay(model: Model) -> None:
    optimizer = Muon(model.parameters(), lr=0.01)
    give_gradients(model, 0)
    model.linear.weight.grad = None
    before = model.linear.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.linear.weight, before)


@pytest.mark.parametrize('fused', [False, True])
def test_goes_on_from_its_state(model: Model, fused: bool) -> None:
    optimizer = Muon(model.parameters(), lr=0.01, fused=fused)
    give_gradients(model, 0)
    optimizer.step()
    twin = copy.deepcopy(model)
    other = Muon(twin.parameters(), lr=0.5, fused=fused)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, its in ((model, optimizer), (twin, other)):
        give_gradients(each, 1)
        its.step()
    for value, expected in zip(twin.parameters(), model.parameters(), strict=True):
        assert torch.equal(value, expected)


def test_from_a_config(model: Model) -> None:
    """With rules per parameter, and names, as MMEngine's constructor gives them."""
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='mmvsa.MergedGroupsOptimWrapperConstructor',
            optimizer=dict(type='mmvsa.Muon', lr=0.01, weight_decay=0.1),
            paramwise_cfg=dict(bias_decay_mult=0.0, custom_keys={'linear': dict(lr_mult=0.1)}),
        ),
    )
    rates = {
        id(p): group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']
    }
    assert rates[id(model.linear.weight)] == 0.001 and rates[id(model.conv.weight)] == 0.01
    assert len(rates) == len(list(model.parameters()))
    named = Muon(model.named_parameters())
    assert [sorted(group['param_names']) for group in named.param_groups][0] == [
        'conv.weight',
        'linear.weight',
    ]


def test_learns_and_calls_closure() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    target = x @ torch.randn(8, 8)
    linear = nn.Linear(8, 8)
    optimizer = Muon(linear.parameters(), lr=0.2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (linear(x) - target).square().mean()
        loss.backward()
        return loss

    first = optimizer.step(closure)
    for _ in range(99):
        schedule.step()
        last = optimizer.step(closure)
    assert last < 0.05 * first


def test_bad_momentum(model: Model) -> None:
    with pytest.raises(ValueError, match=r'momentum must be at least 0 and below 1, got 1\.5'):
        Muon(model.parameters(), momentum=1.5)
