"""Backends of sampled window attention: one protocol, one ordered table, one choice.

A backend attends inside windows to keys and values sampled at the points of other windows. Most
are a sampler followed by attention (:class:`SamplingBackend`); a fused kernel does both at once.
What a backend cannot do is known from the :class:`AttentionSpec` of a layer, so that it is an error
when the layer is built; whether it can run depends on the device of the input as well. ``auto``
takes the first backend of the table that can do both.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import mmcv_sampling
from .attention import attend
from .protocol import AttentionSpec, Backend, Bias, Windows
from .torch_sampling import sample_torch
from .triton_backend import TritonBackend
from .windows import window_merge, window_partition


@dataclass(frozen=True)
class SamplingBackend:
    """A sampler, then attention.

    Attributes:
        name: What configs call it.
        sample: (kv, points) -> samples, as :func:`mmvsa.ops.torch_sampling.sample_torch`.
        unavailable: Why the sampler cannot run on a device; empty if it can.
    """

    name: str
    sample: Callable[[Tensor, Tensor], Tensor]
    unavailable: Callable[[torch.device], list[str]]

    def reasons(
        self,
        device: torch.device | None = None,
        spec: AttentionSpec | None = None,
        dtype: torch.dtype | None = None,
    ) -> list[str]:
        """Return why it cannot run on ``device``; it serves every layer and dtype."""
        return [] if device is None else self.unavailable(device)

    def attend(
        self, qkv: Tensor, windows: Windows, *, spec: AttentionSpec, bias: Bias, training: bool
    ) -> Tensor:
        """Sample keys and values, then attend inside every window; see :class:`Backend`."""
        geometry = windows.geometry
        q = window_partition(geometry.pad(qkv[:, :, :, 0]), spec.window_size)
        kv = qkv[:, :, :, 1:]  # B, H, W, 2, heads, d
        if spec.separate_windows:
            samples = self.sample(kv.flatten(3, 4), windows.points)
            k, v = samples.flatten(0, 2).chunk(2, 1)
        else:
            samples = self.sample(kv.transpose(3, 4), windows.points)
            k, v = samples.flatten(0, 2).split(spec.head_dims, -1)
        dropout = spec.attn_drop if training else 0.0
        bias = bias(q) if callable(bias) else bias
        out = attend(q, k, v, scale=spec.scale, bias=bias, dropout=dropout)
        return geometry.crop(window_merge(out, spec.window_size, geometry.grid))


def _always_available(device: torch.device) -> list[str]:
    return []


# The fastest first, as measured on a GPU (docs/performance.md).
BACKENDS: tuple[Backend, ...] = (
    TritonBackend(),
    SamplingBackend('mmcv', mmcv_sampling.sample_mmcv, mmcv_sampling.unavailable_reasons),
    SamplingBackend('torch', sample_torch, _always_available),
)
AUTO = 'auto'
# What `auto` takes while a model is exported: operations that every exporter translates.
EXPORTED = 'torch'


def _find(name: str) -> Backend | None:
    return next((backend for backend in BACKENDS if backend.name == name), None)


def check_backend(name: str, spec: AttentionSpec | None = None) -> str:
    """Return ``name`` if it is ``auto`` or a backend, one that can serve ``spec`` if that is given.

    Raises:
        ValueError: An unknown name, or a backend that cannot; the message says why.
    """
    if name == AUTO:
        return name
    backend = _find(name)
    if backend is None:
        known = [AUTO, *(backend.name for backend in BACKENDS)]
        raise ValueError(f'unknown backend {name!r}; choose one of {known}')
    reasons = backend.reasons(spec=spec)
    if reasons:
        raise ValueError(f'backend {name!r} cannot be used here: {"; ".join(reasons)}')
    return name


def select_backend(
    name: str,
    device: torch.device,
    spec: AttentionSpec | None = None,
    dtype: torch.dtype | None = None,
) -> Backend:
    """Return the backend to use for a map on a device.

    Raises:
        RuntimeError: A backend that is asked for by name cannot run; the message says why.
    """
    if name == AUTO and torch.compiler.is_exporting():
        name = EXPORTED
    if name == AUTO:
        return next(backend for backend in BACKENDS if not backend.reasons(device, spec, dtype))
    backend = _find(name)
    if backend is None:
        raise ValueError(f'unknown backend {name!r}')
    reasons = backend.reasons(device, spec, dtype)
    if reasons:
        raise RuntimeError(f'backend {name!r} cannot run here: {"; ".join(reasons)}')
    return backend


def set_backend(model: nn.Module, name: str) -> nn.Module:
    """Let every sampled window attention in ``model`` use a backend, and return the model.

    Raises:
        ValueError: An unknown name, or a backend that cannot serve one of the layers; no layer
            is changed then.
    """
    layers = [m for m in model.modules() if isinstance(getattr(m, 'spec', None), AttentionSpec)]
    for layer in layers:
        check_backend(name, layer.spec)  # type: ignore[arg-type]
    for layer in layers:
        layer.backend = name  # type: ignore[assignment]
    return model


def backend_table(device: str | torch.device | None = None) -> list[tuple[str, bool, str]]:
    """Return (name, available, why not) of every backend, on the default accelerator or the CPU."""
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    found = [(backend.name, backend.reasons(torch.device(device))) for backend in BACKENDS]
    return [(name, not reasons, '; '.join(reasons)) for name, reasons in found]
