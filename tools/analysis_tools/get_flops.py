"""Print parameters and multiply-adds of a model, stage by stage.

A model is a name of `mmvsa.list_models()` or a config file of a classifier, a detector (whose
backbone and neck are counted) or a segmentor:

    python tools/analysis_tools/get_flops.py swin-t-vsa
    python tools/analysis_tools/get_flops.py \\
        configs/upernet/upernet_swin-t-vsa_8xb2-160k_ade20k-512x512.py --shape 512 2048

Convolutions, matrix products, attention and bilinear sampling are counted, a multiply and an add
as one; nothing pointwise. No weights are needed and nothing is computed.
"""

import argparse
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from mmengine.model import revert_sync_batchnorm
from rich import print
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmvsa.ops import set_backend
from mmvsa.utils import build_model, usage_errors


def grid_sample_flops(*_: Any, out_shape: Sequence[int], **__: Any) -> int:
    """Count bilinear sampling: every sampled value is a sum of four weighted ones."""
    return 2 * 4 * prod(out_shape)


# torch's counter knows products, convolutions and attention, which mmengine.analysis leaves out
# (ViTAEv2-S: 5.51e9 there, 5.75e9 here). What it lacks is sampling. 2 per multiply-add, as there.
SAMPLING = {torch.ops.aten.grid_sampler_2d: grid_sample_flops}


class Part(NamedTuple):
    """A part of a model: its name in ``named_modules``, and the work of one forward pass."""

    name: str
    parameters: int
    multiply_adds: int


def count_parts(model: nn.Module, shape: tuple[int, int]) -> list[Part]:
    """Count parameters and multiply-adds of the parts of a model for one image.

    Runs on the meta device: nothing is allocated or computed, whatever the size of the model.

    Args:
        model: moved to the meta device, so of no use afterwards.
        shape: (H, W) of the image.

    Returns:
        The stages or blocks of the backbone, its other parts, the necks and heads; ``(rest)`` for
        what belongs to none of them; ``(whole)``. Of a detector only the backbone and the neck
        run: what its heads compute depends on the image.
    """
    model = revert_sync_batchnorm(model).to('meta').eval()
    if hasattr(model, 'rpn_head') or hasattr(model, 'bbox_head'):
        # Replaces its forward, so that the counter names what runs as parts of the detector.
        model.forward = model.extract_feat  # type: ignore[assignment]
    counter = FlopCounterMode(display=False, custom_mapping=SAMPLING)
    set_backend(model, 'torch')
    with torch.no_grad(), counter:
        model(torch.empty(1, 3, *shape, device='meta'))
    # The counter names modules below the class of the outermost one.
    counts = {
        name.removeprefix(f'{type(model).__name__}.'): sum(by_op.values()) // 2
        for name, by_op in counter.get_flop_counts().items()
    }
    parts = [
        Part(name, _num_parameters(module), _within(counts, name))
        for name, module in _named_parts(model)
    ]
    whole = Part('(whole)', _num_parameters(model), counter.get_total_flops() // 2)
    rest = Part(
        '(rest)',
        whole.parameters - sum(part.parameters for part in parts),
        whole.multiply_adds - sum(part.multiply_adds for part in parts),
    )
    return [*parts, *([rest] if any(rest[1:]) else []), whole]


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _named_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the children that have parameters; of the backbone and of lists, their children."""
    for name, child in model.named_children():
        if name == 'backbone' or isinstance(child, nn.ModuleList):
            yield from ((f'{name}.{inner}', part) for inner, part in _named_parts(child))
        elif _num_parameters(child):
            yield name, child


def _within(counts: dict[str, int], prefix: str) -> int:
    """Return the count of a module or, where its forward is never called, of the modules in it."""
    inside = [name for name in counts if name == prefix or name.startswith(f'{prefix}.')]
    outermost = [n for n in inside if not any(n.startswith(f'{other}.') for other in inside)]
    return sum(counts[name] for name in outermost)


def build(name: str) -> nn.Module:
    """Build the model of a name or of a config without memory for its parameters."""
    with torch.device('meta'):
        return build_model(name)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', metavar='NAME_OR_CONFIG')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        default=(224, 224),
        metavar=('H', 'W'),
        help='height and width of the image (default: 224 224)',
    )
    args = parser.parse_args(argv)
    if min(args.shape) < 1:
        parser.error(f'--shape must be positive, got {args.shape}')
    with usage_errors():
        parts = count_parts(build(args.model), tuple(args.shape))
    table = Table('part', title=args.model)
    for column in ('parameters (M)', 'multiply-adds (G)'):
        table.add_column(column, justify='right')
    for part in parts:
        table.add_row(part.name, f'{part.parameters / 1e6:.3f}', f'{part.multiply_adds / 1e9:.3f}')
    print(table)


if __name__ == '__main__':
    main()
