"""The MLP and its linear layers."""

import pytest
import torch

from mmvsa.models.layers import Mlp, linear


def test_matches_its_equation():
    mlp = Mlp(4, 8).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    hidden = torch.nn.functional.gelu(x @ mlp.fc1.weight.T + mlp.fc1.bias)
    torch.testing.assert_close(mlp(x), hidden @ mlp.fc2.weight.T + mlp.fc2.bias)


def test_dropout_follows_both_layers():
    mlp = Mlp(64, 64, drop=0.5).train()
    assert not mlp(torch.randn(1, 64)).all()
    assert mlp.eval()(torch.randn(1, 64)).all()


def test_initialization():
    layer = linear(512, 512)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05) and not layer.bias.any()
    assert linear(4, 4, bias=False).bias is None
