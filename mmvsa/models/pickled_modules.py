"""State dicts of files that hold a whole pickled module, read without its code.

``torch.save(model, path)`` stores references to the classes of the model. The change detectors of
ViTAE-Transformer/RSP are such files.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class _Inert:
    """Take the place of a class of the file: keep attributes, run nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> '_Inert':
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.__dict__.update(state)


def read_pickled_module(path: str | os.PathLike) -> dict[str, Tensor] | None:
    """Read the state dict of a module saved with ``torch.save(model, path)``.

    PyTorch's restricted unpickler reads the file. Whatever the file names outside of PyTorch's own
    list of harmless functions becomes an inert class without behavior, so that no code of the file
    is imported or run; what that unpickler blocks, such as functions of ``os``, stays blocked.

    Args:
        path: a file in the zip format of PyTorch 1.6 and later.

    Returns:
        The state dict (buffers that are not persistent left out), or None if the file holds
        something else than a module or cannot be read this way.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stands: list[Any] = [(type(name.rpartition('.')[2], (_Inert,), {}), name) for name in names]
        with torch.serialization.safe_globals(stands):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception:
        return None
    return module_tensors(content) or None


def module_tensors(module: Any, prefix: str = '') -> dict[str, Tensor]:
    """Collect parameters and persistent buffers of a module by its attributes, names joined."""
    state = getattr(module, '__dict__', {})
    hidden = state.get('_non_persistent_buffers_set') or ()
    tensors = {}
    for kind in ('_parameters', '_buffers'):
        for name, value in (state.get(kind) or {}).items():
            if isinstance(value, Tensor) and name not in hidden:
                tensors[prefix + name] = value.detach()
    for name, child in (state.get('_modules') or {}).items():
        tensors.update(module_tensors(child, f'{prefix}{name}.'))
    return tensors
