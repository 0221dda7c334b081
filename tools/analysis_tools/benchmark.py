"""Compare the speed, memory and cost of models, or of the attention module alone.

Contenders are written [SOURCE:]NAME[@OPTION,...]. Sources: ours (none), timm, mmpretrain, and
official, the authors' checkout given by --official. Options: float32, bfloat16 or float16
(autocast), channels_last, compile; of ours with_cp, keep_activations, backend=NAME. For example:

    python tools/analysis_tools/benchmark.py vitaev2-s-vsa vitaev2-s-vsa@bf16 \\
        official:ViTAEv2_VSA_S timm:swin_tiny_patch4_window7_224 \\
        --official ../ViTAE-VSA --baseline official:ViTAEv2_VSA_S --out speed.json
    python tools/analysis_tools/benchmark.py --mode attention --official ../ViTAE-VSA

The contenders take turns, round by round; a ratio is the median of the rounds' own ratios.
GFLOP counts matrix products, convolutions and attention, 2 per multiply-add, backward included;
nothing pointwise, no gathers. The roofline share is the time that the step's operations would
take at this machine's measured matrix-product and copy speeds, each operation limited by one of
them, over the time they took. Peak memory is what the step adds to the process (CPU, measured in
a process of its own) or to the allocator (GPU).
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmvsa.analysis.attention_floors import STAGES, attention_call, build_modules
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
from mmvsa.analysis.machine import Limits, describe_machine, limits_record, measure_limits
from mmvsa.analysis.memory import PeakMemory, peak_memory
from mmvsa.analysis.official import OfficialCodeError
from mmvsa.analysis.op_cost import OpCost
from mmvsa.analysis.report import Result, print_table, write_json, write_plot
from mmvsa.analysis.timing import CLOCKS, Timing, ratios, time_interleaved

Call = Callable[[], object]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('contenders', nargs='*', default=['vitaev2-s-vsa'])
    parser.add_argument('--mode', choices=('model', 'attention'), default='model')
    parser.add_argument('--official', metavar='PATH', help="checkout of the authors' repository")
    parser.add_argument('--baseline', help='contender that ratios refer to (default: the first)')
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=['forward', 'backward'])
    parser.add_argument('--stages', nargs='+', choices=list(STAGES), default=list(STAGES))
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--size', type=int, default=224, help='height and width of the images')
    parser.add_argument('--dtype', choices=list(DTYPES), default='float32')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--backends', nargs='+', default=['auto'], help='of ours, attention mode')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: as torch chooses)')
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='cpu: processor time, for a shared machine; take --threads 1 with it',
    )
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--iterations', type=int, default=1, help='steps per measurement')
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument('--no-memory', action='store_true', help='leave peak memory out')
    parser.add_argument('--out', type=Path, help='JSON file')
    parser.add_argument('--plot', type=Path, help='image file')
    args = parser.parse_args(argv)
    for name in ('batch_size', 'size', 'rounds', 'iterations'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if args.clock == 'cpu' and args.device != 'cpu':
        parser.error('--clock cpu measures nothing on a GPU')
    if args.mode == 'model':
        _parse_contenders(parser, args)
    return args


def _parse_contenders(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    options = dict(channels_last=args.channels_last, compile=args.compile)
    defaults = Contender('mmvsa', '', args.dtype, **options, root=args.official)
    try:
        args.parsed = [parse_contender(text, defaults) for text in args.contenders]
        baseline = parse_contender(args.baseline or args.contenders[0], defaults).label
    except ValueError as error:
        parser.error(str(error))
    labels = [contender.label for contender in args.parsed]
    if baseline not in labels:
        parser.error(f'the baseline {baseline!r} is not one of the contenders {labels}')
    args.baseline = baseline


class Roofline:
    """The machine's limits by dtype, each measured once."""

    def __init__(self, device: torch.device, clock: str) -> None:
        self.device, self.clock = device, clock
        self.limits: dict[str, Limits] = {}
        self.failed: list[str] = []

    def cost(self, call: Call, dtype: str) -> OpCost:
        """Operations of one call, and the time they need at the limits."""
        if dtype not in self.limits:
            self.limits[dtype] = measure_limits(
                self.device, DTYPES[dtype] or torch.float32, clock=CLOCKS[self.clock]
            )
        limits = self.limits[dtype]
        cost = OpCost(limits.flops, limits.bytes)
        with cost:
            call()
        return cost

    def costs(self, calls: Mapping[str, Call], dtypes: Mapping[str, str]) -> dict[str, OpCost]:
        """Cost of every call that runs; what fails is reported and left out."""
        found = {}
        for name, call in calls.items():
            try:
                found[name] = self.cost(call, dtypes[name])
            except Exception as error:  # of any kind: it must not end the others' measurement
                self.failed.append(name)
                print(f'{name} failed and is left out: {type(error).__name__}: {error}')
        return found

    def record(self) -> dict[str, dict[str, float]]:
        return {dtype: limits_record(limits) for dtype, limits in self.limits.items()}


