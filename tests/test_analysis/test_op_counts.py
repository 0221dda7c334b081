"""A slower way to write a forward pass shows here as a number, on any machine."""

import pytest
import torch

from mmvsa.analysis.op_cost import OpCost, count_operations
from mmvsa.models import ViTAEv2
from mmvsa.models.layers import FullAttention, Mlp, ParallelConvolution, WindowedAttention

WHOLE, PADDED = (2, 56, 56, 64), (2, 30, 45, 64)  # multiples of the window of 7, or not
# (copies, all operations that do work) by backend; raise one only with a measurement.
ATTENTION_CEILINGS = {
    ('torch', WHOLE): (6, 59),
    ('torch', PADDED): (8, 62),
    ('mmcv', WHOLE): (5, 26),
    ('mmcv', PADDED): (7, 29),
    ('triton', WHOLE): (3, 23),
    ('triton', PADDED): (3, 23),
}
# What a normal cell has around its attention: convolutions, norms, activations, MLP, sums.
AROUND_ATTENTION = 17


def normal_cell(kind='vsa'):
    arch = dict(
        embed_dims=(16,),
        token_dims=(64,),
        depths=(1,),
        num_heads=(2,),
        rc_heads=(2,),
        rc_attention=(kind,),
        nc_attention=(kind,),
    )
    return ViTAEv2(arch, out_indices=(0,)).stages[0].blocks[0].eval()


def assert_at_most(cost, ceiling):
    assert cost.copies <= ceiling[0], dict(cost.calls)
    assert cost.launches <= ceiling[1], dict(cost.calls)


@pytest.mark.parametrize('backend, shape', list(ATTENTION_CEILINGS))
def test_varied_window_attention(backend, shape):
    cost = count_operations(WindowedAttention(64, 2, 7), *shape, backend=backend)
    assert_at_most(cost, ATTENTION_CEILINGS[backend, shape])


@pytest.mark.parametrize('backend, shape', list(ATTENTION_CEILINGS))
def test_normal_cell_adds_no_copy(backend, shape):
    copies, launches = ATTENTION_CEILINGS[backend, shape]
    cost = count_operations(normal_cell(), *shape, backend=backend)
    assert_at_most(cost, (copies, launches + AROUND_ATTENTION))


@pytest.mark.parametrize(
    'module, shape, ceiling',
    [
        (lambda: WindowedAttention(64, 2, 7, transform=None), WHOLE, (2, 6)),
        (lambda: WindowedAttention(64, 2, 7, transform=None), PADDED, (4, 9)),
        (lambda: FullAttention(64, 2), WHOLE, (0, 3)),
        (lambda: ParallelConvolution((64, 256, 64, 64)).eval(), (2, 64, 56, 56), (0, 7)),
        (lambda: Mlp(64, 256), WHOLE, (0, 3)),
        (lambda: normal_cell('window'), WHOLE, (2, 20)),
    ],
    ids=['fixed windows', 'padded', 'full attention', 'convolutions', 'MLP', 'plain cell'],
)
def test_other_parts(module, shape, ceiling):
    assert_at_most(count_operations(module(), *shape), ceiling)


def test_what_is_counted_is_what_runs():
    module, shape = normal_cell(), (1, 14, 10, 64)
    x = torch.zeros(shape)
    with torch.no_grad(), OpCost() as run:
        module(x)
    assert count_operations(module, *shape, backend='torch').calls == run.calls


def test_a_copy_more_is_counted():
    class Copying(FullAttention):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 1, 3).contiguous())

    plain, copying = (count_operations(kind(64, 2), *WHOLE) for kind in (FullAttention, Copying))
    assert (copying.copies, copying.launches) == (plain.copies + 1, plain.launches + 1)
