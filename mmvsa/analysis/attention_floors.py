"""The attention module alone, between what it could cost at least and the authors' code."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.models.layers import WindowedAttention
from mmvsa.models.layers.linear import linear

from .official import move_to, official_class, on_cpu

WINDOW = 7
# (H, W, C, heads) of ViTAEv2-S-VSA's first three stages at 224 pixels.
STAGES = {'56x56x64': (56, 56, 64, 2), '28x28x128': (28, 28, 128, 4), '14x14x256': (14, 14, 256, 8)}


class LinearFloor(nn.Module):
    """Only the projections of q, k, v and of the output."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.qkv, self.proj = linear(dims, 3 * dims), linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        q, k, v = self.qkv(x).split(self.dims, -1)
        return self.proj(q + k + v)  # all of them must get a gradient


class CoreFloor(nn.Module):
    """Only softmax(q k^T) v of windows that lie ready in memory: no projection, no bias."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C), taken as if it were the windows -> the same number of elements."""
        batch, height, width, dims = x.shape
        windows = height * width // WINDOW**2
        q = x.view(batch * windows, self.heads, WINDOW**2, dims // self.heads)
        return F.scaled_dot_product_attention(q, q, q)


def build_modules(
    stage: str, root: str | None, backends: Sequence[str], device: torch.device
) -> dict[str, nn.Module]:
    """name -> module, all but the authors' on (B, H, W, C): ours, the floors, theirs.

    Ours is ``vsa``, or ``vsa-BACKEND`` once for each of several backends.
    """
    height, width, dims, heads = STAGES[stage]
    torch.manual_seed(0)
    names = {'vsa' if len(backends) == 1 else f'vsa-{name}': name for name in backends}
    modules: dict[str, nn.Module] = {
        name: _moving(WindowedAttention(dims, heads, WINDOW, backend=backend))
        for name, backend in names.items()
    }
    modules |= {
        'window-sdpa': WindowedAttention(dims, heads, WINDOW, transform=None),
        'core-sdpa': CoreFloor(heads),
        'linear': LinearFloor(dims),
    }
    if root is not None:
        theirs = official_class(root, 'vitaev2_vsa', 'vsa', 'VSAWindowAttention')
        options: dict[str, Any] = dict(out_dim=dims, window_size=WINDOW, img_size=(height, width))
        with on_cpu():
            modules['official'] = theirs(dims, heads, **options)
    return {name: move_to(module, device) for name, module in modules.items()}


def _moving(attention: WindowedAttention) -> WindowedAttention:
    """Random windows, as the authors' are: a fresh one of ours samples whole pixels."""
    attention.transform.regressor.reset_parameters()  # type: ignore[operator, union-attr]
    return attention


def attention_call(
    name: str,
    module: nn.Module,
    stage: str,
    task: str,
    batch: int,
    dtype: torch.dtype | None,
    device: torch.device,
) -> Callable[[], object]:
    """One forward (``task='forward'``) or forward and backward of a module."""
    height, width, dims, _ = STAGES[stage]
    # The authors' module lives on NCHW maps, each one is measured on its own layout.
    shape = (batch, dims, height, width) if name == 'official' else (batch, height, width, dims)
    x = torch.randn(shape, device=device, requires_grad=task != 'forward')

    def forward() -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            return module(x)

    def call() -> None:
        if task == 'forward':
            with torch.no_grad():
                forward()
            return
        x.grad = None
        module.zero_grad(set_to_none=True)
        forward().float().sum().backward()

    return call
