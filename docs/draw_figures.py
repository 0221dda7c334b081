# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Draw the figures of the documentation into docs/images.

python docs/draw_figures.py
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Polygon
from PIL import Image

from mmvsa.models.layers import build_window_transform
from mmvsa.ops import WindowGeometry
from mmvsa.visualization.figure import BLUE, INK, ORANGE, PALE, new_figure, save
from mmvsa.visualization.windows import AttentionWindows

IMAGES = Path(__file__).resolve().parent / 'images'

# A map of 28 x 28 pixels in windows of 7, for an image of 224 x 224: stride 8.
GEOMETRY = WindowGeometry.of((28, 28), 7)
# (row, column) of the windows that are drawn, and theta of each transform for them: offsets are
# about window lengths, scales are added to 1, angles are radians.
DRAWN = ((0, 2), (1, 1), (2, 2), (3, 0))
PANELS: dict[str, tuple[str, list[list[float]]]] = {
    'fixed (W-MSA)': ('VariedSizeWindow', [[0] * 4] * 4),
    'varied-size (VSA)': (
        'VariedSizeWindow',
        [[0.1, 0.2, 0.5, -0.1], [-0.4, 0.3, 0.2, 1.0], [0.3, 0.1, -0.5, -0.4], [0.2, -0.3, 1.2, 0]],
    ),
    'rotated (RVSA)': (
        'RotatedVariedSizeWindow',
        [
            [0.1, 0.2, 0.5, -0.1, 0.3],
            [-0.4, 0.3, 0.2, 1.0, -0.4],
            [0.3, 0.1, -0.4, -0.3, 0.8],
            [0.3, -0.4, 0.9, 0, -0.2],
        ],
    ),
    'quadrangle (QFormer)': (
        'Quadrangle',
        [
            [0.1, 0.3, 0.5, 0.1, 0.2, 0, 0.7, 0.3, -0.2],
            [-0.4, 0.2, 0.3, 0.9, -0.3, 0.2, 0.4, 0.8, 0.2],
            [0.3, 0.1, -0.3, -0.2, 0.5, 0, 0.6, -0.9, -0.5],
            [0.3, -0.3, 0.9, 0.1, 0, 0.2, -0.8, 0.5, 0.1],
        ],
    ),
}


def transformed_windows(name: str, thetas: Sequence[Sequence[float]]) -> AttentionWindows:
    """Return the windows of a transform of the package: zero but where ``DRAWN`` says."""
    transform = build_window_transform(name, embed_dims=8, num_heads=1)
    theta = torch.zeros(1, *GEOMETRY.grid, 1, transform.num_params)
    for (row, column), values in zip(DRAWN, thetas, strict=True):
        theta[0, row, column, 0] = torch.tensor(values)
    points = transform.points(theta, GEOMETRY)[0].permute(2, 0, 1, 3, 4)
    fixed = transform.points(torch.zeros_like(theta), GEOMETRY)[0].permute(2, 0, 1, 3, 4)
    return AttentionWindows(name, points.numpy(), fixed.numpy(), GEOMETRY.size)


def draw_windows(path: Path) -> Path:
    """Draw the members of the family of windows over a photograph, one panel for each."""
    from skimage.data import chelsea

    photograph = Image.fromarray(chelsea()).crop((75, 0, 375, 300)).resize((224, 224))
    figure = new_figure(9.2, 2.6)
    for axis, (title, (name, thetas)) in zip(
        figure.subplots(1, len(PANELS)), PANELS.items(), strict=True
    ):
        _draw_panel(axis, np.asarray(photograph), transformed_windows(name, thetas))
        axis.set_title(title, fontsize=10, color=INK)
    return _reduce_colors(save(figure, path))


def _draw_panel(axis: Axes, image: np.ndarray, windows: AttentionWindows) -> None:
    size = image.shape[:2]
    columns = GEOMETRY.grid[1]
    chosen = [row * columns + column for row, column in DRAWN]
    axis.imshow(image, alpha=0.6)
    for start in windows.corners(size, fixed=True)[0]:
        axis.add_patch(Polygon(start, fill=False, edgecolor='white', linewidth=0.4))
    moved, fixed = windows.corners(size)[0][chosen], windows.corners(size, fixed=True)[0][chosen]
    colors = mpl.colormaps['tab10'].colors  # type: ignore[attr-defined]
    for color, window, start in zip(colors, moved, fixed, strict=False):
        axis.add_patch(Polygon(start, fill=False, edgecolor=color, linestyle=':', linewidth=1.2))
        axis.add_patch(Polygon(window, facecolor=(*color, 0.15), edgecolor=color, linewidth=1.8))
    axis.set(xticks=[], yticks=[], xlim=(-14, 238), ylim=(238, -14))
    axis.set_frame_on(False)


