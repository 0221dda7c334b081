"""How the cost of an image grows with its size."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .memory import PeakMemory
from .timing import Timing

Size = tuple[int, int]


@dataclass(frozen=True)
class SizeCost:
    """What a batch of one image size costs; ``relative`` numbers are 1 where cost is linear.

    Attributes:
        size: (height, width) in pixels.
        ms: median time, milliseconds.
        spread: of the middle half of the rounds, relative to the median.
        relative_time: time per pixel over that of the first size, median over the rounds.
        added_mib: peak memory above what was held before the model was built.
        marginal_mib: MiB per million pixels of the batch that this size takes beyond the smallest
            one; weights and other fixed costs drop out.
    """

    size: Size
    ms: float
    spread: float
    relative_time: float
    added_mib: float | None = None
    marginal_mib: float | None = None


def parse_size(text: str) -> Size:
    """``'224'`` is a square, ``'512x1024'`` height by width.

    Raises:
        ValueError: anything else.
    """
    parts = text.lower().split('x')
    if len(parts) > 2 or not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f'a size is written 224 or 512x1024 (height x width), got {text!r}')
    return int(parts[0]), int(parts[-1])


def size_costs(
    timings: Mapping[Size, Timing], memory: Mapping[Size, PeakMemory], batch: int
) -> list[SizeCost]:
    """One row per size; the first size is what the others are relative to."""
    sizes = list(timings)
    first = sizes[0]
    smallest = min(memory, key=_pixels, default=first)
    rows = []
    for size, timing in timings.items():
        growth = _pixels(size) / _pixels(first)
        rounds = zip(timing.rounds, timings[first].rounds, strict=True)
        peak = memory.get(size)
        marginal = None
        if peak and _pixels(size) > _pixels(smallest):
            more = (_pixels(size) - _pixels(smallest)) * batch / 1e6
            marginal = (peak.added - memory[smallest].added) / more
        rows.append(
            SizeCost(
                size,
                ms=1e3 * timing.median,
                spread=timing.spread,
                relative_time=statistics.median(t / base for t, base in rounds) / growth,
                added_mib=peak.added if peak else None,
                marginal_mib=marginal,
            )
        )
    return rows


def table(rows: Sequence[SizeCost]) -> tuple[list[str], list[list[str]]]:
    """Header and cells."""
    header = ['size', 'Mpx', 'ms', 'spread', 'time per pixel', 'peak MiB', 'more MiB per Mpx']
    return header, [
        [
            f'{row.size[0]} x {row.size[1]}',
            f'{_pixels(row.size) / 1e6:.2f}',
            f'{row.ms:.0f}',
            f'{row.spread:.0%}',
            f'{row.relative_time:.2f}',
            '-' if row.added_mib is None else f'{row.added_mib:.0f}',
            '-' if row.marginal_mib is None else f'{row.marginal_mib:.0f}',
        ]
        for row in rows
    ]


def _pixels(size: Size) -> int:
    return size[0] * size[1]