def run_models(args: argparse.Namespace, roofline: Roofline) -> list[Result]:
    """Every task of every contender."""
    device = roofline.device
    contenders = {contender.label: contender for contender in args.parsed}
    models = {label: build_model(c, args.size, device) for label, c in contenders.items()}
    results = []
    for task in args.tasks:
        works = {
            label: Workload(contender, task, args.batch_size, args.size, args.device)
            for label, contender in contenders.items()
        }
        # Cost and memory first: a model that fails should do so before the long part.
        plain = {label: work.bind(_uncompiled(models[label])) for label, work in works.items()}
        costs = roofline.costs(plain, {label: c.dtype for label, c in contenders.items()})
        works = {label: work for label, work in works.items() if label in costs}
        memory = {} if args.no_memory else _memory(works, device)
        timings = _time(args, {label: work.bind(models[label]) for label, work in works.items()})
        results += summarize(task, args.batch_size, timings, args.baseline, costs, memory)
    return results


def _uncompiled(model: nn.Module) -> nn.Module:
    return getattr(model, '_orig_mod', model)


def _memory(works: Mapping[str, Workload], device: torch.device) -> dict[str, PeakMemory]:
    return {
        label: peak_memory(device, build_step, (work,), import_packages)
        for label, work in works.items()
    }


def _time(args: argparse.Namespace, calls: Mapping[str, Call]) -> dict[str, Timing]:
    device = torch.device(args.device)
    return time_interleaved(calls, device, args.rounds, args.iterations, args.warmup, args.clock)


def run_attention(args: argparse.Namespace, roofline: Roofline) -> list[Result]:
    """Every stage and task of the attention module, its floors and the authors' module."""
    device = roofline.device
    args.baseline = args.baseline or ('official' if args.official else 'window-sdpa')
    results = []
    for stage in args.stages:
        modules = build_modules(stage, args.official, args.backends, device)
        if args.baseline not in modules:
            raise SystemExit(f'the baseline {args.baseline!r} is not one of {list(modules)}')
        for task in (task for task in args.tasks if task != 'train'):
            calls = {
                name: attention_call(
                    name, module, stage, task, args.batch_size, DTYPES[args.dtype], device
                )
                for name, module in modules.items()
            }
            costs = roofline.costs(calls, dict.fromkeys(calls, args.dtype))
            timings = _time(args, {name: calls[name] for name in costs})
            label = f'{stage} {task}'
            results += summarize(label, args.batch_size, timings, args.baseline, costs, {})
    return results


def summarize(
    task: str,
    batch: int,
    timings: Mapping[str, Timing],
    baseline: str,
    costs: Mapping[str, OpCost],
    memory: Mapping[str, PeakMemory],
) -> list[Result]:
    """One result per contender; no ratios where the baseline has failed."""
    speedups = ratios(timings, baseline) if baseline in timings else {}
    results = []
    for name, timing in timings.items():
        cost, peak = costs[name], memory.get(name)
        results.append(
            Result(
                name,
                task,
                ms=1e3 * timing.median,
                spread=timing.spread,
                images_per_s=batch / timing.median,
                ratio=speedups.get(name),
                gflop=cost.flops / 1e9,
                gflop_per_s=cost.flops / timing.median / 1e9,
                roofline=cost.seconds / timing.median,
                peak_mib=peak.total if peak else None,
                added_mib=peak.added if peak else None,
                copies=cost.copies,
                rounds_ms=tuple(1e3 * seconds for seconds in timing.rounds),
            )
        )
    return results


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options that a result depends on."""
    keys = ['mode', 'batch_size', 'size', 'dtype', 'rounds', 'iterations', 'warmup', 'clock']
    keys.append('baseline')
    return {key: getattr(args, key) for key in keys}


def main(argv: Sequence[str] | None = None) -> int:
    """Status 1 if a contender failed."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    roofline = Roofline(torch.device(args.device), args.clock)
    try:
        run = run_models if args.mode == 'model' else run_attention
        results = run(args, roofline)
    except OfficialCodeError as error:
        raise SystemExit(f'benchmark: {error}') from None
    machine = describe_machine(roofline.device)
    title = f'batch {args.batch_size}, {machine.get("gpu", machine["cpu"])}, baseline '
    title += str(args.baseline)
    print_table(results, title)
    if args.out:
        record = {'settings': settings(args), 'machine': machine, 'limits': roofline.record()}
        write_json(args.out, results, record)
    if args.plot:
        write_plot(args.plot, results, title)
    return 1 if roofline.failed else 0


if __name__ == '__main__':
    sys.exit(main())
