"""The attention function against its equation in float64."""

import pytest
import torch

from mmvsa.ops import attend
from mmvsa.ops.attention import MAX_WRITTEN_KEYS


@pytest.mark.parametrize('keys', [9, MAX_WRITTEN_KEYS + 1])
@pytest.mark.parametrize('bias', ['none', 'fixed', 'trained', 'per window'])
def test_matches_the_equation(keys, bias):
    shape = (2, 3, keys, 4)
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(3))
    table = None
    if bias != 'none':
        batch = 2 if bias == 'per window' else 1
        table = torch.randn(batch, 3, keys, keys, dtype=torch.float64)
        table.requires_grad_(bias == 'trained')
    out = attend(q, k, v, scale=0.3, bias=table)
    scores = q @ k.transpose(-1, -2) * 0.3
    expected = ((scores if table is None else scores + table).softmax(-1)) @ v
    torch.testing.assert_close(out, expected)
    leaves = [x for x in (q, k, v, table) if x is not None and x.requires_grad]
    gradient = torch.randn(shape, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad(out, leaves, gradient),
        torch.autograd.grad(expected, leaves, gradient),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('trained', [False, True])
def test_dropout_drops_weights(trained):
    q, k = torch.zeros(2, 1, 1, 9, 4)
    v = torch.eye(9).view(1, 1, 9, 9)
    bias = torch.zeros(1, 1, 9, 9, requires_grad=trained)
    weights = attend(q, k, v, scale=1.0, bias=bias, dropout=0.5).detach() * 9
    assert sorted(set(weights.flatten().round(decimals=4).tolist())) == [0.0, 2.0]
