"""How many images per second one worker of a data loader prepares."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Photographs that come with scikit-image.
PHOTOGRAPHS = ('astronaut', 'chelsea', 'coffee', 'rocket')
# The commonest size of an ImageNet image; at this quality a file has the mean's 110 kB, about.
IMAGE_SIZE = (500, 375)  # width, height


@dataclass(frozen=True)
class PipelineSpeed:
    """Processor time of one worker.

    Attributes:
        ms: median over the rounds of one image's milliseconds, transform by transform.
        rounds: milliseconds of one image through the whole pipeline in each round.
    """

    ms: dict[str, float]
    rounds: tuple[float, ...]

    @property
    def images_per_s(self) -> float:
        return 1e3 / statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median of the rounds."""
        return (max(self.rounds) - min(self.rounds)) / statistics.median(self.rounds)


def write_photographs(folder: Path, quality: int = 98) -> list[Path]:
    """Write scikit-image's photographs as JPEGs of :data:`IMAGE_SIZE`, cropped to its shape."""
    from PIL import Image, ImageOps
    from skimage import data

    paths = []
    for name in PHOTOGRAPHS:
        image = Image.fromarray(getattr(data, name)())
        path = folder / f'{name}.jpg'
        ImageOps.fit(image, IMAGE_SIZE, Image.Resampling.BICUBIC).save(path, quality=quality)
        paths.append(path)
    return paths


def with_option(
    pipeline: Sequence[dict[str, Any]], transform: str, key: str, value: Any
) -> list[dict[str, Any]]:
    """The pipeline with another option of a transform.

    Raises:
        ValueError: the pipeline has no such transform.
    """
    changed = deepcopy(list(pipeline))
    found = [step for step in changed if step['type'].split('.')[-1] == transform]
    if not found:
        raise ValueError(f'the pipeline has no {transform} whose {key} could be {value!r}')
    for step in found:
        step[key] = value
    return changed


def measure_pipelines(
    pipelines: Mapping[str, Sequence[dict[str, Any]]],
    paths: Sequence[Path],
    rounds: int = 3,
    repeats: int = 10,
) -> dict[str, PipelineSpeed]:
    """Time pipelines of mmpretrain in turn, every photograph ``repeats`` times in each round."""
    import cv2
    from mmpretrain.registry import TRANSFORMS

    cv2.setNumThreads(0)  # as in a worker, by MMEngine's default
    built = {name: [TRANSFORMS.build(step) for step in steps] for name, steps in pipelines.items()}
    measured: dict[str, list[np.ndarray]] = {name: [] for name in built}
    for index in range(rounds + 1):
        for name, transforms in built.items():
            times = _run(transforms, paths, repeats)
            if index:  # the first round warms up
                measured[name].append(times)
    return {name: _speed(built[name], rounds) for name, rounds in measured.items()}


def _run(transforms: Sequence[Any], paths: Sequence[Path], repeats: int) -> np.ndarray:
    """Milliseconds of an image in each transform."""
    times = np.zeros(len(transforms))
    for path in [*paths] * repeats:
        sample: Any = dict(img_path=str(path), gt_label=0)
        for i, transform in enumerate(transforms):
            start = time.process_time()
            sample = transform(sample)
            times[i] += time.process_time() - start
    return 1e3 * times / (len(paths) * repeats)


def _speed(transforms: Sequence[Any], rounds: Sequence[np.ndarray]) -> PipelineSpeed:
    names = [type(transform).__name__ for transform in transforms]
    medians = np.median(np.stack(rounds), 0)
    return PipelineSpeed(
        dict(zip(names, medians.tolist(), strict=True)), tuple(float(t.sum()) for t in rounds)
    )


def workers_needed(images_per_s: float, batch: int, step_ms: float) -> int:
    """Workers per GPU that keep up with steps of ``step_ms`` on ``batch`` images per GPU.

    Args:
        images_per_s: of one worker.
        batch: images per GPU and step.
        step_ms: time of a training step in milliseconds.
    """
    if min(images_per_s, batch, step_ms) <= 0:
        raise ValueError('speed, batch and step time must be positive')
    return math.ceil(batch / (step_ms / 1e3) / images_per_s)
