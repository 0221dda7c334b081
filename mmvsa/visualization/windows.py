"""The windows that attention has learned, drawn over the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from torch import Tensor, nn

from mmvsa.models import SampledWindowAttention

from .figure import INK, new_figure, save


@dataclass(frozen=True)
class AttentionWindows:
    """Sampling points of one attention module for one image.

    Attributes:
        name: of the module.
        points: (heads, nH, nW, ws*ws, 2), (x, y) in pixels of the map.
        fixed: (1, nH, nW, ws*ws, 2), the pixels of the windows before they move.
        map_size: (H, W) of the map.
    """

    name: str
    points: np.ndarray
    fixed: np.ndarray
    map_size: tuple[int, int]

    @property
    def window_size(self) -> int:
        """Return the side of a window in pixels of the map."""
        return round(self.points.shape[3] ** 0.5)

    def corners(self, image_size: tuple[int, int], fixed: bool = False) -> np.ndarray:
        """Outlines of the windows, (heads, nH * nW, 4, 2), (x, y) in pixels of the image.

        The points are pixel centers; an outline runs half a step of the grid outside the outer
        ones, so that a fixed window's outline is the border of its pixels.
        """
        size = self.window_size
        points = self.fixed if fixed else self.points
        points = points.reshape(len(points), -1, size, size, 2)
        if size > 1:
            quads = _extrapolated_corners(points)
        else:
            half = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
            quads = points[:, :, 0, 0][:, :, None] + half
        scale = np.array(image_size[::-1]) / np.array(self.map_size[::-1])
        return (quads + 0.5) * scale - 0.5


def _extrapolated_corners(points: np.ndarray) -> np.ndarray:
    """(..., ws, ws, 2) -> (..., 4, 2): each corner moved out by half a step along both axes."""
    corners = []
    for row, inner_row, col, inner_col in (
        (0, 1, 0, 1),
        (0, 1, -1, -2),
        (-1, -2, -1, -2),
        (-1, -2, 0, 1),
    ):
        corner = points[..., row, col, :]
        step = (corner - points[..., inner_row, col, :]) + (corner - points[..., row, inner_col, :])
        corners.append(corner + 0.5 * step)
    return np.stack(corners, axis=-2)


@torch.no_grad()
def collect_windows(model: nn.Module, image: Tensor) -> list[AttentionWindows]:
    """Windows of every varied-size attention in ``model`` for one image.

    Args:
        model: anything that takes ``image``; it is put into evaluation mode and back.
        image: (1, 3, H, W), normalized.
    """
    found: list[AttentionWindows] = []
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, SampledWindowAttention):
            handles.append(module.register_forward_pre_hook(_recorder(name, found)))
    training = model.training
    model.eval()
    try:
        model(image)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found


def _recorder(name: str, found: list[AttentionWindows]):
    def record(module: SampledWindowAttention, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        geometry = module.geometry(x)
        centers = geometry.centers(torch.device('cpu'), torch.float32)[:, :, None]
        fixed = centers + geometry.local_grid(torch.device('cpu'), torch.float32)
        points = module.window_points(x)[0].float().cpu()
        found.append(AttentionWindows(name, points.numpy(), fixed[None].numpy(), geometry.size))

    return record


def draw_windows(
    path: str | Path,
    image: np.ndarray,
    layers: Sequence[AttentionWindows],
    max_heads: int = 4,
    max_windows: int = 16,
    title: str = '',
) -> Path:
    """One row per layer: the image with its fixed windows, then the windows of several heads.

    Args:
        path: PNG file.
        image: (H, W, C) uint8; the first three bands are shown as RGB, one or two as gray.
        layers: see :func:`collect_windows`.
        max_heads: heads drawn per layer, evenly chosen.
        max_windows: windows drawn per head, a regular part of their grid.
        title: of the figure.
    """
    image = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    columns = 1 + min(max_heads, max(layer.points.shape[0] for layer in layers))
    figure = new_figure(2.3 * columns, 2.45 * len(layers) + 0.4)
    axes = figure.subplots(len(layers), columns, squeeze=False)
    figure.suptitle(title or 'learned windows', color=INK, fontsize=12)
    for row, layer in zip(axes, layers, strict=True):
        _draw_row(row, image, layer, max_windows)
    return save(figure, path)


def _draw_row(
    axes: Sequence[Axes], image: np.ndarray, layer: AttentionWindows, max_windows: int
) -> None:
    for axis in axes:
        axis.set_axis_off()
    size = image.shape[:2]
    learned = layer.corners(size)
    fixed = layer.corners(size, fixed=True)[0]
    chosen = _grid_part(layer.points.shape[1:3], max_windows)
    height, width = layer.map_size
    _draw_panel(axes[0], image, fixed[chosen], fixed[chosen], learned)
    axes[0].set_title(f'{_short(layer.name)}\nfixed, {height}x{width} map', **_TITLE)
    for axis, head in zip(axes[1:], _evenly(len(learned), len(axes) - 1), strict=False):
        _draw_panel(axis, image, learned[head][chosen], fixed[chosen], learned)
        axis.set_title(f'head {head}', **_TITLE)


_TITLE: dict = dict(fontsize=8, color=INK)


def _draw_panel(
    axis: Axes, image: np.ndarray, windows: np.ndarray, fixed: np.ndarray, extent: np.ndarray
) -> None:
    """The image, faint, and (N, 4, 2) outlines; thin dashes mark the fixed ones."""
    height, width = image.shape[:2]
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    axis.imshow(image, alpha=0.55, interpolation='nearest')
    colors = mpl.colormaps['tab10' if len(windows) <= 10 else 'tab20'].colors  # type: ignore[attr-defined]
    for index, (window, start) in enumerate(zip(windows, fixed, strict=True)):
        color = colors[index % len(colors)]
        axis.add_patch(Polygon(start, fill=False, edgecolor=color, linestyle=':', linewidth=0.8))
        axis.add_patch(Polygon(window, facecolor=(*color, 0.12), edgecolor=color, linewidth=1.6))
        axis.plot(*window.mean(0), 'o', color=color, markersize=2.5)
    # Windows may leave the image; a tenth of it is shown around, more only where they go there.
    low = np.minimum(extent.reshape(-1, 2).min(0), -0.5) - 0.02 * width
    high = np.maximum(extent.reshape(-1, 2).max(0), (width - 0.5, height - 0.5)) + 0.02 * width
    limit = 0.5 * np.array([width, height])
    low, high = np.maximum(low, -limit), np.minimum(high, (width, height) + limit)
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    for spine in axis.spines.values():
        spine.set_visible(False)


def _evenly(count: int, limit: int) -> list[int]:
    """At most ``limit`` of ``range(count)``, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, limit))})


def _grid_part(grid: tuple[int, ...], limit: int) -> list[int]:
    """Flat indices of a regular part of (rows, columns) with at most ``limit`` windows."""
    rows, columns = grid
    down = _evenly(rows, max(int(limit**0.5), limit // columns, 1))
    return [
        row * columns + column for row in down for column in _evenly(columns, limit // len(down))
    ]


def _short(name: str) -> str:
    """'backbone.stages.0.blocks.1.attn' -> 'stages.0.blocks.1'."""
    return name.removeprefix('backbone.').removesuffix('.attn')
