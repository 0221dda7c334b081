"""One ordered table of backends, and the choice among them.

A backend samples keys and values, or fuses that with the attention.

A choice is made, in this order, by the call (``backend=``), by the :func:`use_backend` context,
by the module's configuration. ``auto`` takes the first backend of the table that can run.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from . import mmcv_sampling, triton_attention
from .torch_sampling import sample_torch


@dataclass(frozen=True)
class Backend:
    """A way to sample keys and values.

    Attributes:
        name: what configs call it.
        sample: ``(kv, points) -> samples``, see :func:`sample_windows` for the shapes.
        reasons: why it cannot run on a device; an empty list means that it can.
        attend: sampling and attention in one, see
            :func:`mmvsa.ops.triton_attention.attend_triton`; None where the two are apart.
    """

    name: str
    sample: Callable[[Tensor, Tensor], Tensor]
    reasons: Callable[[torch.device], list[str]]
    attend: Callable[..., Tensor] | None = None


def _always_available(device: torch.device) -> list[str]:
    return []


BACKENDS: tuple[Backend, ...] = (
    Backend('mmcv', mmcv_sampling.sample_mmcv, mmcv_sampling.unavailable_reasons),
    Backend('torch', sample_torch, _always_available),
    # Last, and so never the choice of `auto`, until its speed has been measured on a GPU.
    Backend(
        'triton',
        triton_attention.sample_triton,
        triton_attention.unavailable_reasons,
        triton_attention.attend_triton,
    ),
)
AUTO = 'auto'

_forced: contextvars.ContextVar[str | None] = contextvars.ContextVar('mmvsa_backend', default=None)


def check_backend_name(name: str) -> str:
    """Return ``name`` if it is a backend's or ``auto``; raise ValueError listing them if not."""
    names = [AUTO, *(backend.name for backend in BACKENDS)]
    if name not in names:
        raise ValueError(f'unknown sampling backend {name!r}; choose one of {names}')
    return name


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use one backend for every attention inside the ``with`` block, whatever their configs say."""
    token = _forced.set(check_backend_name(name))
    try:
        yield
    finally:
        _forced.reset(token)


def select_backend(name: str, device: torch.device) -> Backend:
    """The backend to use on a device.

    Raises:
        ValueError: the name is not in the table.
        RuntimeError: a backend asked for by name cannot run; the message says why.
    """
    check_backend_name(name)
    if name == AUTO:
        return next(backend for backend in BACKENDS if not backend.reasons(device))
    backend = next(backend for backend in BACKENDS if backend.name == name)
    reasons = backend.reasons(device)
    if reasons:
        raise RuntimeError(f'sampling backend {name!r} cannot run here: ' + '; '.join(reasons))
    return backend


def choose_backend(
    device: torch.device, backend: str | None = None, default: str = AUTO
) -> Backend:
    """The call's choice (``backend``), else the context's, else ``default``, on a device."""
    return select_backend(backend or _forced.get() or default, device)


def sample_windows(
    kv: Tensor, points: Tensor, backend: str | None = None, default: str = AUTO
) -> Tensor:
    """Sample keys and values (one map of k and v channels) at the points of every window.

    Args:
        kv: (B, H, W, heads, C).
        points: (B, nH, nW, heads, N, 2), (x, y) in pixels of the map.
        backend: this call's choice, before the context's and ``default``.
        default: the choice where neither the call nor a context makes one.

    Returns:
        (B, nH, nW, heads, N, C).
    """
    return choose_backend(kv.device, backend, default).sample(kv, points)


def backend_table(device: str | torch.device | None = None) -> list[tuple[str, bool, str]]:
    """(name, available, why not) of every backend, on the default accelerator or the CPU."""
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    found = [(backend.name, backend.reasons(torch.device(device))) for backend in BACKENDS]
    return [(name, not reasons, '; '.join(reasons)) for name, reasons in found]
