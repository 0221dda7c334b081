"""A comparison of attentions as a page: table, plot and the runs it is made of."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mmvsa.visualization.figure import BLUE, INK, ORANGE, PALE, new_figure, save

from .comparison import SIZES, summarise

Run = Mapping[str, Any]
FIGURES = {'detection': ('box AP', 'mask AP'), 'segmentation': ('mIoU', 'pixel recall')}
COLOURS = {'window': BLUE, 'vsa': ORANGE}
NAME = 'attention_digit-scenes'


def write_report(folder: Path, runs: Sequence[Run]) -> None:
    """Write ``attention_digit-scenes.{json,png}`` and print the tables in Markdown.

    Raises:
        ValueError: there is no run.
    """
    if not runs:
        raise ValueError('no finished run to report')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{NAME}.json').write_text(json.dumps(list(runs), indent=1) + '\n')
    draw(folder / f'{NAME}.png', runs)
    print(markdown(runs))


def markdown(runs: Sequence[Run]) -> str:
    """One row per task, figure and attention: means and standard deviations over the seeds."""
    columns = ('all', *SIZES)
    lines = [
        '| task | figure | attention | seeds | ' + ' | '.join(columns) + ' |',
        '| --- | --- | --- | ---: |' + ' ---: |' * len(columns),
    ]
    for task, figures in FIGURES.items():
        for figure in figures:
            for attention in COLOURS:
                chosen = _chosen(runs, task, attention, figure)
                if chosen:
                    summary = summarise(chosen, figure)
                    cells = [_cell(summary.get(column)) for column in columns]
                    lines.append(
                        f'| {task} | {figure} | {attention} | {len(chosen)} | '
                        + ' | '.join(cells)
                        + ' |'
                    )
    return '\n'.join(lines)


def _chosen(runs: Sequence[Run], task: str, attention: str, figure: str) -> list[Run]:
    return [
        run
        for run in runs
        if run['task'] == task and run['attention'] == attention and figure in run
    ]


def _cell(value: tuple[float, float, int] | None) -> str:
    return '-' if value is None else f'{100 * value[0]:.1f} ± {100 * value[1]:.1f}'


def draw(path: Path, runs: Sequence[Run]) -> Path:
    """For each task the validation curve of every run, and bars by size."""
    tasks = [task for task in FIGURES if any(run['task'] == task for run in runs)]
    figure = new_figure(9.0, 3.2 * len(tasks))
    axes = np.atleast_2d(figure.subplots(len(tasks), 2))
    for (left, right), task in zip(axes, tasks, strict=True):
        _draw_curves(left, [run for run in runs if run['task'] == task], task)
        _draw_bars(right, runs, task, FIGURES[task][-1 if task == 'segmentation' else 0])
    return save(figure, path)


def _draw_curves(axis: Axes, runs: Sequence[Run], task: str) -> None:
    for run in runs:
        metric, points = next(iter(run['curve'].items()))
        epochs, values = zip(*points, strict=True)
        axis.plot(epochs, values, color=COLOURS[run['attention']], linewidth=1.2, marker='o', ms=2)
        axis.set_ylabel(metric, color=INK, fontsize=8)
    axis.set_title(f'{task}: each line a seed', loc='left', fontsize=10, color=INK)
    axis.set_xlabel('epoch', color=INK, fontsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axis)


def _draw_bars(axis: Axes, runs: Sequence[Run], task: str, figure: str) -> None:
    columns = ('all', *SIZES)
    for index, (attention, colour) in enumerate(COLOURS.items()):
        summary = summarise(_chosen(runs, task, attention, figure), figure)
        means = [summary[column][0] for column in columns if column in summary]
        deviations = [summary[column][1] for column in columns if column in summary]
        places = np.arange(len(means)) + 0.38 * index
        axis.bar(places, means, 0.36, yerr=deviations, color=colour, ecolor=INK, label=attention)
    axis.set_xticks(np.arange(len(columns)) + 0.19, columns)
    axis.set_title(f'{figure} by size of the digit', loc='left', fontsize=10, color=INK)
    axis.legend(frameon=False, fontsize=8, labelcolor=INK)
    _finish(axis)


def _finish(axis: Axes) -> None:
    axis.tick_params(colors=INK, labelsize=8)
    axis.grid(True, axis='y', color=PALE, linewidth=0.4, alpha=0.6)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)
