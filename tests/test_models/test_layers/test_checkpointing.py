"""Activation checkpointing from outside: what it keeps and what it must not change."""

import pytest
import torch
from torch import nn

from mmvsa.models import FullAttention
from mmvsa.models.layers import Block, ParallelConvolution, checkpointed


def block(**options):
    torch.manual_seed(0)
    convolution = ParallelConvolution((8, 16, 8), strides=(1, 1))
    return Block(FullAttention(8, 2), convolution=convolution, **options).train()


def step(call, module, x, autocast=False):
    """Return gradients and buffers of one step."""
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        out = call(module, x)
    out.float().square().sum().backward()
    return [p.grad for p in module.parameters()] + list(module.buffers())


def plainly(module, x):
    return module(x)


@pytest.mark.parametrize('options', [{}, dict(drop=0.5, drop_path=0.5)])
@pytest.mark.parametrize('autocast', [False, True])
def test_changes_no_gradient_and_no_statistic(options, autocast):
    x = torch.randn(2, 4, 5, 8)
    kept = step(plainly, block(**options), x, autocast)
    recomputed = step(checkpointed, block(**options), x, autocast)
    for a, b in zip(kept, recomputed, strict=True):
        assert torch.equal(a, b)


def test_keeps_the_inputs_alone():
    def kept(call):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            call(block(), torch.randn(2, 8, 8, 8, requires_grad=True))
        return count

    assert kept(checkpointed) < 0.1 * kept(plainly)


def test_a_second_backward_pass_leaves_statistics_alone():
    module, x = block(), torch.randn(2, 4, 5, 8)
    out = checkpointed(module, x)
    before = [b.clone() for b in module.buffers()]
    out.sum().backward(retain_graph=True)
    out.sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(before, module.buffers(), strict=True))
    assert any(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def test_without_gradients_it_is_a_plain_call():
    module, x = block().eval(), torch.randn(1, 3, 3, 8)
    with torch.no_grad():
        assert torch.equal(checkpointed(module, x), module(x))
