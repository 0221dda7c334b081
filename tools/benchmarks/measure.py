"""What the benchmarks share: interleaved timing, peak memory, tables and records."""

import argparse
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar
from unittest import mock

import mmengine
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch.utils.benchmark import Measurement, TaskSpec, timer

from mmvsa.utils import UsageError

Call = Callable[[], object]
Key = TypeVar('Key', bound=Hashable)

DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
# torch's timer waits for the GPU. `cpu` is the processor time of all threads of this process: with
# one thread it hardly depends on what else a shared machine does.
CLOCKS: dict[str, Callable[[], float]] = {'wall': timer, 'cpu': time.process_time}
# glibc keeps freed blocks of up to 32 MiB and puts later ones between them, so that a process holds
# up to twice what its tensors need. With these values it returns them to the system, as a GPU's
# allocator would; other C libraries ignore them.
RETURN_FREED = {'MALLOC_MMAP_THRESHOLD_': '65536', 'MALLOC_TRIM_THRESHOLD_': '65536'}


class Work(Protocol):
    """Something to measure; picklable."""

    def prepare(self) -> None:
        """Import what building needs, which does not count as memory."""

    def build(self) -> Call:
        """Return what to call."""


def add_arguments(parser: argparse.ArgumentParser, batch_size: int) -> None:
    """Add the options that all benchmarks of speed have."""
    parser.add_argument('--official', metavar='PATH', help='checkout of the ViTAE-VSA repository')
    parser.add_argument('--baseline', help='candidate that ratios refer to (default: the first)')
    parser.add_argument('--batch-size', type=int, default=batch_size)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: as torch chooses)')
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='cpu: processor time, for a shared machine; use it with --threads 1',
    )
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--iterations', type=int, default=1, help='calls per round')
    parser.add_argument('--out', type=Path, help='JSON file')


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with one line for values that cannot be, and set the number of threads."""
    for name in ('batch_size', 'rounds', 'iterations', 'threads'):
        if (value := getattr(args, name)) is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, got {value}')
    if args.clock == 'cpu' and args.device != 'cpu':
        parser.error(f'--clock cpu measures nothing on {args.device}; use --clock wall')
    if args.threads:
        torch.set_num_threads(args.threads)


def parse_size(text: str) -> tuple[int, int]:
    """Read (height, width): ``'224'`` is a square, ``'512x1024'`` height by width.

    Raises:
        ValueError: anything else.
    """
    if not re.fullmatch(r'[1-9]\d*(x[1-9]\d*)?', text):
        raise ValueError(f'a size is written 224 or 512x1024 (height x width), got {text!r}')
    parts = text.split('x')
    return int(parts[0]), int(parts[-1])


def time_interleaved(
    calls: Mapping[Key, Call], *, rounds: int, iterations: int = 1, clock: str = 'wall'
) -> dict[Key, Measurement]:
    """Time every call once per round, A B A B, so that a slow moment hits all of them.

    Each is called once before, to warm up.
    ``torch.utils.benchmark.Timer`` would warm up in every round, and measure one after the other.
    """
    now = CLOCKS[clock]
    for call in calls.values():
        call()
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            start = now()
            for _ in range(iterations):
                call()
            seconds[key].append(now() - start)
    return {key: Measurement(iterations, s, TaskSpec(str(key), '')) for key, s in seconds.items()}


def speedup(times: Measurement, baseline: Measurement) -> float:
    """Return how many times faster than the baseline, the median of the rounds' own ratios."""
    return statistics.median(b / t for b, t in zip(baseline.times, times.times, strict=True))


def time_record(times: Measurement, batch: int, baseline: Measurement | None) -> dict[str, Any]:
    """Return the columns that every table of times has; the spread is that of the middle half."""
    return {
        'img/s': round(batch / times.median, 2),
        'ms': round(1e3 * times.median, 2),
        'spread': f'{times.iqr / times.median:.0%}',
        'x baseline': round(speedup(times, baseline), 2) if baseline else '-',
    }


def peak_memory(work: Work, device: str) -> float:
    """Return the MiB that building and two calls add at their peak.

    On a CPU a fresh process runs them, since the resident set of this one holds what others left.
    It returns freed blocks (:data:`RETURN_FREED`) unless the environment has other values.

    Raises:
        UsageError: on a CPU, where the system is not Linux.
    """
    if torch.device(device).type == 'cuda':
        return _cuda_peak(work)
    if not Path('/proc/self/status').exists():
        raise UsageError('peak memory on a CPU is measured on Linux only; add --no-memory')
    with (
        mock.patch.dict(os.environ, RETURN_FREED | dict(os.environ)),
        ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool,
    ):
        return pool.submit(_process_peak, work, torch.get_num_threads()).result()


def _process_peak(work: Work, threads: int) -> float:
    torch.set_num_threads(threads)
    work.prepare()
    before = _resident_mib('VmRSS')
    call = work.build()
    for _ in range(2):
        call()
    return _resident_mib('VmHWM') - before


def _resident_mib(key: str) -> float:
    found = re.search(rf'{key}:\s+(\d+) kB', Path('/proc/self/status').read_text())
    assert found
    return int(found[1]) / 1024


def _cuda_peak(work: Work) -> float:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call = work.build()
    for _ in range(2):
        call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def describe_machine(device: str) -> dict[str, Any]:
    """Return processor or GPU, threads and versions, for the record of a measurement."""
    if torch.device(device).type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        info = Path('/proc/cpuinfo')
        found = re.search(r'model name\s*:\s*(.+)', info.read_text() if info.exists() else '')
        name = found[1] if found else platform.processor()
    versions = {'torch': torch.__version__, 'python': platform.python_version()}
    return {'device': name, 'threads': torch.get_num_threads(), **versions}


def print_table(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print a table in Markdown; columns are the keys of the first row."""
    table = Table(title=title, box=box.MARKDOWN)
    for key, value in rows[0].items():
        number = not isinstance(value, str) or value.endswith('%') or value == '-'
        table.add_column(key, justify='right' if number else 'left', overflow='fold')
    for row in rows:
        table.add_row(*(f'{v:.2f}' if isinstance(v, float) else str(v) for v in row.values()))
    console = Console()
    # Piped into a file it would wrap at 80 columns.
    Console(width=None if console.is_terminal else 160).print(table)


def write_record(path: Path, args: argparse.Namespace, results: Sequence[Any]) -> None:
    """Write options, machine and results as JSON; the file is complete or not there."""
    settings = {key: value for key, value in vars(args).items() if key not in ('out', 'parsed')}
    content = {
        'settings': settings,
        'machine': describe_machine(args.device),
        'results': results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    mmengine.dump(content, part, file_format='json', indent=1)
    part.replace(path)
