"""What a computation costs: operations, floating-point work, bytes, and its roofline time."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mmvsa.ops import backends

aten = torch.ops.aten

# Operations that only move data.
COPIES = ('aten.copy_', 'aten.clone', 'aten._to_copy', 'aten.cat', 'aten.constant_pad_nd')


def _sdpa_cpu_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """q k^T and the product with v."""
    *batch, length, width = query
    return 2 * prod(batch) * length * key[-2] * (width + value[-1])


def _sdpa_cpu_backward_flops(
    grad: Sequence[int],
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """Five products: the scores again, then the gradients of q, k, v and of the weights."""
    *batch, length, width = query
    return 2 * prod(batch) * length * key[-2] * (3 * width + 2 * value[-1])


def _conv_backward_flops(
    grad: Sequence[int], x: Sequence[int], weight: Sequence[int], *args: Any, **_: Any
) -> int:
    """As much as the forward for each gradient that is asked for; right for groups too."""
    wanted = args[-1][:2]  # output_mask: of the input, of the weight
    return sum(wanted) * 2 * prod(grad) * prod(weight[1:])


# What torch's counter lacks on a CPU, and what it gets wrong for grouped convolutions.
EXTRA_FLOPS: dict[Any, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: _sdpa_cpu_flops,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _sdpa_cpu_backward_flops,
    aten.convolution_backward: _conv_backward_flops,
}


def flop_counter() -> FlopCounterMode:
    """torch's counter of matrix products, convolutions and attention (2 per multiply-add)."""
    return FlopCounterMode(display=False, custom_mapping=EXTRA_FLOPS)


def count_flops(function: Callable[[], object]) -> int:
    """Floating-point operations of a call; pointwise work, norms and gathers are not counted."""
    counter = flop_counter()
    with counter:
        function()
    return counter.get_total_flops()


@dataclass(eq=False)
class OpCost(TorchDispatchMode):
    """Records every operation that runs inside the ``with`` block, backward too.

    Attributes:
        peak_flops: operations per second that the machine reaches; 0 leaves the time out.
        peak_bytes: bytes per second that it reaches.
        calls: number of calls by operation, views not counted.
        flops: floating-point operations of products, convolutions and attention.
        bytes: sizes of all tensors that the operations read and write, as if nothing stayed in a
            cache and nothing were fused.
        seconds: sum over the operations of the larger of flops / peak_flops and
            bytes / peak_bytes, the roofline of the computation as it is written.
    """

    peak_flops: float = 0.0
    peak_bytes: float = 0.0
    calls: Counter = field(default_factory=Counter)
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()
        self._formulas = flop_counter().flop_registry

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not _is_view(func):
            self._record(func, args, kwargs, out)
        return out

    @property
    def copies(self) -> int:
        """Calls of operations that only move data."""
        return sum(count for name, count in self.calls.items() if name in COPIES)

    @property
    def launches(self) -> int:
        """Calls that do work; on a GPU about the number of kernels."""
        return sum(self.calls.values())

    def _record(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        self.calls[str(func.overloadpacket)] += 1
        formula = self._formulas.get(func.overloadpacket)
        flops = formula(*args, **kwargs, out_val=out) if formula else 0
        size = sum(map(_num_bytes, tree_leaves((args, kwargs, out))))
        self.flops += flops
        self.bytes += size
        if self.peak_flops:
            self.seconds += max(flops / self.peak_flops, size / self.peak_bytes)


def count_operations(module: nn.Module, *shape: int, backend: str | None = None) -> OpCost:
    """Operations of a module's forward pass on a CPU in float32, without running it.

    Nothing is computed, so any backend's operations can be counted, one for a GPU too.

    Args:
        shape: of the module's input.
        backend: sampling backend, taken as available; the module's own choice if None.
    """
    table = tuple(replace(entry, reasons=lambda device: []) for entry in backends.BACKENDS)
    forced = backends.use_backend(backend) if backend else contextlib.nullcontext()
    with (
        mock.patch.object(backends, 'BACKENDS', table if backend else backends.BACKENDS),
        forced,
        FakeTensorMode() as mode,
        torch.no_grad(),
    ):
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        fake: dict[str, Tensor] = {
            name: mode.from_tensor(tensor) for name, tensor in tensors.items()
        }
        x = torch.empty(shape)
        with OpCost() as cost:
            torch.func.functional_call(module, fake, (x,))
    return cost


def _is_view(func: Any) -> bool:
    """True for operations that touch no data: views, and allocations that fill nothing."""
    if func.is_view or func.overloadpacket in (aten.detach, aten.empty, aten.empty_like):
        return True
    if func.namespace == 'prim' or func.overloadpacket is aten.promote_types:
        return True  # questions about a tensor
    return func.overloadpacket in (aten._unsafe_view, aten.lift_fresh)


def _num_bytes(value: Any) -> int:
    if not isinstance(value, Tensor):
        return 0
    # A broadcast dimension has stride 0 and is stored once.
    sizes = (n for n, stride in zip(value.shape, value.stride(), strict=True) if stride)
    return prod(sizes) * value.element_size()
