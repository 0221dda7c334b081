"""Performer attention against the softmax that it estimates."""

import math

import pytest
import torch

from mmvsa.models.layers import PerformerAttention


def test_estimates_softmax_attention():
    """With many random features the output is close to attention with exp(q . k)."""
    attention = PerformerAttention(8, 8, feature_ratio=4096).double()
    attention.directions.normal_()
    x = 0.5 * torch.randn(1, 3, 4, 8, dtype=torch.float64)
    k, q, v = attention.kqv(x.flatten(1, 2)).mul(4).chunk(3, -1)
    attention.kqv.weight.data.mul_(4)
    exact = v + attention.proj((q @ k.transpose(1, 2)).softmax(-1) @ v)
    torch.testing.assert_close(attention(x).flatten(1, 2), exact, rtol=0.02, atol=0.002)


def test_exponentials_stay_in_float32_under_autocast():
    attention = PerformerAttention(8, 8)
    x = torch.randn(1, 3, 4, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = attention(x)
    torch.testing.assert_close(half.float(), attention(x), rtol=0.02, atol=0.02)


def test_the_projection_is_a_buffer_of_orthogonal_directions():
    attention = PerformerAttention(8, 16)
    assert 'directions' in dict(attention.named_buffers())
    gram = attention.directions @ attention.directions.T
    torch.testing.assert_close(gram, 8 * torch.eye(8), rtol=0, atol=1e-5)
    assert math.isclose(attention.directions.shape[0], 16 * 0.5)


def test_a_ratio_without_features_is_named():
    with pytest.raises(ValueError, match='feature_ratio=0.01 leaves no feature of 16'):
        PerformerAttention(8, 16, feature_ratio=0.01)


def test_values_are_added_by_default() -> None:
    x = torch.randn(1, 3, 4, 8)
    attention = PerformerAttention(8, 8)
    plain = PerformerAttention(8, 8, value_skip=False)
    plain.load_state_dict(attention.state_dict())
    values = attention.kqv(x)[..., -8:]
    torch.testing.assert_close(attention(x), plain(x) + values)


def test_projection_of_a_generator() -> None:
    def draw() -> torch.Tensor:
        return PerformerAttention(8, 8, generator=torch.Generator().manual_seed(0)).directions  # type: ignore[return-value]

    first = draw()
    assert torch.equal(first, draw())
    torch.testing.assert_close(first @ first.T, 4 * torch.eye(4))
    assert not torch.equal(first, PerformerAttention(8, 8).directions)
