"""Mixed precision on a CPU."""

import pytest
import torch
from torch import nn

from mmvsa.engine import CpuAmpOptimWrapper


def test_autocasts_and_keeps_float32_weights() -> None:
    model = nn.Linear(8, 4)
    wrapper = CpuAmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.randn(3, 8))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().square().mean())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


def test_accumulates() -> None:
    """MMEngine's gradient accumulation still applies: half the loss, a step every second time."""
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = CpuAmpOptimWrapper(optimizer=optimizer, accumulative_counts=2)
    before = model.weight.detach().clone()
    for step in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 2)).float().sum()
        wrapper.update_params(loss)
        assert torch.equal(model.weight, before) == (step == 0)


def test_only_bfloat16() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match='bfloat16'):
        CpuAmpOptimWrapper('float16', optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
