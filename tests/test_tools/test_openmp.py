"""tools/openmp.py: threads spin where nothing else runs, and sleep elsewhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from unittest import mock

import pytest
from cli import load_tool

openmp = load_tool('openmp')


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with mock.patch.dict(os.environ):
        for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'):
            os.environ.pop(name, None)
        yield


def cpus(*percents: float) -> mock._patch:
    """CPUs of which the process may use all but the last."""
    return mock.patch.multiple(
        openmp,
        psutil=mock.Mock(cpu_percent=mock.Mock(return_value=list(percents))),
        os=mock.Mock(environ=os.environ, sched_getaffinity=lambda _: set(range(len(percents) - 1))),
    )


@pytest.mark.parametrize(
    ('percents', 'busy'),
    [((100.0, 0.0, 100.0), 1.0), ((25.0, 50.0, 0.0), 0.75), ((0.0, 0.0, 100.0), 0.0)],
)
def test_counts_the_cpus_that_may_be_used(percents: tuple[float, ...], busy: float) -> None:
    with cpus(*percents):
        assert openmp.busy_cpus() == pytest.approx(busy)


@pytest.mark.parametrize(
    ('percents', 'policy'), [((100.0, 0.0, 0.0), 'PASSIVE'), ((10.0, 0.0, 100.0), None)]
)
def test_threads_sleep_beside_others(percents: tuple[float, ...], policy: str | None) -> None:
    with cpus(*percents):
        openmp.set_wait_policy()
    assert os.environ.get('OMP_WAIT_POLICY') == policy


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'])
def test_the_environment_is_kept(name: str) -> None:
    os.environ[name] = '7'
    before = dict(os.environ)
    with cpus(100.0, 100.0, 100.0):
        openmp.set_wait_policy()
    assert dict(os.environ) == before


def test_a_busy_process_is_seen() -> None:
    with subprocess.Popen([sys.executable, '-c', 'while True: pass']) as process:
        try:
            openmp.set_wait_policy()
        finally:
            process.kill()
    assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'
