"""Quantize a classifier to int8 and report how often it still gives the same answer.

    python tools/benchmarks/quantization.py CONFIG CHECKPOINT

onnxruntime quantizes weights and activations of convolutions and products, calibrated on training
images; positions and sampling stay in float32. The held-out images of the config are classified by
the model, by the exported file and by the quantized one, in onnxruntime and in OpenVINO.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmvsa.deployment import FORMATS, export_model
from mmvsa.deployment.formats import INPUT, load_openvino
from mmvsa.models import load_complete
from mmvsa.utils import build_model, load_config, usage_errors

QUANTIZED = ['Conv', 'Gemm', 'MatMul']


def quantize(source: Path, target: Path, batches: Sequence[np.ndarray]) -> None:
    """Write an int8 version of an ONNX file, calibrated on batches of images."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    quantize_static(source, target, Reader(), op_types_to_quantize=QUANTIZED, per_channel=True)


def batches_of(cfg: Any, split: str, model: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield preprocessed images and labels of a split of a config."""
    for data in Runner.build_dataloader(cfg[f'{split}_dataloader']):
        data = model.data_preprocessor(data, False)
        labels = torch.cat([sample.gt_label for sample in data['data_samples']])
        yield data['inputs'].numpy(), labels.numpy()


def compare(cfg: Any, model: nn.Module, calibration: int) -> list[dict[str, Any]]:
    """Return top-1 and agreement with the model of every way to run it, in percent."""
    images = [x for x, _ in itertools.islice(batches_of(cfg, 'train', model), calibration)]
    held_out = list(batches_of(cfg, 'val', model))
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder, 'model.onnx'), Path(folder, 'int8.onnx')
        export_model(model, plain, size=held_out[0][0].shape[2:], dynamic='batch')
        quantize(plain, small, images)
        load = FORMATS['onnx'].load
        runs = {
            'model': lambda x: [model(torch.from_numpy(x)).numpy()],
            'onnxruntime float32': load(plain),
            'onnxruntime int8': load(small),
            'OpenVINO int8': load_openvino(small),
        }
        with torch.no_grad():
            found = {
                name: np.concatenate([run(x)[0].argmax(1) for x, _ in held_out])
                for name, run in runs.items()
            }
        sizes = [file.stat().st_size / 2**20 for file in (plain, plain, small, small)]
    labels = np.concatenate([labels for _, labels in held_out])
    return [
        {
            'run by': name,
            'top-1': round(100 * float((classes == labels).mean()), 2),
            'same answer': round(100 * float((classes == found['model']).mean()), 2),
            'MiB': round(size, 2),
        }
        for (name, classes), size in zip(found.items(), sizes, strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    from measure import print_table

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--calibration', type=int, default=4, help='batches (default: 4)')
    args = parser.parse_args(argv)
    with usage_errors():
        cfg = load_config(args.config)
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        model = build_model(args.config).eval()
        load_complete(model, args.checkpoint)
        rows = compare(cfg, model, args.calibration)
    print_table(rows, f'{Path(args.config).stem}, held-out images')
    return 0


if __name__ == '__main__':
    sys.exit(main())
