"""Activation checkpointing of whole modules, applied from outside."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def checkpointed(module: Callable[..., Any], *inputs: Any) -> Any:
    """Call ``module(*inputs)`` and keep only the inputs for the backward pass.

    The backward pass calls it again, with the same random numbers; running statistics of its
    batch norms are updated once. Without gradients it is a plain call.
    """
    if not torch.is_grad_enabled():
        return module(*inputs)
    if torch.compiler.is_compiling() or not isinstance(module, nn.Module):
        return checkpoint(module, *inputs, use_reentrant=False)
    return checkpoint(
        module,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _KeepStatistics(module)),
    )


class _KeepStatistics:
    """Batch norms in ``module`` leave their running statistics alone in the ``with`` block.

    A block can be entered again: a second backward pass through the same graph does so.
    """

    def __init__(self, module: nn.Module) -> None:
        self.norms = [m for m in module.modules() if isinstance(m, _NormBase)]
        self.kept: list[tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> None:
        training = [norm for norm in self.norms if norm.training]
        self.kept = [(norm, *item) for norm in training for item in norm.named_buffers()]
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer.clone())  # updated instead of the real one

    def __exit__(self, *_: object) -> None:
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer)
        self.kept = []
