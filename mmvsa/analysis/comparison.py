"""What detectors and segmentors find of objects by their size, and how far their windows moved.

A size is that of the box: the square root of its area, in pixels. COCO's own classes go by the
area of the mask, where a thin stroke of 90 pixels is small.
"""

import contextlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

SIZES: Mapping[str, tuple[float, float]] = {
    'small': (0.0, 24.0),
    'medium': (24.0, 56.0),
    'large': (56.0, 1e5),
}


def precision_by_size(annotations: Path, results: Path, kind: str = 'bbox') -> dict[str, float]:
    """COCO's average precision over IoU 0.5 ... 0.95, of all objects and by size.

    Args:
        annotations: COCO JSON of the ground truth.
        results: COCO JSON with the boxes (and masks) found, as mmdet's ``CocoMetric`` writes it.
        kind: ``'bbox'`` or ``'segm'``.

    Returns:
        ``all`` and the names of :data:`SIZES`; NaN where there is no such object.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found = json.loads(Path(results).read_text())
    if not found:  # pycocotools cannot load an empty list
        return dict.fromkeys(('all', *SIZES), 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        for annotation in truth.dataset['annotations']:
            annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3]
        evaluation = COCOeval(truth, truth.loadRes(found), kind)
        evaluation.params.areaRngLbl = ['all', *SIZES]
        evaluation.params.areaRng = [
            (0, 1e10),
            *((low**2, high**2) for low, high in SIZES.values()),
        ]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision']  # (IoU, recall, class, size, number of detections)
    return {
        name: _mean(precision[..., index, -1])
        for index, name in enumerate(evaluation.params.areaRngLbl)
    }


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]  # classes without an object of this size
    return float(values.mean()) if values.size else float('nan')


def recall_by_size(annotations: Path, predictions: Path) -> dict[str, float]:
    """Share of the objects' visible pixels that got the object's class, in all and by size.

    Args:
        annotations: COCO JSON whose class ``c`` is the value ``c + 1`` of the maps.
        predictions: folder of PNG maps, as mmseg's ``IoUMetric(output_dir=...)`` writes them.

    Returns:
        ``all`` and the names of :data:`SIZES`; NaN where there is no such object.
    """
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
    right, total = dict.fromkeys(SIZES, 0), dict.fromkeys(SIZES, 0)
    for image in truth.dataset['images']:
        path = Path(predictions) / Path(image['file_name']).with_suffix('.png').name
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise FileNotFoundError(f'no predicted map at {path}')
        for annotation in truth.imgToAnns[image['id']]:
            size = size_class(annotation['bbox'])
            mask = truth.annToMask(annotation).astype(bool)
            right[size] += int((labels[mask] == annotation['category_id'] + 1).sum())
            total[size] += int(mask.sum())
    shares = {'all': _share(sum(right.values()), sum(total.values()))}
    return shares | {name: _share(right[name], total[name]) for name in SIZES}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')


def size_class(box: Iterable[float]) -> str:
    """Name in :data:`SIZES` of a box (x, y, width, height)."""
    _, _, width, height = box
    size = (width * height) ** 0.5
    return next(name for name, (low, high) in SIZES.items() if low <= size < high)


@torch.no_grad()
def window_motion(model: nn.Module, images: Iterable[Tensor]) -> dict[str, dict[str, float]]:
    """How far the windows of each attention module have moved from the fixed ones, and grown.

    Args:
        model: takes an image (1, 3, H, W), normalised.
        images: such images.

    Returns:
        Module name -> ``shift``, the mean distance between the centres in windows' sides, and
        ``scale``, the mean ratio of the sides (geometric), and ``spread``, the standard deviation
        of that ratio's logarithm. Empty for a model with fixed windows.
    """
    from mmvsa.visualization import collect_windows

    shifts: dict[str, list[np.ndarray]] = {}
    scales: dict[str, list[np.ndarray]] = {}
    for image in images:
        for layer in collect_windows(model, image):
            shift = (layer.points.mean(axis=3) - layer.fixed.mean(axis=3)) / layer.window_size
            # The points of a window spread with its sides.
            scale = layer.points.std(axis=3) / layer.fixed.std(axis=3)
            shifts.setdefault(layer.name, []).append(np.linalg.norm(shift, axis=-1).ravel())
            scales.setdefault(layer.name, []).append(np.log(np.maximum(scale, 1e-3)).ravel())
    return {name: _motion(shifts[name], scales[name]) for name in shifts}


def _motion(shifts: list[np.ndarray], scales: list[np.ndarray]) -> dict[str, float]:
    shift, scale = np.concatenate(shifts), np.concatenate(scales)
    return {
        'shift': float(shift.mean()),
        'scale': float(np.exp(scale.mean())),
        'spread': float(scale.std()),
    }


def summarise(runs: Iterable[Mapping[str, Any]], key: str) -> dict[str, tuple[float, float, int]]:
    """Name -> (mean, standard deviation, number) of ``run[key][name]`` over runs."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run[key].items():
            values.setdefault(name, []).append(value)
    return {
        name: (
            float(np.mean(many)),
            float(np.std(many, ddof=1)) if len(many) > 1 else 0.0,
            len(many),
        )
        for name, many in values.items()
    }
