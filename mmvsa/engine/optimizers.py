"""Optimizer wrappers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from mmvsa.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Mixed precision on a CPU: MMEngine's ``AmpOptimWrapper`` asserts an accelerator.

    bfloat16 has the exponents of float32, so that gradients need no scaling. Not for mmdet's
    detectors with NMS in training: mmcv's for the CPU takes float32 only.

    Args:
        dtype: ``'bfloat16'``, the only one that MMEngine autocasts to on a CPU.
        kwargs: those of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dtype != 'bfloat16':
            raise ValueError(f"mixed precision on a CPU is 'bfloat16', got {dtype!r}")
        self.cast_dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, and MMEngine's rules of gradient accumulation."""
        with super().optim_context(model), autocast('cpu', self.cast_dtype):
            yield
