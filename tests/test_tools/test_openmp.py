"""tools/openmp.py: threads spin where nothing else runs, and sleep elsewhere."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from cli import load_tool, run_command

openmp = load_tool('openmp')


class Stat:
    """Stands for /proc/stat: what is read the first and the second time."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def read_text(self) -> str:
        return self.texts.pop(0)


def lines(*cpus: tuple[int, int]) -> str:
    """The file's lines of CPUs with (busy, idle) ticks; half of the busy ones are the system's."""
    rows = [
        f'cpu{i} {busy // 2} 0 {busy - busy // 2} {idle} 0 0 0 0 0 0'
        for i, (busy, idle) in enumerate(cpus)
    ]
    return '\n'.join(['cpu  1 2 3 4 5 6 7 8 9 10', *rows, 'intr 99 0', 'ctxt 7'])


@pytest.fixture(autouse=True)
def two_cpus() -> Iterator[None]:
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(os, 'sched_getaffinity', lambda _: {0, 1}, create=True),
        mock.patch.object(openmp.time, 'sleep'),
    ):
        for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'):
            os.environ.pop(name, None)
        yield


@pytest.mark.parametrize(
    ('first', 'second', 'busy'),
    [
        ((100, 0), (0, 0), 1.0),
        ((25, 75), (50, 50), 0.75),
        ((0, 100), (0, 100), 0.0),
    ],
)
def test_busy_cpus(first: tuple, second: tuple, busy: float) -> None:
    start = ((1000, 500), (30, 70), (0, 0))
    # The third CPU is busy, but not one that the process may use.
    steps = (first, second, (100, 0))
    end = [(a + c, b + d) for (a, b), (c, d) in zip(start, steps, strict=True)]
    assert openmp.busy_cpus(Stat(lines(*start), lines(*end))) == pytest.approx(busy)


@pytest.mark.parametrize(('ticks', 'policy'), [((100, 0), 'PASSIVE'), ((10, 90), None)])
def test_threads_sleep_beside_others(ticks: tuple[int, int], policy: str | None) -> None:
    openmp.set_wait_policy(Stat(lines((0, 0), (0, 0)), lines(ticks, (0, 100))))
    assert os.environ.get('OMP_WAIT_POLICY') == policy


def test_threads_sleep_where_nothing_is_known(tmp_path: Path) -> None:
    openmp.set_wait_policy(tmp_path / 'missing')
    assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'])
def test_the_environment_is_kept(name: str) -> None:
    os.environ[name] = '7'
    before = dict(os.environ)
    openmp.set_wait_policy(Stat())
    assert dict(os.environ) == before


@pytest.mark.skipif(sys.platform != 'linux', reason='counts the CPUs of Linux')
def test_the_kernels_own_counts() -> None:
    code = (
        'import sys; sys.path.insert(0, "tools"); import openmp, pathlib; '
        'print(openmp.busy_cpus(pathlib.Path("/proc/stat")))'
    )
    busy = float(run_command(sys.executable, '-c', code).split()[-1])
    assert 0.0 <= busy <= (os.cpu_count() or 1)
