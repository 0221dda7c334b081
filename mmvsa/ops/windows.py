"""Windows of a channels-last map: geometry, padding, partition and their inverses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

PADDINGS = ('end', 'center')


def divide_up(length: int, divisor: int) -> int:
    """Divide and round up."""
    # Not `-(-length // divisor)`: exporters do not see that it is positive.
    return (length + divisor - 1) // divisor


def known_equal(a: Sequence[int], b: Sequence[int]) -> bool:
    """Return whether two lists of lengths are equal; of lengths left open, whether they must be.

    While a model is exported for any height and width, lengths are symbols; a plain comparison
    would fix them to those of the example.
    """
    return all(statically_known_true(x == y) for x, y in zip(a, b, strict=True))


@dataclass(frozen=True)
class WindowGeometry:
    """How an H x W map is cut into ``ws x ws`` windows; all lengths in pixels.

    Attributes:
        size: (H, W) of the map.
        window_size: ``ws``.
        top, left: rows and columns of padding before the map; the rest comes after it.
    """

    size: tuple[int, int]
    window_size: int
    top: int
    left: int

    @classmethod
    def of(cls, size: tuple[int, int], window_size: int, padding: str = 'end') -> 'WindowGeometry':
        """Return the windows of a map, padded at the ``'end'`` (right, bottom) or ``'center'``."""
        missing = [divide_up(n, window_size) * window_size - n for n in size]
        top, left = (m // 2 for m in missing) if padding == 'center' else (0, 0)
        return cls(size, window_size, top, left)

    @property
    def grid(self) -> tuple[int, int]:
        """Number of windows (nH, nW)."""
        height, width = self.size
        return divide_up(height, self.window_size), divide_up(width, self.window_size)

    @property
    def padded_size(self) -> tuple[int, int]:
        """(H, W) of the padded map."""
        return self.grid[0] * self.window_size, self.grid[1] * self.window_size

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """(left, right, top, bottom), the order of :func:`torch.nn.functional.pad`."""
        (height, width), (padded_height, padded_width) = self.size, self.padded_size
        return (
            self.left,
            padded_width - width - self.left,
            self.top,
            padded_height - height - self.top,
        )

    def pad(self, x: Tensor) -> Tensor:
        """Pad with zeros: (B, H, W, ...) -> (B, nH*ws, nW*ws, ...)."""
        left, right, top, bottom = self.padding
        if known_equal(self.padded_size, self.size):
            return x
        return F.pad(x, (0, 0) * (x.dim() - 3) + (left, right, top, bottom))

    def crop(self, x: Tensor) -> Tensor:
        """Undo :meth:`pad`: (B, nH*ws, nW*ws, C) -> (B, H, W, C)."""
        height, width = self.size
        return x[:, self.top : self.top + height, self.left : self.left + width]

    def pool(self, x: Tensor) -> Tensor:
        """Average every window, with the zeros of its padding: (B, H, W, C) -> (B, nH, nW, C)."""
        # The backward of avg_pool2d is several times slower than these on a GPU, and exporters
        # drop what its `ceil_mode` counts as padding.
        columns = self.pad(x).unflatten(2, (-1, self.window_size)).mean(3)
        return columns.unflatten(1, (-1, self.window_size)).mean(2)

    def centers(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the centers of the windows, (nH, nW, 2) as (x, y) pixels of the unpadded map."""
        start_y, start_x = ((self.window_size - 1) / 2 - before for before in (self.top, self.left))
        x, y = (
            torch.arange(count, device=device, dtype=dtype) * self.window_size + start
            for start, count in zip((start_x, start_y), self.grid[::-1], strict=True)
        )
        return torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)

    def local_grid(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the pixels of a window about its center, row by row: (ws*ws, 2) as (x, y)."""
        half = (self.window_size - 1) / 2
        line = torch.arange(-half, half + 0.5, device=device, dtype=dtype)
        return torch.stack(torch.meshgrid(line, line, indexing='xy'), -1).flatten(0, 1)


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """Split a map into windows.

    (B, nH*ws, nW*ws, heads, d) -> (B*nH*nW, heads, ws*ws, d). With parts (such as q, k and v),
    (B, nH*ws, nW*ws, parts, heads, d), one copy gives each of them contiguous:
    (parts, B*nH*nW, heads, ws*ws, d).
    """
    x = x.unflatten(2, (-1, window_size)).unflatten(1, (-1, window_size))
    if x.dim() == 7:
        # B, nH, ws, nW, ws, heads, d -> B, nH, nW, heads, ws, ws, d
        return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 5).flatten(0, 2)
    x = x.permute(5, 0, 1, 3, 6, 2, 4, 7)  # parts, B, nH, nW, heads, ws, ws, d
    return x.flatten(5, 6).flatten(1, 3)


def window_merge(windows: Tensor, window_size: int, grid: tuple[int, int]) -> Tensor:
    """Undo :func:`window_partition`: (B*nH*nW, heads, ws*ws, d) -> (B, nH*ws, nW*ws, heads*d)."""
    _, heads, _, width = windows.shape
    x = windows.reshape(-1, *grid, heads, window_size, window_size, width)
    x = x.permute(0, 1, 4, 2, 5, 3, 6)  # B, nH, ws, nW, ws, heads, d
    return x.reshape(-1, grid[0] * window_size, grid[1] * window_size, heads * width)
