"""What must not run in half precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Switch autocast off inside a ``with`` block; the meta device has none to switch off."""
    if device.type == 'meta':
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
