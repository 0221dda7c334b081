"""Learned windows drawn over the image, with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon, Rectangle

from .figure import INK, new_figure, save
from .windows import AttentionWindows, as_rgb

_TITLE: dict[str, Any] = dict(fontsize=8, color=INK)
_SHADE = 0.75  # opacity of the strongest weight
_PANEL = 2.4  # inches: width of the panel of a head
_SHORT = 0.02  # of the image: arrows below it are left out


def draw_windows(path: str | Path, *args: Any, **options: Any) -> Path:
    """Write :func:`windows_figure` of the same arguments to a PNG file."""
    return save(windows_figure(*args, **options), path)


def windows_figure(
    image: np.ndarray,
    layers: Sequence[AttentionWindows],
    max_heads: int = 4,
    max_windows: int = 16,
    title: str = '',
) -> Figure:
    """Draw one row per layer: the image with its default windows, then those of several heads.

    Args:
        image: (H, W, C) uint8, shown as :func:`~mmvsa.visualization.windows.as_rgb` says.
        layers: See :func:`~mmvsa.visualization.collect_windows`.
        max_heads: Heads drawn per layer, evenly chosen.
        max_windows: Windows drawn per head, a regular part of their grid.
        title: Of the figure.
    """
    image = as_rgb(image)
    columns = 1 + min(max_heads, max(layer.num_heads for layer in layers))
    figure = new_figure(2.3 * columns, 2.45 * len(layers) + 0.4)
    axes = figure.subplots(len(layers), columns, squeeze=False)
    figure.suptitle(title or 'learned windows', color=INK, fontsize=12)
    for row, layer in zip(axes, layers, strict=True):
        _draw_row(row, image, layer, max_windows)
    return figure


def _draw_row(
    axes: Sequence[Axes], image: np.ndarray, layer: AttentionWindows, max_windows: int
) -> None:
    for axis in axes:
        axis.set_axis_off()
    size = image.shape[:2]
    learned = layer.corners(size)
    fixed = layer.corners(size, fixed=True)[0]
    chosen = _grid_part(layer.grid, max_windows)
    height, width = layer.map_size
    _draw_panel(axes[0], image, fixed[chosen], fixed[chosen], learned)
    axes[0].set_title(f'{layer.title}\nfixed, {height}x{width} map', **_TITLE)
    for axis, head in zip(axes[1:], _evenly(len(learned), len(axes) - 1), strict=False):
        _draw_panel(axis, image, learned[head][chosen], fixed[chosen], learned)
        axis.set_title(f'head {head}', **_TITLE)


def _draw_panel(
    axis: Axes, image: np.ndarray, windows: np.ndarray, fixed: np.ndarray, extent: np.ndarray
) -> None:
    """Draw the image, faint, and (N, 4, 2) outlines; thin dashes mark the fixed ones."""
    _show_image(axis, image, extent)
    for index, (window, start) in enumerate(zip(windows, fixed, strict=True)):
        color = _color(index, len(windows))
        axis.add_patch(Polygon(start, fill=False, edgecolor=color, linestyle=':', linewidth=0.8))
        axis.add_patch(Polygon(window, facecolor=(*color, 0.12), edgecolor=color, linewidth=1.6))
        axis.plot(*window.mean(0), 'o', color=color, markersize=2.5)


def draw_query(path: str | Path, *args: Any, **options: Any) -> Path:
    """Write :func:`query_figure` of the same arguments to a PNG file."""
    return save(query_figure(*args, **options), path)


def query_figure(
    image: np.ndarray,
    layer: AttentionWindows,
    query: tuple[float, float],
    heads: Sequence[int] | None = None,
) -> Figure:
    """Draw where one pixel of the image looks, in every head of a layer.

    The left panel has the default window of the query and the learned window of each head, with
    arrows from one to the other; a panel for each head follows, with the attention of the query.

    Args:
        image: (H, W, 3) RGB, uint8.
        layer: With its weights, see :func:`~mmvsa.visualization.collect_windows`.
        query: (x, y) in pixels of the image.
        heads: That are drawn; all by default.

    Raises:
        ValueError: The query is outside the image.
    """
    row, column, place = layer.locate(query, image.shape[:2])
    heads = range(layer.num_heads) if heads is None else heads
    drawing = _QueryDrawing(image, layer, query, (row, column, place), heads)
    aspect = drawing.aspect
    rows = 1 if len(heads) == 1 else max(2, round((len(heads) / 1.5) ** 0.5))
    columns = -(-len(heads) // rows)
    height = rows * (_PANEL * aspect + 0.5)
    # As high as the panels of the heads together, but not wider than three of them.
    overview = min((height - 0.9) / aspect, 3 * _PANEL) if len(heads) > 1 else 1.5 * _PANEL
    figure = new_figure(
        overview + columns * _PANEL + 0.4, max(height, overview * aspect + 0.9) + 0.5
    )
    ratios = [overview / _PANEL, *[1] * columns]
    grid = figure.add_gridspec(rows, 1 + columns, width_ratios=ratios)
    drawing.overview(figure.add_subplot(grid[:, 0]))
    for index, head in enumerate(heads):
        axis = figure.add_subplot(grid[index // columns, 1 + index % columns])
        drawing.head(axis, head)
    size, (map_height, map_width) = layer.window_size, layer.map_size
    figure.suptitle(
        f'{layer.title}: windows of {size} x {size} on a map of {map_width} x {map_height}',
        color=INK,
        fontsize=12,
    )
    return figure


class _QueryDrawing:
    """Panels of :func:`query_figure`.

    Args:
        image: (H, W, 3) RGB, uint8.
        layer: With its weights.
        query: (x, y) in pixels of the image.
        place: Of the query: row and column of its window, and its number there.
        heads: That are drawn.
    """

    def __init__(
        self,
        image: np.ndarray,
        layer: AttentionWindows,
        query: tuple[float, float],
        place: tuple[int, ...],
        heads: Sequence[int],
    ) -> None:
        assert layer.weights is not None
        self.image, self.layer, self.query, self.heads = image, layer, query, list(heads)
        row, column, index = place
        size = image.shape[:2]
        self.points = layer.sources[:, row, column]  # heads, ws*ws, 2: what is read
        self.weights = layer.weights[:, row, column, index]  # heads, ws*ws
        self.default = layer.outlines(layer.fixed[0, row, column], size)
        self.keys = layer.outlines(layer.points[:, row, column], size)
        self.outlines = layer.outlines(self.points, size)
        shapes = layer.shapes()
        self.offset = shapes.offset[:, row, column] * layer.scale(size)
        self.size, self.angle = shapes.size[:, row, column], shapes.angle[:, row, column]
        self.extent = np.concatenate([self.outlines[self.heads], self.keys[self.heads]])

    @property
    def aspect(self) -> float:
        """Height over width of the overview."""
        low, high = _limits(self.image, self.extent)
        return float((high - low)[1] / (high - low)[0])

    @property
    def zoom(self) -> tuple[np.ndarray, np.ndarray] | None:
        """First and last (x, y) of the heads' panels, where windows are small in the image."""
        points = np.concatenate([self.default[None], self.extent]).reshape(-1, 2)
        center, half = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0) / 2
        width = 1.4 * max(half[0], half[1] / self.aspect)
        reach = np.array([width, width * self.aspect])
        low, high = _limits(self.image, self.extent)
        if (2 * reach > 0.8 * (high - low)).any():
            return None
        center = np.clip(center, low + reach, high - reach)
        return center - reach, center + reach

    def overview(self, axis: Axes) -> None:
        """Draw the windows of all heads."""
        _show_image(axis, self.image, self.extent, opacity=0.75)
        lines = [
            f'the query {self.query[0]:g}, {self.query[1]:g} in its default window (dashed);',
            'arrows lead to the window that each head reads',
        ]
        if self.zoom is not None:
            low, high = self.zoom
            style: dict[str, Any] = dict(fill=False, edgecolor=INK, linewidth=0.6)
            axis.add_patch(Rectangle(tuple(low), *(high - low), **style))
            lines.append('thin frame: the part on the right')
        self._draw_windows(axis, self.heads)
        axis.set_title('\n'.join(lines), **_TITLE)
        handles = [
            Patch(fill=False, edgecolor=self._color(i), label=f'head {i}') for i in self.heads
        ]
        if len(handles) > 1:
            axis.legend(
                handles=handles,
                fontsize=8,
                ncols=min(len(handles), 4),
                loc='upper center',
                bbox_to_anchor=(0.5, 0),
                frameon=False,
                labelcolor=INK,
            )

    def head(self, axis: Axes, head: int) -> None:
        """Draw the window of a head and the attention of the query in it."""
        _show_image(axis, self.image, self.extent, opacity=0.4)
        cells = self.layer.cells(self.points[head], self.image.shape[:2])
        strength = self.weights[head] / self.weights[head].max()
        color = self._color(head)
        faces = [(*color, _SHADE * float(value)) for value in strength]
        axis.add_collection(PolyCollection(list(cells), facecolors=faces, edgecolors='none'))
        self._draw_windows(axis, [head])
        if self.zoom is not None:
            low, high = self.zoom
            axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
        (width, height), angle = self.size[head], self.angle[head]
        axis.set_title(
            f'head {head}: moved {np.linalg.norm(self.offset[head]):.0f} px, '
            f'size {width:.2f} x {height:.2f}\n'
            f'turned {angle:.0f}°, strongest weight {100 * self.weights[head].max():.0f} %',
            **_TITLE,
        )

    def _color(self, head: int) -> tuple[float, float, float]:
        return _color(head, self.layer.num_heads)

    def _draw_windows(self, axis: Axes, heads: Sequence[int]) -> None:
        """Draw the default window, those of the heads, arrows between them, and the query.

        White below the lines keeps them legible on any image.
        """
        _outline(axis, self.default, 'white', 2.4)
        for head in heads:
            color = self._color(head)
            _outline(axis, self.outlines[head], 'white', 3)
            _outline(axis, self.outlines[head], color, 1.8)
            if self.layer.separate:
                _outline(axis, self.keys[head], color, 1.2, linestyle=':')
        _outline(axis, self.default, INK, 1.2, linestyle=(0, (4, 3)))
        for head in heads:
            self._draw_arrow(axis, head)
        axis.plot(*self.query, 'o', color='white', markeredgecolor=INK, markersize=5)

    def _draw_arrow(self, axis: Axes, head: int) -> None:
        start, end = self.default.mean(0), self.outlines[head].mean(0)
        if np.linalg.norm(end - start) < _SHORT * max(self.image.shape[:2]):
            return  # its head would be all of it
        for color, width in (('white', 3.2), (self._color(head), 1.6)):
            style = dict(arrowstyle='->', color=color, linewidth=width, shrinkA=0, shrinkB=0)
            axis.annotate('', xy=end, xytext=start, arrowprops=style, annotation_clip=False)


