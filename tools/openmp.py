"""How the threads of PyTorch's operations wait for each other on a CPU.

To be imported before PyTorch: OpenMP reads its settings when it is loaded.
"""

import os
import time
from pathlib import Path

SAMPLE_SECONDS = 0.25
MAX_BUSY_CPUS = 0.5


def set_wait_policy(stat: Path = Path('/proc/stat')) -> None:
    """Let threads sleep while they wait, unless nothing else runs here.

    Threads that spin (OpenMP's default) start a small operation sooner: a step of a small model
    takes two thirds of the time. But where another process needs one of the CPUs, they hold it
    while the thread that they wait for is not running, and a step takes several times as long
    (docs/performance.md). ``OMP_WAIT_POLICY`` and ``GOMP_SPINCOUNT`` in the environment are kept.

    Args:
        stat: where Linux counts the time of every CPU. Without it threads sleep.
    """
    if 'OMP_WAIT_POLICY' in os.environ or 'GOMP_SPINCOUNT' in os.environ:
        return
    if busy_cpus(stat) > MAX_BUSY_CPUS:
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'


def busy_cpus(stat: Path, seconds: float = SAMPLE_SECONDS) -> float:
    """How many of the CPUs that this process may use were busy for the next ``seconds``.

    Infinite where ``stat`` cannot be read.
    """
    try:
        before = _busy_and_total(stat.read_text())
        time.sleep(seconds)
        after = _busy_and_total(stat.read_text())
    except (OSError, AttributeError):
        return float('inf')
    shares = []
    for cpu, (busy, total) in after.items():
        busy_before, total_before = before.get(cpu, (busy, total))
        shares.append((busy - busy_before) / max(total - total_before, 1))
    return sum(shares)


def _busy_and_total(stat: str) -> dict[int, tuple[int, int]]:
    """Clock ticks of each CPU that this process may use; man 5 proc, /proc/stat."""
    allowed = os.sched_getaffinity(0)
    ticks = {}
    for line in stat.splitlines():
        name, *fields = line.split()
        number = name.removeprefix('cpu')
        if number.isdigit() and int(number) in allowed and name != number:
            # user nice system idle iowait irq softirq steal; guests are counted in user and nice.
            counts = [int(field) for field in fields[:8]]
            ticks[int(number)] = sum(counts) - sum(counts[3:5]), sum(counts)
    return ticks
