"""Measure how time and memory of a model grow with the image, square or oblong.

    python tools/analysis_tools/scaling.py vitaev2-s-vsa --clock cpu --threads 1

The sizes take turns, round by round. Time per pixel is relative to the first size: 1.00 is linear.
Peak memory is what a task adds to the process (CPU, measured in a process of its own) or to the
allocator (GPU); the last column is its growth beyond the smallest size, without the fixed costs.
A contender is written as for benchmark.py.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mmvsa.analysis.contenders import (
    DTYPES,
    TASKS,
    Contender,
    Workload,
    build_model,
    build_step,
    import_packages,
    parse_contender,
)
from mmvsa.analysis.machine import describe_machine
from mmvsa.analysis.memory import peak_memory
from mmvsa.analysis.report import print_rows, write_record
from mmvsa.analysis.scaling import SizeCost, parse_size, size_costs, table
from mmvsa.analysis.timing import CLOCKS, time_interleaved

SIZES = ('224', '384', '512', '768', '1024', '224x448', '384x768', '512x1024')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('contender', nargs='?', default='vitaev2-s-vsa')
    parser.add_argument('--sizes', nargs='+', default=list(SIZES), help='224, or 512x1024 (H x W)')
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=['forward', 'backward'])
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--dtype', choices=list(DTYPES), default='float32')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: as torch chooses)')
    parser.add_argument('--clock', choices=list(CLOCKS), default='wall')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--warmup', type=int, default=1)
    parser.add_argument('--no-memory', action='store_true', help='leave peak memory out')
    parser.add_argument('--out', type=Path, help='JSON file')
    args = parser.parse_args(argv)
    if min(args.batch_size, args.rounds) < 1:
        parser.error('--batch-size and --rounds must be at least 1')
    if args.clock == 'cpu' and args.device != 'cpu':
        parser.error('--clock cpu measures nothing on a GPU')
    try:
        args.sizes = [parse_size(text) for text in args.sizes]
        args.contender = parse_contender(args.contender, Contender('mmvsa', '', args.dtype))
    except ValueError as error:
        parser.error(str(error))
    return args


def measure(args: argparse.Namespace, task: str) -> list[SizeCost]:
    """Every size in one task."""
    device = torch.device(args.device)
    works = {
        size: Workload(args.contender, task, args.batch_size, size, args.device)
        for size in args.sizes
    }
    memory = {}
    if not args.no_memory:
        memory = {
            size: peak_memory(device, build_step, (work,), import_packages)
            for size, work in works.items()
        }
    model = build_model(args.contender, args.sizes[0], device)
    calls = {size: work.bind(model) for size, work in works.items()}
    timings = time_interleaved(calls, device, args.rounds, warmup=args.warmup, clock=args.clock)
    return size_costs(timings, memory, args.batch_size)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    machine = describe_machine(torch.device(args.device))
    name = machine.get('gpu', machine['cpu'])
    record: dict = {'contender': args.contender.label, 'batch': args.batch_size}
    for task in args.tasks:
        rows = measure(args, task)
        print_rows(*table(rows), f'{args.contender.label} {task}, batch {args.batch_size}, {name}')
        record[task] = [asdict(row) for row in rows]
    if args.out:
        write_record(args.out, {**record, 'machine': machine})
    return 0


if __name__ == '__main__':
    sys.exit(main())
