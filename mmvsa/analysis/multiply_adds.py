"""Parameters and multiply-adds of models, part by part, without running their arithmetic.

What is counted: convolutions, matrix products, attention, and bilinear sampling, 4 multiply-adds
for every sampled value. Pointwise work, norms, pooling and softmax are not, as usual. The tables
of the papers and of OpenMMLab call multiply-adds FLOPs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmvsa.ops import mmcv_sampling, triton_attention  # noqa: F401, they define the ops below
from mmvsa.ops.backends import use_backend

from .op_cost import EXTRA_FLOPS

aten = torch.ops.aten

# Rows that a sample by each of grid_sampler's interpolations is the weighted sum of.
_TAPS = {0: 4, 1: 0, 2: 16}  # bilinear, nearest, bicubic


def _grid_sample_flops(
    image: Sequence[int],
    grid: Sequence[int],
    interpolation: int,
    *_: Any,
    out_shape: Sequence[int],
    **__: Any,
) -> int:
    return 2 * _TAPS[interpolation] * prod(out_shape)


def _embedding_bag_flops(
    table: Sequence[int], indices: Sequence[int], *args: Any, **kwargs: Any
) -> int:
    """A weighted sum of rows, which is how the torch backend samples."""
    weights = kwargs.get('per_sample_weights', args[4] if len(args) > 4 else None)
    return 0 if weights is None else 2 * prod(indices) * table[1]


def _deform_sample_flops(*_: Any, out_shape: Sequence[int], **__: Any) -> int:
    """mmcv's deformable attention with one level, one point and weight 1."""
    return 2 * 4 * prod(out_shape)


def _varied_attention_flops(
    q: Sequence[int], kv: Sequence[int], points: Sequence[int], *_: Any, **__: Any
) -> int:
    """The Triton kernel: sampling, q k^T and the product with v."""
    batch, rows, columns, heads, count, _two = points
    samples = batch * rows * columns * heads * count
    return 2 * samples * (4 * kv[-1] + 2 * count * q[-1])


# Sampling beside what torch's counter knows, 2 per multiply-add as there.
SAMPLING_FLOPS: dict[Any, Callable[..., int]] = {
    aten.grid_sampler_2d: _grid_sample_flops,
    aten._embedding_bag: _embedding_bag_flops,
    aten._embedding_bag_forward_only: _embedding_bag_flops,
    torch.ops.mmvsa.deform_sample: _deform_sample_flops,
    torch.ops.mmvsa.varied_attention: _varied_attention_flops,
}


@dataclass(frozen=True)
class Part:
    """A part of a model, or the whole.

    Attributes:
        name: as in ``named_modules``.
        parameters: their number.
        multiply_adds: of one forward pass.
    """

    name: str
    parameters: int
    multiply_adds: int


def count_multiply_adds(function: Callable[[], object]) -> int:
    """Multiply-adds of a call."""
    counter = _counter()
    with counter:
        function()
    return counter.get_total_flops() // 2


def _counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping={**EXTRA_FLOPS, **SAMPLING_FLOPS})


def count_parts(model: nn.Module, shape: tuple[int, int]) -> list[Part]:
    """The parts of a model for one image, the whole last.

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
    if _is_detector(model):
        # In place of its forward, so that the counter names what runs as parts of the detector.
        model.forward = model.extract_feat  # type: ignore[assignment]
    with torch.no_grad(), use_backend('torch'), _counter() as counter:
        model(torch.empty(1, 3, *shape, device='meta'))
    # The tracker names modules below the class of the outermost.
    counts = {
        name.removeprefix(f'{type(model).__name__}.'): sum(by_op.values()) // 2
        for name, by_op in counter.get_flop_counts().items()
    }
    parts = [
        Part(name, _num_parameters(module), _within(counts, name))
        for name, module in _named_parts(model)
    ]
    whole = Part('(whole)', _num_parameters(model), counter.get_total_flops() // 2)
    return [*parts, *_rest(parts, whole), whole]


def _is_detector(model: nn.Module) -> bool:
    return hasattr(model, 'rpn_head') or hasattr(model, 'bbox_head')


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _named_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Children with parameters; the backbone's one by one, and what its lists hold."""
    for name, child in model.named_children():
        inner = _list_items(child, 'backbone.') if name == 'backbone' else [(name, child)]
        yield from ((n, m) for n, m in inner if _num_parameters(m))


def _list_items(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((f'{prefix}{name}.{index}', item) for index, item in enumerate(child))
        else:
            yield f'{prefix}{name}', child


def _within(counts: Mapping[str, int], prefix: str) -> int:
    """Count of a module; where its own forward is never called, of the modules in it."""
    inside = [name for name in counts if name == prefix or name.startswith(f'{prefix}.')]
    outermost = [n for n in inside if not any(n.startswith(f'{other}.') for other in inside)]
    return sum(counts[name] for name in outermost)


def _rest(parts: Sequence[Part], whole: Part) -> list[Part]:
    parameters = whole.parameters - sum(part.parameters for part in parts)
    multiply_adds = whole.multiply_adds - sum(part.multiply_adds for part in parts)
    return [Part('(rest)', parameters, multiply_adds)] if parameters or multiply_adds else []


def format_parts(parts: Sequence[Part]) -> str:
    """A table with millions of parameters and 1e9 multiply-adds."""
    width = max(len(part.name) for part in parts)
    lines = [f'{"part":<{width}}  {"parameters (M)":>14}  {"multiply-adds (G)":>17}']
    lines += [
        f'{part.name:<{width}}  {part.parameters / 1e6:>14.3f}  {part.multiply_adds / 1e9:>17.3f}'
        for part in parts
    ]
    return '\n'.join(lines)
