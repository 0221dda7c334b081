"""The wrapping of mmcv's op, tested on its CPU kernel: gradients, opcheck, torch.compile."""

import dataclasses

import pytest
import torch

from mmvsa.models import SampledWindowAttention
from mmvsa.ops import BACKENDS, SamplingBackend, set_backend
from mmvsa.ops.mmcv_sampling import compiled_op, sample_mmcv, torch_twin
from mmvsa.ops.torch_sampling import sample_torch


def make_inputs(requires_grad=True):
    torch.manual_seed(0)
    value = torch.randn(2, 5 * 8, 3, 4, dtype=torch.float64, requires_grad=requires_grad)
    points = torch.rand(2, 7, 3, 2, dtype=torch.float64) * 12 - 2  # also outside the map
    return value, points.requires_grad_(requires_grad)


def test_equals_the_twin_with_gradients():
    value, points = make_inputs()
    expected = torch_twin(value, points, 5, 8)
    gradient = torch.randn_like(expected)
    out = compiled_op(value, points, 5, 8)
    torch.testing.assert_close(out, expected)
    grads = torch.autograd.grad(out, (value, points), gradient)
    expected_grads = torch.autograd.grad(expected, (value, points), gradient)
    for actual, expected in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(actual, expected)


def test_opcheck():
    value, points = make_inputs()
    torch.library.opcheck(torch.ops.mmvsa.deform_sample.default, (value, points, 5, 8))
    value, points = make_inputs(requires_grad=False)
    gradient = torch.randn(2, 7, 3, 4, dtype=torch.float64)
    backward = torch.ops.mmvsa.deform_sample_backward.default
    torch.library.opcheck(backward, (gradient, value, points, 5, 8))


@pytest.mark.parametrize('dynamic', [False, True])
def test_compiles_without_a_graph_break(dynamic):
    torch.compiler.reset()
    kv = torch.randn(2, 5, 8, 3, 4, requires_grad=True)
    points = torch.rand(2, 2, 3, 3, 6, 2, requires_grad=True)
    # aot_eager: the graph is captured and differentiated, but needs no C++ compiler
    compiled = torch.compile(sample_mmcv, fullgraph=True, dynamic=dynamic, backend='aot_eager')
    out, expected = compiled(kv, points), sample_torch(kv, points)
    torch.testing.assert_close(out, expected)
    actual = torch.autograd.grad(out.square().sum(), (kv, points))
    expected = torch.autograd.grad(expected.square().sum(), (kv, points))  # type: ignore[assignment]
    torch.testing.assert_close(actual, expected)


def test_attention_compiles_whole_with_the_op(monkeypatch):
    torch.compiler.reset()
    torch.manual_seed(0)
    attention = SampledWindowAttention(12, 3, window_size=4, backend='mmcv')
    torch.nn.init.normal_(attention.transform.regressor.weight, std=0.5)
    x = torch.randn(1, 10, 9, 12)
    expected = set_backend(attention, 'torch')(x)
    # as on a GPU, but with the op's CPU kernel
    table = tuple(
        dataclasses.replace(backend, unavailable=lambda device: [])
        for backend in BACKENDS
        if isinstance(backend, SamplingBackend)
    )
    monkeypatch.setattr('mmvsa.ops.backends.BACKENDS', table)
    set_backend(attention, 'mmcv')
    out = torch.compile(attention, fullgraph=True, backend='aot_eager')(x)
    torch.testing.assert_close(out, expected)
