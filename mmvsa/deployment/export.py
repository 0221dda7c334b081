"""Export a model to a file, run the file, and compare it with the model."""

import copy
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_leaves

from mmvsa.ops import set_backend
from mmvsa.utils.errors import UsageError

from .formats import FORMATS, INPUT, Format, relative_difference

DYNAMIC = ('batch', 'hw')
MAX_DIFFERENCE = 1e-4
MAX_BATCH = 4096


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how near its outputs are to the model's.

    Attributes:
        file: The file.
        version: Of its operations.
        ops: How many of each operation it has.
        outputs: Name and shape of every output; a size that is left open is a name.
        compared: Shapes of the images for which it was run.
        difference: The largest relative difference found.
    """

    file: Path
    version: str
    ops: Counter[str]
    outputs: dict[str, tuple[int | str, ...]]
    compared: list[tuple[int, ...]]
    difference: float


class Tensors(nn.Module):
    """Returns the tensors of a model's output as one tuple.

    Args:
        model: Whose output may be nested in tuples, lists, dicts.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the model on (B, C, H, W) images."""
        # That of mmpose has no default for what comes with the images.
        arguments = (images, None, 'tensor') if isinstance(self.model, BaseModel) else (images,)
        return tuple(out for out in tree_leaves(self.model(*arguments)) if isinstance(out, Tensor))


def export_model(
    model: nn.Module,
    file: str | os.PathLike,
    *,
    format: str = 'onnx',
    size: tuple[int, int] = (224, 224),
    dynamic: str | None = None,
    batch: int = 1,
    channels: int = 3,
) -> ExportReport:
    """Write a model to a file, run the file on random images and compare the outputs.

    Args:
        model: A classifier, a backbone, or what else takes a batch of images and returns tensors;
            its copy is exported, in evaluation mode.
        file: Ends with the suffix of the format.
        format: One of :data:`~mmvsa.deployment.formats.FORMATS`.
        size: (H, W) of the images.
        dynamic: ``'batch'`` leaves the number of images open, ``'hw'`` that, the height and the
            width; without it the file takes ``batch`` images of ``size``.
        batch: Number of images, where it is not left open.
        channels: Of the images.

    Returns:
        What was written.

    Raises:
        UsageError: A package is missing, the model has a part that cannot be exported, or the
            outputs differ by more than :data:`MAX_DIFFERENCE`; nothing is written then.
    """
    file, writer = Path(file), _find_format(format)
    writer.check(file)
    if dynamic not in (None, *DYNAMIC):
        raise UsageError(f'dynamic must be one of {DYNAMIC}, got {dynamic!r}')
    _check_whole(model)
    module = Tensors(set_backend(copy.deepcopy(model).cpu().float().eval(), 'torch'))
    images = torch.randn(2 if dynamic else batch, channels, *size)
    with torch.no_grad(), _quiet():
        program = _capture(module, images, dynamic)
        shapes = _shapes(program)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            part = Path(folder, file.name)
            writer.write(program, list(shapes), part)
            compared = _compared_shapes(tuple(images.shape), dynamic)
            try:
                difference = _compare(module, writer, part, compared)
            except (AssertionError, RuntimeError) as error:
                # torch checks the sizes that it has assumed when the program runs.
                reason = str(error).splitlines()[0]
                raise UsageError(
                    f'the file does not run for images of {compared} ({reason}): leave --dynamic '
                    'out or choose a larger --size, of two windows or more on every map'
                ) from error
            version, ops = writer.describe(part)
            for written in Path(folder).iterdir():
                shutil.move(written, file.parent / written.name)
    return ExportReport(file, version, ops, shapes, compared, difference)


def _find_format(name: str) -> Format:
    if name not in FORMATS:
        raise UsageError(f'unknown format {name!r}; choose one of {list(FORMATS)}')
    return FORMATS[name]


def _check_whole(model: nn.Module) -> None:
    """Raise UsageError for a model whose graph depends on what it finds in the image."""
    if hasattr(model, 'rpn_head') or hasattr(model, 'roi_head'):
        raise UsageError(
            f'a {type(model).__name__} chooses boxes while it runs, which no graph of one shape '
            'holds: export its backbone (--features), or the whole detector with mmdeploy'
        )


def _capture(module: nn.Module, images: Tensor, dynamic: str | None) -> ExportedProgram:
    """Capture the graph of a forward pass.

    Raises:
        UsageError: Sizes that were to stay open were fixed.
    """
    spec: dict[int, Any] = {}
    if dynamic:
        spec[0] = Dim('batch', min=1, max=MAX_BATCH)
    if dynamic == 'hw':
        # The exporter finds the smallest size: where a map is a single window, it is another graph.
        spec |= {2: Dim.AUTO, 3: Dim.AUTO}
    # Sizes are compared as if one and zero were nothing special, and a map that is padded as if it
    # were no different from one that is not: the graph holds for both.
    oblivious = torch.fx.experimental._config.patch  # type: ignore[attr-defined]
    with oblivious(backed_size_oblivious=dynamic == 'hw'):
        program = torch.export.export(
            module,
            (images,),
            dynamic_shapes=(spec,),
            strict=False,
            # What cannot be proven for any size is checked when the program runs.
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    (value,) = (n.meta['val'] for n in program.graph.nodes if n.name == INPUT)
    fixed = [i for i in spec if isinstance(value.shape[i], int)]
    if fixed:
        raise UsageError(
            f'the exporter fixed axis {fixed[0]} to {value.shape[fixed[0]]}: leave --dynamic out '
            'or choose a larger --size, of two windows or more on every map'
        )
    return program


def _shapes(program: ExportedProgram) -> dict[str, tuple[int | str, ...]]:
    """Return the shape of every output by name: output, or output_0, output_1, ..."""
    nodes = {node.name: node for node in program.graph.nodes}
    values = [nodes[name].meta['val'] for name in program.graph_signature.user_outputs]
    shapes = [tuple(n if isinstance(n, int) else str(n) for n in v.shape) for v in values]
    names = ['output'] if len(shapes) == 1 else [f'output_{i}' for i in range(len(shapes))]
    return dict(zip(names, shapes, strict=True))


def _compared_shapes(shape: tuple[int, ...], dynamic: str | None) -> list[tuple[int, ...]]:
    """Return the shapes to run: that of the export, and others where sizes are open."""
    batch, channels, height, width = shape
    if dynamic == 'batch':
        return [shape, (batch + 1, *shape[1:])]
    if dynamic == 'hw':
        return [shape, (batch - 1, channels, height + height // 4 + 1, width + width // 2 + 2)]
    return [shape]


def _compare(module: nn.Module, writer: Format, file: Path, shapes: list[tuple[int, ...]]) -> float:
    """Return the largest relative difference between the outputs of a file and of the model.

    Raises:
        UsageError: It is larger than :data:`MAX_DIFFERENCE`.
    """
    run = writer.load(file)
    generator = np.random.default_rng(0)
    differences = []
    for shape in shapes:
        images = generator.standard_normal(shape, np.float32)
        expected = [out.numpy() for out in module(torch.from_numpy(images))]
        differences.append(relative_difference(run(images), expected))
    if max(differences) > MAX_DIFFERENCE:
        raise UsageError(
            f'{file.name} is wrong by {max(differences):.1e} of the largest output, more than '
            f'{MAX_DIFFERENCE:.0e}, and was not kept; try another --format'
        )
    return max(differences)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' remarks on their own work."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
