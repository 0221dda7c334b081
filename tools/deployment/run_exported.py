"""Classify an image with an exported file; needs numpy, Pillow and the runtime, not mmvsa.

    python run_exported.py model.onnx image.jpg [SIZE]

SIZE is that of the export, 224 by default. A .xml file runs in OpenVINO, a .pt2 file in torch.
"""

import sys

import numpy as np
from PIL import Image

SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 224
MEAN, STD = np.array([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]], np.float32)


def read(path: str) -> np.ndarray:
    pixels = Image.open(path).convert('RGB').resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return ((np.asarray(pixels) - MEAN) / STD).transpose(2, 0, 1)[None]


def run(file: str, images: np.ndarray) -> np.ndarray:
    if file.endswith('.xml'):
        import openvino

        return openvino.compile_model(file, 'CPU')(images)[0]
    if file.endswith('.pt2'):
        import torch

        return torch.export.load(file).module()(torch.from_numpy(images))[0].detach().numpy()
    import onnxruntime

    return onnxruntime.InferenceSession(file).run(None, {'images': images})[0]


scores = run(sys.argv[1], read(sys.argv[2]))[0]
for index in np.argsort(-scores)[:5]:
    print(f'class {index}: {scores[index]:.4f}')
