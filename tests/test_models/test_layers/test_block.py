"""The pre-norm block against its equation, and tokens that are no map."""

import pytest
import torch

from mmvsa.models import FullAttention, SampledWindowAttention
from mmvsa.models.layers import Block, ParallelConvolution, TokenBlock


def attention(kind=FullAttention, **options):
    return kind(8, 2, **options)


def convolution():
    return ParallelConvolution((8, 16, 8), strides=(1, 1), groups=2)


@pytest.mark.parametrize('position_in_shortcut', [False, True])
@pytest.mark.parametrize('branch', [False, True])
def test_matches_the_equation(position_in_shortcut, branch):
    block = Block(
        attention(),
        convolution=convolution() if branch else None,
        position_kernel=3,
        position_in_shortcut=position_in_shortcut,
    )
    block = block.double().eval()
    x = torch.randn(2, 5, 6, 8, dtype=torch.float64)

    def on_map(module, value):
        return module(value.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    moved = x + on_map(block.pos_conv, x)
    y = (moved if position_in_shortcut else x) + block.attn(block.norm1(moved))
    if branch:
        y = y + on_map(block.pcm, x)
    torch.testing.assert_close(block(x), y + block.mlp(block.norm2(y)))


@pytest.mark.parametrize('branch', [False, True])
def test_without_extra_tokens_a_token_block_is_a_block(branch):
    block = Block(attention(), convolution=convolution() if branch else None).eval()
    tokens = TokenBlock(attention(), convolution=convolution() if branch else None).eval()
    tokens.load_state_dict(block.state_dict())
    x = torch.randn(2, 4, 6, 8)
    torch.testing.assert_close(tokens(x.flatten(1, 2), (4, 6)), block(x).flatten(1, 2))


def test_a_class_token_takes_part_in_full_attention_only():
    x = torch.randn(2, 1 + 24, 8)
    other = x.clone()
    other[:, 0] = torch.randn(2, 8)
    for kind, takes_part in ((FullAttention, True), (SampledWindowAttention, False)):
        block = TokenBlock(attention(kind), convolution=convolution()).eval()
        changed = (block(x, (4, 6)) - block(other, (4, 6)))[:, 1:].abs().max() > 1e-6
        assert changed == takes_part


def test_drop_path_drops_whole_branches():
    block = Block(attention(), drop_path=0.999).train()
    x = torch.randn(4, 3, 3, 8)
    assert torch.equal(block(x), x)  # with this seed every branch is dropped
    assert not torch.equal(block.eval()(x), x)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(position_kernel=4), 'position_kernel must be odd, got 4'),
        (dict(drop_path=1.0), 'drop_path must be in'),
        (dict(mlp_ratio=0.01), 'mlp_ratio=0.01 leaves no hidden channel of 8'),
        (dict(norm_eps=0), 'norm_eps must be a finite number above 0'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Block(attention(), **options)


def test_something_else_than_an_attention_is_named():
    with pytest.raises(TypeError, match='attention must be a module with embed_dims'):
        Block(torch.nn.Linear(8, 8))