# Boxes of the cells: text, (x, y) of the center, color. Arrows: from box to box.
NORMAL_CELL = (
    {
        'in': ('map\nH x W x C', (0, 1), PALE),
        'attention': ('norm, attention', (1.5, 1.5), BLUE),
        'convolutions': ('convolutions (PCM)', (1.5, 0.5), ORANGE),
        'sum': ('+', (2.7, 1), PALE),
        'mlp': ('norm, MLP', (3.7, 1.5), BLUE),
        'sum2': ('+', (4.7, 1), PALE),
        'out': ('map\nH x W x C', (5.7, 1), PALE),
    },
    ['in attention', 'in convolutions', 'attention sum', 'convolutions sum', 'in sum']
    + ['sum mlp', 'mlp sum2', 'sum sum2', 'sum2 out'],
)
REDUCTION_CELL = (
    {
        'in': ('map\nH x W x C', (-2.2, 1), PALE),
        'pyramid': ('dilated strided\nconvolutions (PRM)', (-0.4, 1.5), ORANGE),
        'attention': ('norm, attention', (1.5, 1.5), BLUE),
        'convolutions': ('strided convolutions (PCM)', (0.6, 0.5), ORANGE),
        'sum': ('+', (2.7, 1), PALE),
        'mlp': ('norm, MLP', (3.7, 1.5), BLUE),
        'sum2': ('+', (4.7, 1), PALE),
        'out': ("map\nH/r x W/r x C'", (5.7, 1), PALE),
    },
    ['in pyramid', 'pyramid attention', 'attention sum', 'in convolutions', 'convolutions sum']
    + ['sum mlp', 'mlp sum2', 'sum sum2', 'sum2 out'],
)


def draw_cells(path: Path) -> Path:
    """Draw the reduction cell and the normal cell of ViTAEv2 as boxes and arrows."""
    figure = new_figure(9.2, 3.4)
    upper, lower = figure.subplots(2, 1)
    _draw_graph(upper, 'reduction cell: shrinks the map r times', *REDUCTION_CELL)
    _draw_graph(lower, 'normal cell: keeps the size', *NORMAL_CELL)
    return _reduce_colors(save(figure, path))


def _draw_graph(axis: Axes, title: str, boxes: dict, arrows: Sequence[str]) -> None:
    axis.set_title(title, fontsize=10, color=INK, loc='left')
    for arrow in arrows:
        start, end = (boxes[name][1] for name in arrow.split())
        style = dict(arrowstyle='-|>', color=INK, linewidth=1, shrinkA=14, shrinkB=16)
        axis.annotate('', end, start, arrowprops=style, zorder=1)
    for text, (x, y), color in boxes.values():
        width = 0.36 if text == '+' else 0.45 + 0.062 * max(map(len, text.split('\n')))
        corner = (x - width / 2, y - 0.2)
        box = FancyBboxPatch(corner, width, 0.4, 'round,pad=0,rounding_size=0.1', zorder=2)
        box.set(facecolor=mpl.colors.to_rgba(color, 0.3), edgecolor=color)
        axis.add_patch(FancyBboxPatch(corner, width, 0.4, 'round,pad=0,rounding_size=0.1', fc='w'))
        axis.add_patch(box)
        axis.text(x, y, text, ha='center', va='center', fontsize=8, color=INK, zorder=3)
    axis.set(xlim=(-3, 6.6), ylim=(0.2, 1.8))
    axis.set_axis_off()


def _reduce_colors(path: Path) -> Path:
    """Rewrite a PNG with a palette of 128 colors, which is a quarter of the size."""
    with Image.open(path) as image:
        reduced = image.convert('RGB').quantize(128, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)
    return path


def main(folder: Path = IMAGES) -> list[Path]:
    """Draw all figures into ``folder`` and return their paths."""
    return [draw_windows(folder / 'windows.png'), draw_cells(folder / 'cells.png')]


if __name__ == '__main__':
    print(*main(), sep='\n')
