"""How learned windows differ from the default ones, over many images, layer by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .figure import BLUE, INK, ORANGE, PALE, new_figure, save
from .windows import AttentionWindows

# Name -> (axis label, what the default window has).
QUANTITIES: dict[str, tuple[str, float | None]] = dict(
    size=('size of the window / default', 1.0),
    offset=('distance moved / window', 0.0),
    angle=('turned by, degrees', 0.0),
    off_map=('samples off the map, %', None),
    distance=('attention distance, px', None),
)


class WindowStatistics:
    """Means over images, of every head of every layer.

    An image counts as much as another, whatever its size.

    - ``size``: square root of the area, relative to the default window;
    - ``offset``: distance of the centers, in sides of the default window;
    - ``angle``: absolute angle in degrees; 180 where the window is mirrored;
    - ``off_map``: share of the sampling points that are off the map, in percent;
    - ``distance``: how far from a query the values lie that it reads, weighted by its attention, in
      pixels of the image.
    """

    def __init__(self) -> None:
        self.num_images = 0
        self._layers: list[AttentionWindows] = []  # of the last image
        self._sums: dict[str, list[np.ndarray]] = {}

    def update(self, layers: Sequence[AttentionWindows], image_size: tuple[int, int]) -> None:
        """Add the windows of one image of (height, width).

        Raises:
            ValueError: The layers are not those of the images before.
        """
        if self.num_images and [x.name for x in layers] != [x.name for x in self._layers]:
            raise ValueError('the layers are not those of the images before')
        found = [layer_statistics(layer, image_size) for layer in layers]
        for name in QUANTITIES:
            old = self._sums.get(name, [0.0] * len(found))
            self._sums[name] = [a + b[name] for a, b in zip(old, found, strict=True)]
        self.num_images += 1
        self._layers = list(layers)

    def summary(self) -> dict[str, Any]:
        """Return, as JSON has it: ``images``, and for each of ``layers`` its heads and their mean.

        Raises:
            ValueError: There was no image.
        """
        if not self.num_images:
            raise ValueError('there are no statistics of no image')
        layers = []
        for index, layer in enumerate(self._layers):
            means = {name: sums[index] / self.num_images for name, sums in self._sums.items()}
            layers.append(
                dict(
                    name=layer.title,
                    stage=layer.stage,
                    window_size=layer.window_size,
                    off_map_default=100 * float(layer.is_off_map(layer.fixed).mean()),
                    mean={name: float(values.mean()) for name, values in means.items()},
                    heads={name: values.tolist() for name, values in means.items()},
                )
            )
        return dict(images=self.num_images, layers=layers)


def layer_statistics(layer: AttentionWindows, image_size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return the :data:`QUANTITIES` of a layer for one image; each has one value per head."""
    shapes, windows = layer.shapes(), (1, 2)
    return dict(
        size=np.sqrt(shapes.size.prod(-1)).mean(windows),
        offset=np.linalg.norm(shapes.offset, axis=-1).mean(windows) / layer.window_size,
        angle=np.abs(shapes.angle).mean(windows),
        off_map=100 * shapes.off_map.mean(windows),
        distance=_attention_distance(layer, image_size),
    )


def _attention_distance(layer: AttentionWindows, image_size: tuple[int, int]) -> np.ndarray:
    """Return the mean over the queries of each head; NaN without weights."""
    if layer.weights is None:
        return np.full(layer.num_heads, np.nan)
    scale = layer.scale(image_size)
    inside = ~layer.is_off_map(layer.fixed[0])  # nH, nW, ws*ws: no padding
    distances = []
    for values, weights in zip(layer.sources, layer.weights, strict=True):  # less memory
        apart = (values[:, :, None] - layer.fixed[0][:, :, :, None]) * scale
        per_query = (np.linalg.norm(apart, axis=-1) * weights).sum(-1)
        distances.append(per_query[inside].mean())
    return np.array(distances)


def draw_statistics(path: str | Path, summary: dict[str, Any], title: str = '') -> Path:
    """Draw a panel for each quantity: dots are heads, the line is their mean.

    Args:
        path: PNG file.
        summary: Of :meth:`WindowStatistics.summary`.
        title: Of the figure.
    """
    layers = summary['layers']
    width = max(7.0, 1.6 + 0.34 * len(layers))
    figure = new_figure(width, 1.75 * len(QUANTITIES) + 1.2)
    axes = figure.subplots(len(QUANTITIES), 1, sharex=True)
    heading = title or f'learned windows over {summary["images"]} images'
    figure.suptitle(heading, color=INK, fontsize=12)
    for axis, (name, (label, default)) in zip(axes, QUANTITIES.items(), strict=True):
        _draw_quantity(axis, layers, name)
        if name == 'off_map':
            padded = [layer['off_map_default'] for layer in layers]
            axis.plot(padded, color=PALE, linestyle='--', label='default windows', zorder=0)
        elif default is not None:
            axis.axhline(default, color=PALE, linestyle='--', label='default windows', zorder=0)
        axis.set_title(label, loc='left', fontsize=10, color=INK)
    style: dict[str, Any] = dict(frameon=False, fontsize=8, labelcolor=INK, ncols=3)
    axes[0].legend(loc='lower right', bbox_to_anchor=(1, 0.98), **style)
    names = [layer['name'] for layer in layers]
    axes[-1].set_xticks(range(len(names)), names, rotation=60, ha='right', rotation_mode='anchor')
    return save(figure, path)


def _draw_quantity(axis: Axes, layers: Sequence[dict[str, Any]], name: str) -> None:
    for index, layer in enumerate(layers):
        heads = layer['heads'][name]
        label = 'a head' if index == 0 else None
        axis.plot([index] * len(heads), heads, 'o', color=BLUE, alpha=0.45, ms=4, label=label)
    means = [layer['mean'][name] for layer in layers]
    axis.plot(means, color=ORANGE, linewidth=1.8, label='mean of the heads')
    axis.margins(y=0.15)
    axis.tick_params(colors=INK, labelsize=8)
    axis.grid(True, color=PALE, linewidth=0.4, alpha=0.6)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axis.spines[side].set_color(PALE)
