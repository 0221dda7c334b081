"""Compare the attention module alone with lower bounds and with the official code.

    python tools/benchmarks/benchmark_attention.py --official ../ViTAE-VSA

On maps of the first three stages of ViTAEv2-S-VSA at 224 pixels: `vsa` (once for each of
--backends), `window` (fixed windows), and two lower bounds, `products` (softmax(q k^T) v of windows
that lie ready in memory) and `linear` (the projections of q, k, v and of the output).
"""

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from measure import (
    DTYPES,
    Call,
    add_arguments,
    check_arguments,
    describe_machine,
    print_table,
    time_interleaved,
    time_record,
    write_record,
)
from official import build_official_attention, move_to
from torch import Tensor, nn

from mmvsa.models.layers import SampledWindowAttention, WindowAttention
from mmvsa.ops import check_backend, set_backend

WINDOW = 7
# (H, W, C, heads)
STAGES = {'56x56x64': (56, 56, 64, 2), '28x28x128': (28, 28, 128, 4), '14x14x256': (14, 14, 256, 8)}


class Products(nn.Module):
    """Attention of windows that lie ready in memory: no projection, no bias."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, H, W, C) as if it were the windows; return as many elements."""
        q = x.view(-1, WINDOW**2, self.heads, x.shape[-1] // self.heads).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q, q)


class Linear(nn.Module):
    """The projections of q, k, v and of the output."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(dims, 3 * dims), nn.Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        return self.proj(sum(self.qkv(x).chunk(3, -1)))  # each of them gets a gradient


def build_modules(stage: str, root: str | None, backends: Sequence[str]) -> dict[str, nn.Module]:
    """Build name -> module; all but the official one take (B, H, W, C)."""
    height, width, dims, heads = STAGES[stage]
    torch.manual_seed(0)
    modules: dict[str, nn.Module] = {}
    for backend in backends:
        attention = SampledWindowAttention(dims, heads, WINDOW)
        attention.transform.regressor.reset_parameters()  # a fresh one samples whole pixels
        set_backend(attention, backend)
        modules['vsa' if len(backends) == 1 else f'vsa-{backend}'] = attention
    modules['window'] = WindowAttention(dims, heads, WINDOW)
    modules |= {'products': Products(heads), 'linear': Linear(dims)}
    if root is not None:
        modules['official'] = build_official_attention(
            root, dims, heads, window=WINDOW, size=(height, width)
        )
    return modules


def run_once(module: nn.Module, x: Tensor, task: str, dtype: torch.dtype | None) -> None:
    """Run a module forward, or forward and backward."""
    with (
        torch.set_grad_enabled(task == 'backward'),
        torch.autocast(x.device.type, dtype, enabled=dtype is not None),
    ):
        out = module(x)
    if task == 'backward':
        x.grad = None
        module.zero_grad(set_to_none=True)
        out.float().sum().backward()


def run_stage(stage: str, task: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for every module."""
    height, width, dims, _ = STAGES[stage]
    calls: dict[str, Call] = {}
    for name, module in build_modules(stage, args.official, args.backends).items():
        # The official module works on NCHW maps; each one is measured on its own layout.
        layout = (dims, height, width) if name == 'official' else (height, width, dims)
        x = torch.randn(args.batch_size, *layout, device=args.device, requires_grad=True)
        module = move_to(module, args.device)
        calls[name] = functools.partial(run_once, module, x, task, DTYPES[args.dtype])
    times = time_interleaved(
        calls, rounds=args.rounds, iterations=args.iterations, clock=args.clock
    )
    return [
        {'map': stage, 'task': task, 'candidate': name}
        | time_record(found, args.batch_size, times[args.baseline])
        for name, found in times.items()
    ]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--stages', nargs='+', choices=list(STAGES), default=list(STAGES))
    parser.add_argument(
        '--tasks',
        nargs='+',
        choices=('forward', 'backward'),
        default=['forward', 'backward'],
    )
    parser.add_argument('--backends', nargs='+', default=['auto'])
    parser.add_argument('--dtype', choices=list(DTYPES), default='float32')
    add_arguments(parser, batch_size=8)
    args = parser.parse_args(argv)
    check_arguments(parser, args)
    args.baseline = args.baseline or ('official' if args.official else 'window')
    try:
        for name in args.backends:
            check_backend(name)
        names = list(build_modules(args.stages[0], args.official, args.backends))
    except ValueError as error:
        parser.error(str(error))
    if args.baseline not in names:
        parser.error(f'the baseline {args.baseline!r} is not one of {names}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    rows = [
        row for stage in args.stages for task in args.tasks for row in run_stage(stage, task, args)
    ]
    device = describe_machine(args.device)['device']
    print_table(rows, f'batch {args.batch_size}, {args.dtype}, {device}, baseline {args.baseline}')
    if args.out:
        write_record(args.out, args, rows)
    return 0


if __name__ == '__main__':
    sys.exit(main())
