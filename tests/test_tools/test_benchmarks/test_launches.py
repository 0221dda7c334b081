"""Counting kernels without a GPU."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

TOOL = Path(__file__).resolve().parents[3] / 'tools/benchmarks/launches.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('launches', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Pool(nn.Module):
    """A convolution and a linear layer on images."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(self.conv(x).mean((2, 3)))


def test_casts_and_operators_of_autocast_are_counted(tool):
    kernels = tool.count_launches(Pool, batch_size=2, size=4)
    # Images, two weights and two biases are cast once; a transposed weight is a view.
    assert dict(kernels) == {
        'aten::_to_copy': 5,
        'aten::convolution': 1,
        'aten::mean': 1,
        'aten::addmm': 1,
    }
    assert not torch.is_autocast_enabled('cuda')
    without = tool.count_launches(Pool, batch_size=2, size=4, autocast=False)
    assert 'aten::_to_copy' not in without and without.total() == 3


def test_a_step_counts_the_backward_as_well(tool):
    forward = tool.count_launches(Pool, batch_size=2, size=4)
    step = tool.count_launches(Pool, batch_size=2, size=4, step=True)
    assert step['aten::convolution_backward'] == 2 and step['aten::mm'] == 2
    assert step.total() > 2 * forward.total()


def test_kernels_of_an_attention_by_backend(tool):
    """The fused kernel takes less than half of the launches of sampling and attention apart."""
    from mmvsa.models import SampledWindowAttention

    class Attention(SampledWindowAttention):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1))

    totals = {}
    for backend in ('torch', 'triton'):
        build = lambda backend=backend: Attention(3, 1, 7, backend=backend)  # noqa: E731
        totals[backend] = tool.count_launches(build, batch_size=2, size=14).total()
    assert totals['triton'] < totals['torch']
    assert totals['triton'] <= 30


# Raise one only with a measurement. A join of groups counts as a kernel here, and saves 450 of the
# 1,941 that an H200 ran in a forward pass.
@pytest.mark.parametrize(
    ('options', 'ceiling'),
    [({}, 1070), (dict(autocast=False), 755), (dict(step=True), 2360)],
    ids=['forward', 'forward of bfloat16 weights', 'step'],
)
def test_ceilings_of_vitaev2_s_vsa(tool, options, ceiling):
    total = tool.count_launches(lambda: tool.build_model('vitaev2-s-vsa', 'triton'), **options)
    assert 0.8 * ceiling < total.total() <= ceiling
