"""The formats of exported files: how one is written, run and described."""

import importlib.util
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from mmvsa.utils.errors import UsageError

OPSET = 20  # the first of ONNX whose GridSample is that of PyTorch; 18 has none of maps alone
INPUT = 'images'
# A file of protocol buffers holds less than 2 GiB; the weights of larger models go next to it.
MAX_INLINE_BYTES = 1.8e9

Run = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    Attributes:
        name: What users call it.
        suffix: Of its files.
        packages: What must be installed, by the names that are imported.
        write: (program, names of the outputs, file) writes the file.
        load: Returns what runs a file on (B, C, H, W) float32 images, on the CPU in float32.
        describe: Returns the version of the operations of a file, and how many of each it has.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportedProgram, Sequence[str], Path], None]
    load: Callable[[Path], Run]
    describe: Callable[[Path], tuple[str, Counter[str]]]

    def check(self, file: Path) -> None:
        """Raise UsageError where a package is missing or the file has another suffix."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise UsageError(
                f'format {self.name} needs {", ".join(missing)}, which is not installed; run '
                f"pip install 'mmvsa[export]', or pip install {' '.join(missing)}"
            )
        if file.suffix != self.suffix:
            raise UsageError(f'a file of format {self.name} ends with {self.suffix}, got {file}')


def _write_onnx(program: ExportedProgram, outputs: Sequence[str], file: Path) -> None:
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    torch.onnx.export(
        program,
        (),
        file,
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(outputs),
        external_data=size > MAX_INLINE_BYTES,
        verbose=False,
    )


def _load_onnx(file: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])
    return lambda images: session.run(None, {INPUT: images})


def _describe_onnx(file: Path) -> tuple[str, Counter[str]]:
    import onnx

    model = onnx.load(file, load_external_data=False)
    versions = {entry.domain or 'ONNX': entry.version for entry in model.opset_import}
    ops = Counter('::'.join(filter(None, (n.domain, n.op_type))) for n in model.graph.node)
    return f'opset {versions["ONNX"]}', ops


def _write_openvino(program: ExportedProgram, outputs: Sequence[str], file: Path) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'model.onnx')
        _write_onnx(program, outputs, source)
        openvino.save_model(openvino.convert_model(source), file, compress_to_fp16=False)


def load_openvino(file: Path, precision: str = 'f32') -> Run:
    """Return what runs a file; ``precision`` is one of OpenVINO, ``'f32'`` or ``'bf16'``."""
    import openvino

    # Without a hint, a CPU with bfloat16 instructions computes in bfloat16.
    config: dict[str, Any] = {
        'INFERENCE_PRECISION_HINT': precision,
        'INFERENCE_NUM_THREADS': torch.get_num_threads(),
    }
    model = openvino.Core().compile_model(openvino.Core().read_model(file), 'CPU', config)
    return lambda images: list(model(images).to_tuple())


def _describe_openvino(file: Path) -> tuple[str, Counter[str]]:
    import openvino

    ops = openvino.Core().read_model(file).get_ops()
    sets = {op.get_type_info().version_id for op in ops}
    newest = max(sets, key=lambda name: int(name.removeprefix('opset') or 0) if name else 0)
    return newest, Counter(op.get_type_name() for op in ops)


def _write_torch(program: ExportedProgram, outputs: Sequence[str], file: Path) -> None:
    torch.export.save(program, file)


def _load_torch(file: Path) -> Run:
    module = torch.export.load(file).module()

    def run(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [output.numpy() for output in module(torch.from_numpy(images))]

    return run


def _describe_torch(file: Path) -> tuple[str, Counter[str]]:
    # Regions without autocast are graphs inside the graph.
    graphs = torch.export.load(file).graph_module.modules()
    nodes = (n for g in graphs if isinstance(g, torch.fx.GraphModule) for n in g.graph.nodes)
    ops = (n.target for n in nodes if n.op == 'call_function')
    return f'torch {torch.__version__}', Counter(str(op) for op in ops)


FORMATS = {
    found.name: found
    for found in (
        Format(
            'onnx',
            '.onnx',
            ('onnx', 'onnxscript', 'onnxruntime'),
            _write_onnx,
            _load_onnx,
            _describe_onnx,
        ),
        Format(
            'openvino',
            '.xml',
            ('openvino', 'onnx', 'onnxscript'),
            _write_openvino,
            load_openvino,
            _describe_openvino,
        ),
        Format('torch', '.pt2', (), _write_torch, _load_torch, _describe_torch),
    )
}


def relative_difference(outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference over the largest value, of the output where that is largest.

    Not-a-number on either side is an infinite difference.

    Raises:
        ValueError: Another number of outputs, or other shapes.
    """
    shapes, wanted = ([tuple(value.shape) for value in side] for side in (outputs, expected))
    if shapes != wanted:
        raise ValueError(f'the outputs have the shapes {shapes}, the model has {wanted}')
    differences = (
        float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(np.float32).tiny))
        for a, b in zip(outputs, expected, strict=True)
    )
    return max(value if math.isfinite(value) else math.inf for value in differences)
