"""How the threads of PyTorch's operations wait for each other on a CPU.

To be imported before PyTorch: OpenMP reads its settings when it is loaded.
"""

import os

import psutil

SAMPLE_SECONDS = 0.25
MAX_BUSY_CPUS = 0.5


def set_wait_policy() -> None:
    """Let threads sleep while they wait, unless nothing else runs on the CPUs of this process.

    Threads that spin (OpenMP's default) start a small operation sooner: a step of a small model
    takes two thirds of the time. But where another process needs one of the CPUs, they hold it
    while the thread that they wait for is not running, and a step takes several times as long
    (docs/performance.md). ``OMP_WAIT_POLICY`` and ``GOMP_SPINCOUNT`` in the environment are kept.
    """
    if 'OMP_WAIT_POLICY' in os.environ or 'GOMP_SPINCOUNT' in os.environ:
        return
    if busy_cpus() > MAX_BUSY_CPUS:
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'


def busy_cpus(seconds: float = SAMPLE_SECONDS) -> float:
    """How many of the CPUs that this process may use are busy for the next ``seconds``."""
    percents = psutil.cpu_percent(interval=seconds, percpu=True)
    if hasattr(os, 'sched_getaffinity'):  # not on macOS
        allowed = os.sched_getaffinity(0)
        percents = [percent for cpu, percent in enumerate(percents) if cpu in allowed]
    return sum(percents) / 100
