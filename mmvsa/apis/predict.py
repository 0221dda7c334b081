"""Predictions and features of images in files: what ``tools/image_demo.py`` does, in Python."""

import copy
import json
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from rich.progress import Progress

from mmvsa.datasets import DatasetError
from mmvsa.datasets.images import read_image, write_image
from mmvsa.models import load_pretrained
from mmvsa.registry import MODELS
from mmvsa.utils import UsageError, load_config
from mmvsa.utils.files import whole_file
from mmvsa.utils.images import check_outputs, find_images, output_stems
from mmvsa.utils.work_dir import check_checkpoint

from .predictors import Prediction, Predictor, build_predictor

PathLike = str | os.PathLike


def inference(
    inputs: PathLike | Sequence[PathLike],
    config: PathLike | Config,
    checkpoint: PathLike,
    *,
    out_dir: PathLike | None = None,
    device: str | None = None,
    batch_size: int = 1,
    progress: bool = False,
) -> dict[str, Any]:
    """Predict images with a classifier, detector, segmentor, pose estimator or oriented detector.

    Args:
        inputs: A file, a folder, a glob, or a list of these.
        config: Of mmpretrain, mmdet, mmrotate, mmseg or mmpose.
        checkpoint: Of mmvsa or of an official implementation, of the whole model.
        out_dir: Where ``predictions.json``, ``pictures/`` and, of a segmentor, ``maps/`` are
            written; nothing is by default.
        device: A GPU where there is one by default.
        batch_size: Images per forward pass; mmpose takes one at a time.
        progress: Show a progress bar.

    Returns:
        What ``predictions.json`` has: ``task``, ``config``, ``checkpoint``, ``classes``, ``images``
        (a dict for each image), and ``skipped``: ``image`` and ``reason`` of files that could not
        be read.

    Raises:
        UsageError: There is no such image, config or device, or no image could be read.
        mmvsa.models.CheckpointError: The file is unreadable, another model's, or incomplete.
    """
    paths = find_images(inputs)
    check_checkpoint(os.fsdecode(checkpoint))
    predictor = build_predictor(config, device).load(checkpoint)
    writer = _Writer(paths, Path(out_dir)) if out_dir is not None else None
    report: dict[str, Any] = dict(
        task=predictor.task,
        config=str(predictor.cfg.filename),
        checkpoint=os.fsdecode(checkpoint),
        classes=list(predictor.classes),
        images=[],
        skipped=[],
    )
    for batch, images in _read_batches(paths, batch_size, report['skipped'], progress):
        for path, prediction in zip(batch, predictor(images), strict=True):
            files = writer.write(path, prediction) if writer else {}
            report['images'].append(dict(image=str(path), **files, **prediction.result))
    _require_some(report['images'], report['skipped'])
    if writer:
        writer.write_report(report)
    return report


def extract_features(
    inputs: PathLike | Sequence[PathLike],
    config: PathLike | Config,
    checkpoint: PathLike | None = None,
    *,
    levels: Sequence[int] | None = None,
    out_dir: PathLike | None = None,
    device: str | None = None,
    batch_size: int = 1,
    progress: bool = False,
) -> dict[str, Any]:
    """Extract the maps of a model's backbone, level by level.

    Args:
        inputs: A file, a folder, a glob, or a list of these; files that are no images are left out.
        config: As for :func:`inference`; images pass its test pipeline.
        checkpoint: Of the model or of its backbone alone; None keeps random weights.
        levels: The backbone's ``out_indices``; all stages by default.
        out_dir: Where a ``.npz`` file of each image is written; by default nothing is, and the
            maps are kept in memory.
        device: A GPU where there is one by default.
        batch_size: Images per forward pass; they must come out of the pipeline in one size.
        progress: Show a progress bar.

    Returns:
        Path of an image -> name of a level (``'level0'``) -> (C, H, W) float32; with ``out_dir``,
        path of an image -> path of its ``.npz`` file, which has the levels by name.

    Raises:
        UsageError: There is no such image, config or device, or no image could be read.
        ValueError: The backbone has no such level.
        mmvsa.models.CheckpointError: The file is unreadable or another model's.
    """
    paths = find_images(inputs)
    predictor = build_predictor(_with_levels(config, levels), device)
    backbone = predictor.model.backbone
    if checkpoint is not None:
        load_pretrained(backbone, checkpoint)
    stems = dict(zip(paths, output_stems(paths), strict=True))
    features: dict[str, Any] = {}
    skipped: list[dict[str, str]] = []
    for batch, images in _read_batches(paths, batch_size, skipped, progress):
        with torch.no_grad():
            maps = backbone(predictor.model_inputs(images))
        # A pyramid has more maps than the stages it is made from.
        numbers = backbone.out_indices if len(maps) == len(backbone.out_indices) else count()
        arrays = {f'level{n}': x.float().cpu().numpy() for n, x in zip(numbers, maps, strict=False)}
        for row, path in enumerate(batch):
            of_image = {name: array[row] for name, array in arrays.items()}
            target = Path(out_dir, f'{stems[path]}.npz') if out_dir is not None else None
            features[str(path)] = _save(target, of_image) if target else of_image
    _require_some(features, skipped)
    return features


