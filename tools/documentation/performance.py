"""The tables of docs/performance.md, from the records in docs/results that the benchmarks write."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markdown_tables import format_table, replace_block

RESULTS = Path(__file__).resolve().parents[2] / 'docs/results'
OFFICIAL = 'official:ViTAEv2_VSA_S'
NAMES = {OFFICIAL: 'official VSA-S', 'timm:swin_tiny_patch4_window7_224': "timm's Swin-T"}
STAGES = {'1': '56 x 56 x 64', '2': '28 x 28 x 128', '3': '14 x 14 x 256', '4': '7 x 7 x 512'}

Row = dict[str, Any]


def read_rows(name: str) -> list[Row]:
    """Return the results of a record."""
    return json.loads((RESULTS / f'{name}.json').read_text(encoding='utf-8'))['results']


def label(candidate: str) -> str:
    """Return how a candidate is called: a name with its options, or what it is."""
    model, _, options = candidate.partition('@')
    if model not in NAMES:
        return f'`{candidate}`'
    return ', '.join([NAMES[model], *filter(None, options.split(','))])


def merge(rows: Iterable[Row], *, by: str, over: str) -> dict[str, dict[str, Row]]:
    """Return the rows by the value of one column, and below it by that of another."""
    merged: dict[str, dict[str, Row]] = {}
    for row in rows:
        merged.setdefault(row[by], {})[row[over]] = row
    return merged


def models(rows: Sequence[Row]) -> str:
    """Return the table of forward and backward passes of whole models."""
    titles = ('task', 'model', 'images/s', 'x official VSA-S')
    cells = [
        [row['task'], label(row['candidate']), f'{row["img/s"]:.2f}', f'{row["x baseline"]:.2f}']
        for row in rows
    ]
    return format_table(titles, cells, right_from=2)


def inference(rows: Sequence[Row]) -> str:
    """Return the table of the modes that run a classifier on a CPU."""
    titles = ('model', 'images/s', 'x official VSA-S', 'first result, s', 'peak MiB')
    cells = [
        [
            label(row['candidate']),
            f'{row["img/s"]:.2f}',
            f'{row["x baseline"]:.2f}',
            f'{row["first s"]:.1f}',
            f'{row["peak MiB"]}' if 'peak MiB' in row else '-',
        ]
        for row in rows
    ]
    return format_table(titles, cells, right_from=1)


def attention(rows: Sequence[Row]) -> str:
    """Return the table of attention alone: milliseconds, forward / forward and backward."""
    names = ('vsa', 'window', 'products', 'linear', 'official')
    cells = []
    for stage in dict.fromkeys(row['map'] for row in rows):
        tasks = merge((row for row in rows if row['map'] == stage), by='candidate', over='task')

        def pair(name: str, key: str, digits: int, tasks: dict[str, dict[str, Row]] = tasks) -> str:
            values = (tasks[name][task][key] for task in ('forward', 'backward'))
            return ' / '.join(f'{value:.{digits}f}' for value in values)

        times = [pair(name, 'ms', 1) for name in names]
        cells.append([stage.replace('x', ' x '), *times, pair('vsa', 'x baseline', 2)])
    titles = ('map', '`vsa`', '`window`', '`products`', '`linear`', 'official', '`vsa` x official')
    return format_table(titles, cells, right_from=1)


def sizes(rows: Sequence[Row]) -> str:
    """Return the table of time and memory over image sizes."""
    columns = ('ms', 'ms/Mpx', 'peak MiB')
    cells = [
        [
            size.replace('x', ' x '),
            *(f'{tasks[task][key]:.0f}' for task in ('forward', 'backward') for key in columns),
        ]
        for size, tasks in merge(rows, by='size', over='task').items()
    ]
    titles = ('size', 'forward ms', 'ms/Mpx', 'peak MiB', 'backward ms', 'ms/Mpx', 'peak MiB')
    return format_table(titles, cells, right_from=1)


def memory(rows: Sequence[Row]) -> str:
    """Return the table of the peak memory of a training iteration."""
    (official,) = [row['peak MiB'] for row in rows if row['candidate'] == OFFICIAL]
    cells = [
        [label(row['candidate']), f'{row["peak MiB"]}', f'{row["peak MiB"] / official:.2f}']
        for row in rows
    ]
    return format_table(('model', 'MiB', 'of the official'), cells, right_from=1)


def gpu_attention(rows: Sequence[Row]) -> str:
    """Return the table of attention alone on a GPU, in microseconds."""
    names = ('triton', 'mmcv', 'torch', 'official path', 'plain windows')
    found = (row for row in rows if row['section'] == 'attention' and 'candidate' in row)
    cells = []
    for stage, by_name in merge(found, by='stage', over='candidate').items():
        times = [by_name[name]['both_graph_us'] for name in names]
        ratio = by_name['official path']['both_graph_us'] / by_name['triton']['both_graph_us']
        cells.append([stage, STAGES[stage], *(f'{time:.0f}' for time in times), f'{ratio:.1f}'])
    titles = ('stage', 'map', *names, 'official / triton')
    return format_table(titles, cells, right_from=2)


def gpu_models(rows: Sequence[Row]) -> str:
    """Return the table of whole models on a GPU."""
    gpu_time = {row['model']: row['step_ms'] for row in rows if row['section'] == 'gpu time'}
    cells = [
        [
            row['model'],
            f'{row["forward_graph_ms"]:.1f}',
            f'{gpu_time[row["model"]]:.1f}' if row['model'] in gpu_time else '',
            f'{row["forward_kernels"]} / {row["step_kernels"]}',
            f'{row["peak_mib"]:.0f}',
        ]
        for row in rows
        if row['section'] == 'model'
    ]
    titles = (
        'model',
        'forward, graph ms',
        'step, GPU ms',
        'kernels, forward / step',
        'step MiB',
    )
    return format_table(titles, cells, right_from=1)


# Mark on the page -> (record, writer of the table).
TABLES = {
    'models': ('cpu_models', models),
    'bfloat16': ('cpu_bfloat16', models),
    'inference': ('cpu_inference', inference),
    'cells': ('cpu_cells', inference),
    'attention': ('cpu_attention', attention),
    'sizes': ('cpu_sizes', sizes),
    'memory': ('cpu_memory', memory),
    'gpu attention': ('gpu_h200', gpu_attention),
    'gpu models': ('gpu_h200', gpu_models),
}


def render(page: str) -> str:
    """Return the page with its tables written again."""
    for mark, (record, write) in TABLES.items():
        page = replace_block(page, mark, write(read_rows(record)))
    return page
