"""Compile a model cell by cell: cells of one shape share what is compiled."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

from torch import nn

from mmvsa.models.backbones import Backbone


def compile_cells(model: nn.Module, **options: Any) -> nn.Module:
    """Compile the repeated cells of the backbone instead of the whole model, and return the model.

    The blocks of a stage differ in their weights alone, so that the first of them is compiled and
    the others use the result. Cells that occur once, and what lies between cells, run as before.

    Args:
        model: A backbone, or a model with a ``backbone``; changed in place.
        options: Those of :func:`torch.compile`.

    Raises:
        TypeError: There is no backbone of mmvsa in it.
    """
    backbone = getattr(model, 'backbone', model)
    if not isinstance(backbone, Backbone):
        raise TypeError(f'compile_cells takes a model of mmvsa, got {type(backbone).__name__}')
    cells = backbone.layer_modules()
    counts = Counter(map(_kind, cells))
    for cell in cells:
        if counts[_kind(cell)] > 1:
            # Without `dynamic=False` the second stage would be compiled for maps of any size,
            # slower.
            cell.compile(**{'dynamic': False, **options})
    return model


def _kind(cell: nn.Module) -> Hashable:
    """Return what cells that share a compilation have in common."""
    return type(cell), tuple((name, value.shape) for name, value in cell.state_dict().items())