def _save(target: Path, arrays: dict[str, np.ndarray]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **arrays)  # type: ignore[arg-type]
    return target


def _with_levels(config: PathLike | Config, levels: Sequence[int] | None) -> Config:
    """Return a config whose backbone gives its maps of the levels."""
    cfg = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    backbone = cfg.model.backbone
    if backbone.get('out_type') == 'avg_featmap':  # means of a classifier, no maps
        backbone.out_type = 'featmap'
    if levels is None and backbone.get('out_type') != 'pyramid':  # which has all levels already
        with torch.device('meta'):
            levels = range(MODELS.build({**backbone, 'init_cfg': None}).num_stages)
    if levels is not None:
        backbone.out_indices = tuple(levels)
    return cfg


def _read_batches(
    paths: Sequence[Path], batch_size: int, skipped: list[dict[str, str]], progress: bool
) -> Iterator[tuple[list[Path], list[np.ndarray]]]:
    """Yield paths and images, batch by batch; those that cannot be read go to ``skipped``."""
    if batch_size < 1:
        raise UsageError(f'the batch size must be at least 1, got {batch_size}')
    with Progress(disable=not progress) as bar:
        task = bar.add_task('images', total=len(paths))
        for start in range(0, len(paths), batch_size):
            batch, images = [], []
            for path in paths[start : start + batch_size]:
                try:
                    images.append(read_image(path))
                    batch.append(path)
                except DatasetError as error:
                    skipped.append(dict(image=str(path), reason=str(error)))
                    bar.console.print(f'skipped: {error}', markup=False, soft_wrap=True)
            if batch:
                yield batch, images
            bar.advance(task, len(paths[start : start + batch_size]))


def _require_some(done: Any, skipped: list[dict[str, str]]) -> None:
    if not done:
        others = f' (and {len(skipped) - 1} others)' if len(skipped) > 1 else ''
        raise UsageError(skipped[0]['reason'] + others)


class _Writer:
    """Writes predictions below a folder.

    Args:
        paths: Of all images, which give the files their names.
        folder: Of the outputs.

    Raises:
        UsageError: An image would be overwritten.
    """

    def __init__(self, paths: Sequence[Path], folder: Path) -> None:
        self.folder = folder
        self.stems = dict(zip(paths, output_stems(paths), strict=True))
        for kind in ('pictures', 'maps'):
            targets = [folder / kind / f'{stem}.png' for stem in self.stems.values()]
            check_outputs(self.stems, targets)

    def write(self, path: Path, prediction: Prediction) -> dict[str, str]:
        """Write the drawing and the map; return their paths by name."""
        images = dict(picture=prediction.picture[..., ::-1])
        if prediction.label_map is not None:
            images['map'] = prediction.label_map
        files = {}
        for kind, image in images.items():
            target = self.folder / f'{kind}s' / f'{self.stems[path]}.png'
            write_image(target, image)
            files[kind] = str(target)
        return files

    def write_report(self, report: dict[str, Any]) -> None:
        """Write ``predictions.json``."""
        text = json.dumps(report, indent=1, default=_plain)
        with whole_file(self.folder / 'predictions.json') as file:
            file.write(f'{text}\n'.encode())


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as JSON has them."""
    return value.tolist()


__all__ = ['Predictor', 'build_predictor', 'extract_features', 'inference']
