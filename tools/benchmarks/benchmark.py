"""Compare the speed and memory of models, at one image size or several.

A candidate is written [SOURCE:]NAME[@OPTION,...]. Sources: mmvsa (if none is given), timm,
mmpretrain, and official, the checkout given by --official; or it is the path of a detector's
config. Options: float32, bfloat16 or float16 (autocast), channels_last, compile, with_cp,
onnxruntime or openvino (export it and run the file), int8 of these, and of mmvsa cells (compile
cell by cell) and backend=NAME. For example:

    python tools/benchmarks/benchmark.py vitaev2-s-vsa vitaev2-s-vsa@bfloat16 \\
        official:ViTAEv2_VSA_S timm:swin_tiny_patch4_window7_224 \\
        --official ../ViTAE-VSA --baseline official:ViTAEv2_VSA_S
    python tools/benchmarks/benchmark.py vitaev2-s-vsa --sizes 224 512 512x1024 --batch-size 1
    python tools/benchmarks/benchmark.py configs/mask_rcnn/mask-rcnn_vitaev2-s_fpn_ms-1x_coco.py \\
        configs/mask_rcnn/mask-rcnn_vitaev2-s_fpn_ms-1x_coco.py@with_cp \\
        --sizes 512 --batch-size 2 --tasks backward

All candidates and sizes are timed interleaved, round by round; a ratio is the median of the
rounds' own ratios. Peak memory is what building and running adds to a process of its own (CPU) or
to the allocator (GPU). "first s" is building, exporting or compiling, and the first call. A
candidate that fails is reported and left out; the status is then 1.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from candidates import TASKS, Workload, parse_candidate
from measure import (
    Call,
    add_arguments,
    check_arguments,
    describe_machine,
    parse_size,
    peak_memory,
    print_table,
    time_interleaved,
    time_record,
    write_record,
)
from torch._inductor.utils import fresh_cache

from mmvsa.utils import usage_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('candidates', nargs='*', default=['vitaev2-s-vsa'])
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=['forward', 'backward'])
    parser.add_argument('--sizes', nargs='+', default=['224'], help='224, or 512x1024 (H x W)')
    parser.add_argument('--no-memory', action='store_true', help='leave peak memory out')
    add_arguments(parser, batch_size=8)
    args = parser.parse_args(argv)
    check_arguments(parser, args)
    args.baseline = args.baseline or args.candidates[0]
    if args.baseline not in args.candidates:
        parser.error(f'the baseline {args.baseline!r} is not one of {args.candidates}')
    try:
        sizes = [parse_size(size) for size in args.sizes]
        candidates = [parse_candidate(text, args.official) for text in args.candidates]
    except ValueError as error:
        parser.error(str(error))
    args.parsed = [(candidate, size) for size in sizes for candidate in candidates]
    return args


class Benchmark:
    """Measures one task of all candidates at all sizes, and remembers what failed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.failed = False
        self.first: dict[tuple, float] = {}

    def run(self, task: str) -> list[dict[str, Any]]:
        """Return a row for every candidate and size that runs."""
        args = self.args
        works: dict[tuple, Workload] = {}
        calls: dict[tuple, Call] = {}
        for candidate, size in args.parsed:
            work = Workload(candidate, task, args.batch_size, size, args.device, args.folder)
            if call := self._try(work):
                works[candidate.label, size], calls[candidate.label, size] = work, call
        times = time_interleaved(
            calls, rounds=args.rounds, iterations=args.iterations, clock=args.clock
        )
        rows = []
        for (label, size), work in works.items():
            found = times[label, size]
            row = {'task': task, 'size': f'{size[0]}x{size[1]}', 'candidate': label}
            row |= time_record(found, args.batch_size, times.get((args.baseline, size)))
            row['first s'] = round(self.first[label, size], 1)
            if len(args.sizes) > 1:
                pixels = args.batch_size * size[0] * size[1]
                row['ms/Mpx'] = round(1e9 * found.median / pixels, 1)
            if not args.no_memory:
                row['peak MiB'] = round(peak_memory(work, args.device))
            rows.append(row)
        return rows

    def _try(self, work: Workload) -> Call | None:
        """Build and run once: what fails must not end the others' measurement."""
        start = time.perf_counter()
        try:
            # What another candidate compiled must not shorten this one's first call.
            with fresh_cache():
                call = work.build()
                call()
        except Exception as error:
            self.failed = True
            reason = f'{type(error).__name__}: {error}'
            print(f'{work.candidate.label} failed and is left out: {reason}', file=sys.stderr)
            return None
        seconds = time.perf_counter() - start
        self.first[work.candidate.label, work.size] = seconds
        print(f'{work.candidate.label}: first call after {seconds:.1f} s', file=sys.stderr)
        return call


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    benchmark = Benchmark(args)
    with usage_errors(), tempfile.TemporaryDirectory() as args.folder:
        rows = [row for task in args.tasks for row in benchmark.run(task)]
    if rows:
        device = describe_machine(args.device)['device']
        print_table(rows, f'batch {args.batch_size}, {device}, baseline {args.baseline}')
    if args.out:
        write_record(args.out, args, rows)
    return 1 if benchmark.failed else 0


if __name__ == '__main__':
    sys.exit(main())
