"""Results of a benchmark as a table, JSON and a plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class Result:
    """One contender in one task.

    Attributes:
        name: the contender's.
        task: what was timed (for attention: with the stage).
        ms: median time of a step, milliseconds.
        spread: of the middle half of the rounds, relative to the median.
        images_per_s: images (or maps) per second.
        ratio: times faster than the baseline, median over the rounds.
        gflop: floating-point work of a step, 1e9 operations.
        gflop_per_s: that over the time.
        roofline: share of the machine's measured limits that is reached, operation by operation.
        peak_mib: peak memory, see :mod:`mmvsa.analysis.memory`.
        added_mib: peak memory above what was held before the model was built.
        copies: operations of a step that only move data.
        rounds_ms: every measurement.
    """

    name: str
    task: str
    ms: float
    spread: float
    images_per_s: float
    ratio: float | None = None
    gflop: float | None = None
    gflop_per_s: float | None = None
    roofline: float | None = None
    peak_mib: float | None = None
    added_mib: float | None = None
    copies: int | None = None
    rounds_ms: tuple[float, ...] = ()


_COLUMNS = {
    'task': ('task', '{}'),
    'name': ('contender', '{}'),
    'images_per_s': ('img/s', '{:.2f}'),
    'ms': ('ms', '{:.1f}'),
    'spread': ('spread', '{:.0%}'),
    'ratio': ('x baseline', '{:.2f}'),
    'gflop_per_s': ('GFLOP/s', '{:.1f}'),
    'roofline': ('roofline', '{:.0%}'),
    'added_mib': ('peak MiB', '{:.0f}'),
    'copies': ('copies', '{}'),
}


def table_rows(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Header and rows; a column that no result fills is left out."""
    keys = [key for key in _COLUMNS if any(getattr(r, key) is not None for r in results)]
    rows = [[_cell(getattr(result, key), _COLUMNS[key][1]) for key in keys] for result in results]
    return [_COLUMNS[key][0] for key in keys], rows


def _cell(value: Any, form: str) -> str:
    return '-' if value is None else form.format(value)


def markdown_table(results: Sequence[Result]) -> str:
    """The table for a page of the documentation."""
    return markdown(*table_rows(results), left=2)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Any table; all but the first ``left`` columns are aligned right."""
    lines = [header, ['---'] * left + ['---:'] * (len(header) - left), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def print_table(results: Sequence[Result], title: str) -> None:
    """Print the table."""
    header, rows = table_rows(results)
    print_rows(header, rows, title, left=2)


def print_rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str, left: int = 1
) -> None:
    """Print with rich where it is installed; the first ``left`` columns are text."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(title, markdown(header, rows, left), sep='\n')
        return
    table = Table(title=title)
    for index, column in enumerate(header):
        table.add_column(column, justify='left' if index < left else 'right', overflow='fold')
    for row in rows:
        table.add_row(*row)
    console = Console()
    # Piped into a file it would wrap at 80 columns.
    Console(width=None if console.is_terminal else 140).print(table)


def write_json(path: Path, results: Sequence[Result], record: dict[str, Any]) -> None:
    """Write settings, machine and every result, for later comparison."""
    write_record(path, {**record, 'results': [asdict(result) for result in results]})


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write any record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + '\n')


def write_plot(path: Path, results: Sequence[Result], title: str) -> None:
    """Bars of images per second, one panel per task, whiskers from the slowest to the fastest."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    tasks = list(dict.fromkeys(result.task for result in results))
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(4.5 * len(tasks), 3.2), squeeze=False, layout='constrained'
    )
    for axis, task in zip(axes[0], tasks, strict=True):
        _draw_bars(axis, [result for result in results if result.task == task])
        axis.set_title(task, fontsize=9)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_bars(axis: Any, results: Sequence[Result]) -> None:
    names = [result.name for result in results]
    speeds = [result.images_per_s for result in results]
    fastest = [r.images_per_s * (r.ms / min(r.rounds_ms or (r.ms,)) - 1) for r in results]
    slowest = [r.images_per_s * (1 - r.ms / max(r.rounds_ms or (r.ms,))) for r in results]
    axis.barh(names, speeds, xerr=[slowest, fastest], color='#4878a8', ecolor='#444444')
    axis.invert_yaxis()
    axis.set_xlabel('images / s', fontsize=8)
    axis.tick_params(labelsize=7)
