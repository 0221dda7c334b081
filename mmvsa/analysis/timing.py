"""Interleaved timing: A B A B ..., so that a slow moment of the machine hits every contender."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from .machine import synchronize

# `cpu` is the processor time of this process, all threads together: with one thread it hardly
# depends on what else a shared machine does.
CLOCKS: dict[str, Callable[[], float]] = {'wall': time.perf_counter, 'cpu': time.process_time}


@dataclass(frozen=True)
class Timing:
    """Seconds of one call in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median of the middle half of the rounds (all, if fewer than 4)."""
        ordered = sorted(self.rounds)
        cut = len(ordered) // 4
        middle = ordered[cut : len(ordered) - cut]
        return (middle[-1] - middle[0]) / self.median


def time_interleaved(
    calls: Mapping[str, Callable[[], object]],
    device: torch.device,
    rounds: int = 5,
    iterations: int = 1,
    warmup: int = 1,
    clock: str = 'wall',
) -> dict[str, Timing]:
    """Time every call once per round, in turn.

    Args:
        calls: name -> what to time.
        rounds: measurements of each.
        iterations: calls per measurement.
        warmup: calls of each before the first round, not timed.
        clock: a key of :data:`CLOCKS`.
    """
    for call in calls.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_time_once(call, device, iterations, CLOCKS[clock]))
    return {name: Timing(tuple(values)) for name, values in times.items()}


def ratios(timings: Mapping[str, Timing], baseline: str) -> dict[str, float]:
    """How many times faster than the baseline, median of the rounds' own ratios."""
    base = timings[baseline].rounds
    return {
        name: statistics.median(b / t for b, t in zip(base, timing.rounds, strict=True))
        for name, timing in timings.items()
    }


def _time_once(
    call: Callable[[], object],
    device: torch.device,
    iterations: int,
    clock: Callable[[], float],
) -> float:
    synchronize(device)
    start = clock()
    for _ in range(iterations):
        call()
    synchronize(device)
    return (clock() - start) / iterations
