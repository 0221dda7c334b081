"""Loss and accuracy over a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .figure import BLUE, INK, ORANGE, PALE, new_figure, save


def draw_training_curve(
    path: str | Path,
    losses: Sequence[float],
    iterations_per_epoch: int | None,
    metrics: Mapping[str, Sequence[tuple[float, float]]],
    title: str = '',
    *,
    rule: str = 'greater',
) -> Path:
    """Draw the loss of every iteration and the validation metrics.

    Args:
        path: PNG file.
        losses: training loss of every iteration.
        iterations_per_epoch: to put both on one axis; None for a training that is counted in
            iterations.
        metrics: name -> (epoch or iteration, value) pairs.
        title: of the figure.
        rule: ``'greater'`` or ``'less'``, the better values of the metrics.
    """
    columns = 1 + len(metrics)
    figure = new_figure(4.6 * columns, 3.4)
    axes = np.atleast_1d(figure.subplots(1, columns))
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    _draw_loss(axes[0], np.asarray(losses, float), iterations_per_epoch)
    unit = 'epoch' if iterations_per_epoch else 'iteration'
    for axis, (name, pairs) in zip(axes[1:], metrics.items(), strict=True):
        _draw_metric(axis, name, pairs, rule, unit)
    return save(figure, path)


def _draw_loss(axis: Axes, losses: np.ndarray, iterations_per_epoch: int | None) -> None:
    steps = np.arange(1, len(losses) + 1) / (iterations_per_epoch or 1)
    axis.plot(steps, losses, color=PALE, linewidth=0.8, label='iteration')
    if iterations_per_epoch:
        ends = range(iterations_per_epoch, len(losses) + 1, iterations_per_epoch)
        means = [losses[end - iterations_per_epoch : end].mean() for end in ends]
        # A mean belongs to the middle of its epoch.
        middles = np.arange(len(means)) + 0.5
        axis.plot(middles, means, color=BLUE, linewidth=1.8, label='mean of an epoch')
    finite = losses[np.isfinite(losses)]
    if len(finite) and finite.min() > 0:
        axis.set_yscale('log')
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        axis.yaxis.set_minor_formatter(NullFormatter())
    _finish(axis, 'training loss', 'epoch' if iterations_per_epoch else 'iteration')
    axis.legend(frameon=False, fontsize=8, labelcolor=INK)


def _draw_metric(
    axis: Axes, name: str, pairs: Sequence[tuple[float, float]], rule: str, unit: str
) -> None:
    steps, values = zip(*pairs, strict=True)
    marker = 'o' if len(values) < 60 else ''
    axis.plot(steps, values, color=ORANGE, linewidth=1.8, marker=marker, markersize=3)
    less = rule == 'less'
    best = int(np.argmin(values) if less else np.argmax(values))
    # A line rather than an arrow: the best value sits in a corner, where text would leave the axis.
    axis.axhline(values[best], color=PALE, linewidth=0.8, linestyle='--', zorder=0)
    axis.text(
        0.98,
        0.94 if less else 0.06,  # in the corner that the curve leaves free
        f'best {values[best]:.3g} ({unit} {steps[best]:g})\nlast {values[-1]:.3g}',
        transform=axis.transAxes,
        ha='right',
        va='top' if less else 'bottom',
        color=INK,
        fontsize=9,
    )
    _finish(axis, f'validation {name}', unit)


def _finish(axis: Axes, title: str, unit: str) -> None:
    axis.set_title(title, loc='left', fontsize=10, color=INK)
    axis.set_xlabel(unit, color=INK, fontsize=9)
    axis.tick_params(colors=INK, labelsize=8)
    axis.grid(True, color=PALE, linewidth=0.4, alpha=0.6)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axis.spines[side].set_color(PALE)
