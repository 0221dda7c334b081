"""Trading a little arithmetic for memory: cheap steps are done again in the backward pass.

An activation or a norm costs little to compute and much to keep. Whole cells, which cost much to
compute, are recomputed where ``with_cp`` asks for it.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def recompute(
    function: Callable[..., Any],
    *inputs: Any,
    norms: Sequence[nn.Module] = (),
    random: bool = False,
    keep: bool = False,
) -> Any:
    """``function(*inputs)`` that keeps only its inputs for the backward pass.

    The backward pass calls it again, up to the last tensor that it needs: a linear layer or a
    convolution at the end is not repeated. Does nothing special without gradients, nor while
    compiling or tracing: a compiler makes that choice itself.

    Args:
        norms: the batch norms inside; their running statistics are updated once, not twice.
        random: whether the function draws random numbers, which must then be drawn again alike.
        keep: keep everything instead: with small maps, asking costs more than the arithmetic.
    """
    if keep or not torch.is_grad_enabled():
        return function(*inputs)
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return function(*inputs)
    # The backward pass runs outside `use_backend` blocks that the forward pass ran in.
    context = contextvars.copy_context()
    return checkpoint(
        functools.partial(context.run, function),
        *inputs,
        use_reentrant=False,
        preserve_rng_state=random,
        context_fn=lambda: (contextlib.nullcontext(), KeepStatistics(norms)),
    )


class Repeating(nn.Module):
    """A module that repeats cheap steps in the backward pass unless ``keep_activations``."""

    keep_activations = False


class KeepStatistics:
    """Batch norms among ``modules`` leave their running statistics alone in the ``with`` block.

    A block can be entered again: a second backward pass through the same graph does so.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.norms = [module for module in modules if isinstance(module, _NormBase)]
        self.kept: list[tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> None:
        training = [norm for norm in self.norms if norm.training]
        self.kept = [(norm, *item) for norm in training for item in norm.named_buffers()]
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer.clone())  # what is updated instead

    def __exit__(self, *_: object) -> None:
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer)
        self.kept = []
