"""A slower way to write a forward pass shows here as a number, on any machine."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmvsa.models import ViTAEv2
from mmvsa.models.layers import (
    FullAttention,
    Mlp,
    ParallelConvolution,
    SampledWindowAttention,
    WindowAttention,
)

aten = torch.ops.aten
COPIES = (aten.copy_, aten.clone, aten._to_copy, aten.cat, aten.constant_pad_nd)
# They touch no data, as views do not.
FREE = (
    *(aten.detach, aten.empty, aten.empty_like, aten._unsafe_view, aten.lift_fresh),
    aten.promote_types,
)
WHOLE, PADDED = (1, 14, 21, 16), (1, 10, 15, 16)  # multiples of the window of 7, or not


class CountOps(TorchDispatchMode):
    """Counts the operations that do work."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and func.overloadpacket not in FREE and func.namespace != 'prim':
            self.calls[func.overloadpacket] += 1
        return func(*args, **(kwargs or {}))


def count(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """(copies, all operations) of a forward pass."""
    x = torch.zeros(shape)
    with torch.no_grad(), CountOps() as ops:
        module.eval()(x)
    return sum(ops.calls[copy] for copy in COPIES), ops.calls.total()


def normal_cell(kind: str) -> nn.Module:
    arch = dict(
        embed_dims=(16,),
        token_dims=(16,),
        depths=(1,),
        num_heads=(2,),
        rc_heads=(2,),
        attention=(kind,),
    )
    return ViTAEv2(arch, out_indices=(0,)).stages[0].blocks[0]


@pytest.mark.parametrize(
    ('module', 'shape', 'ceiling'),
    # Raise one only with a measurement.
    [
        (lambda: SampledWindowAttention(16, 2, 7, backend='torch'), WHOLE, (6, 59)),
        (lambda: SampledWindowAttention(16, 2, 7, backend='torch'), PADDED, (8, 62)),
        (lambda: WindowAttention(16, 2, 7), WHOLE, (2, 6)),
        (lambda: WindowAttention(16, 2, 7), PADDED, (4, 9)),
        (lambda: FullAttention(16, 2), WHOLE, (0, 3)),
        (lambda: ParallelConvolution((16, 64, 16, 16)), (1, 16, 14, 21), (0, 7)),
        (lambda: Mlp(16, 64), WHOLE, (0, 3)),
        (lambda: normal_cell('window'), WHOLE, (2, 20)),
        (lambda: normal_cell('vsa'), WHOLE, (6, 76)),
    ],
    ids=[
        'VSA',
        'padded VSA',
        'windows',
        'padded',
        'full',
        'convolutions',
        'MLP',
        'cell',
        'VSA cell',
    ],
)
def test_ceilings(
    module: Callable[[], nn.Module], shape: tuple[int, ...], ceiling: tuple[int, int]
) -> None:
    copies, operations = count(module(), shape)
    assert copies <= ceiling[0] and operations <= ceiling[1], (copies, operations)


def test_a_copy_more_is_counted() -> None:
    class Copying(FullAttention):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.permute(0, 2, 1, 3).contiguous())

    copies, operations = count(FullAttention(16, 2), WHOLE)
    assert count(Copying(16, 2), WHOLE) == (copies + 1, operations + 1)