def _outline(
    axis: Axes, corners: np.ndarray, color: Any, width: float, *, linestyle: Any = '-'
) -> None:
    axis.add_patch(
        Polygon(corners, fill=False, edgecolor=color, linewidth=width, linestyle=linestyle)
    )


def _show_image(
    axis: Axes, image: np.ndarray, extent: np.ndarray, *, opacity: float = 0.55
) -> None:
    """Show the image, faint, and as much around it as the outlines (..., 2) need."""
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    axis.imshow(image, alpha=opacity)
    low, high = _limits(image, extent)
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    for spine in axis.spines.values():
        spine.set_visible(False)


def _limits(image: np.ndarray, extent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last (x, y) to show: the image, and the outlines around it.

    Windows may leave the image; half of its size is shown on each side at most.
    """
    height, width = image.shape[:2]
    low = np.minimum(extent.reshape(-1, 2).min(0), -0.5) - 0.02 * width
    high = np.maximum(extent.reshape(-1, 2).max(0), (width - 0.5, height - 0.5)) + 0.02 * width
    limit = 0.5 * np.array([width, height])
    return np.maximum(low, -limit), np.minimum(high, (width, height) + limit)


def _color(index: int, count: int) -> tuple[float, float, float]:
    colors = mpl.colormaps['tab10' if count <= 10 else 'tab20'].colors  # type: ignore[attr-defined]
    return colors[index % len(colors)]


def _evenly(count: int, limit: int) -> list[int]:
    """Return at most ``limit`` of ``range(count)``, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, limit))})


def _grid_part(grid: tuple[int, ...], limit: int) -> list[int]:
    """Return flat indices of a regular part of (rows, columns) with at most ``limit`` windows."""
    rows, columns = grid
    down = _evenly(rows, max(int(limit**0.5), limit // columns, 1))
    return [
        row * columns + column for row in down for column in _evenly(columns, limit // len(down))
    ]
