"""Pairs of photographs in which objects appear and vanish: change detection without a download.

The photographs are those that scikit-image ships. Both images of a pair show the same part of one
of them, the second one moved by a few pixels; each has its own exposure, light and noise. Some
objects (random shapes cut out of other photographs) are on both images, others on one alone: these
are the changes. Between two dates nearly every pixel differs, by exposure, and every edge, by the
shift, so that the difference of the images says little about what changed.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvsa.registry import DATASETS

from .change_detection import PREFIXES, SPLITS, ChangeDetectionDataset
from .change_maps import CHANGED
from .generated import GeneratedData
from .images import write_image
from .photographs import random_part, read_photograph

VERSION = 1
# No photograph is in two splits.
PHOTOGRAPHS = {
    'train': (
        'astronaut.png',
        'brick.png',
        'camera.png',
        'cell.png',
        'coins.png',
        'grass.png',
        'hubble_deep_field.jpg',
        'ihc.png',
        'retina.jpg',
    ),
    'val': ('chelsea.png', 'moon.png'),
    'test': ('coffee.png', 'gravel.png', 'rocket.jpg'),
}
MAX_STATIC, MAX_CHANGED = 3, 3  # objects on both images, on one of them
MIN_CONTRAST = 30.0  # mean difference of an object and what it covers, gray values
MAX_OVERLAP = 0.1  # of an object with those before it
_ATTEMPTS = 30
_SHORTEST = 320  # side of a photograph, pixels: larger ones cost time


@dataclass(frozen=True)
class PairSettings:
    """What a set of pairs depends on.

    Attributes:
        num_train, num_val, num_test: pairs of each split.
        size: side of an image in pixels.
        min_object, max_object: longest side of an object, log-uniform between them.
        max_shift: largest shift of the second image along each axis, pixels.
        seed: of everything random.
    """

    num_train: int = 500
    num_val: int = 50
    num_test: int = 150
    size: int = 128
    min_object: int = 16
    max_object: int = 48
    max_shift: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for split in SPLITS:
            if self.count(split) < 1:
                raise ValueError(f'num_{split} must be at least 1, got {self.count(split)}')
        if not 4 <= self.min_object <= self.max_object <= self.size // 2:
            raise ValueError(
                'min_object must be at least 4, and max_object between it and half of the size '
                f'{self.size}; got {self.min_object}, {self.max_object}'
            )
        if self.max_shift < 0 or self.seed < 0:
            raise ValueError(
                f'max_shift and seed must not be negative, got {self.max_shift}, {self.seed}'
            )

    def count(self, split: str) -> int:
        """Return the number of pairs of a split."""
        return getattr(self, f'num_{split}')


@dataclass
class Pair:
    """Two images (H, W, 3) uint8, BGR, and the map (H, W) uint8 of what changed, 0 or 255."""

    before: np.ndarray
    after: np.ndarray
    changed: np.ndarray


@DATASETS.register_module()
class PhotoPairs(ChangeDetectionDataset):
    """Synthetic pairs of photographs, written to ``data_root`` when they are first needed.

    Args:
        data_root: folder of the pairs, of this dataset alone. The main process writes it, all at
            once, if it does not exist or is empty.
        split: ``'train'``, ``'val'`` or ``'test'``; no photograph is in two of them.
        settings: fields of :class:`PairSettings` that differ from their defaults; splits that
            share a folder share them. None takes any pairs that are there, also yours.
        options: those of :class:`~mmvsa.datasets.change_detection.ChangeDetectionDataset`.

    Raises:
        DatasetError: as ``ChangeDetectionDataset``, or the folder holds pairs of other settings.
    """

    # The tools do not ask for the folder before it is written.
    generates = True

    def __init__(
        self,
        data_root: str | os.PathLike = 'data/photo_pairs',
        split: str = 'train',
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.settings = None if settings is None else PairSettings(**settings)
        super().__init__(data_root, split, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return the pairs of the split, after writing all of them if need be."""
        PHOTO_PAIRS.ensure_on_machine(self.data_root, self.settings)
        return super().load_data_list()


def render_pair(settings: PairSettings, split: str, index: int) -> Pair:
    """Render pair ``index`` of a split; the same on every call."""
    # RandomState is frozen by numpy: its stream never changes between versions.
    rng = np.random.RandomState([settings.seed, SPLITS.index(split), index])
    margin = settings.max_shift
    scene = _part(rng, split, settings.size + 2 * margin)
    scenes = [scene, scene.copy()]
    occupied = np.zeros(scene.shape[:2], bool)
    maps = [occupied.copy(), occupied.copy()]
    for _ in range(rng.randint(MAX_STATIC + 1)):
        _paste(rng, settings, split, scenes, occupied)
    for _ in range(rng.randint(1, MAX_CHANGED + 1)):
        date = rng.randint(2)
        maps[date] |= _paste(rng, settings, split, scenes[date : date + 1], occupied)
    shift = rng.randint(-margin, margin + 1, size=2)
    windows = [_window(settings, corner) for corner in ((margin, margin), margin + shift)]
    images = [_expose(rng, image[window]) for image, window in zip(scenes, windows, strict=True)]
    changed = maps[0][windows[0]] | maps[1][windows[1]]
    before, after = images
    return Pair(before, after, changed.astype(np.uint8) * CHANGED)


def _write_pairs(folder: Path, settings: PairSettings) -> None:
    from rich.progress import track

    for split in SPLITS:
        targets = [folder / split / name for name in PREFIXES.values()]
        for target in targets:
            target.mkdir(parents=True)
        for index in track(range(settings.count(split)), description=f'PhotoPairs {split}'):
            pair = render_pair(settings, split, index)
            for target, image in zip(targets, (pair.before, pair.after, pair.changed), strict=True):
                write_image(target / f'{index:06d}.png', image)


PHOTO_PAIRS = GeneratedData(
    'PhotoPairs', 'photo_pairs.json', VERSION, PairSettings, _write_pairs, any_files=True
)


@cache
def _photograph(name: str) -> np.ndarray:
    """Return a photograph of at most 320 pixels on the shorter side, (H, W, 3) float32, BGR."""
    image = read_photograph(name)
    scale = min(_SHORTEST / min(image.shape[:2]), 1.0)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image.astype(np.float32)


def _part(rng: np.random.RandomState, split: str, size: int) -> np.ndarray:
    """Return a part of a photograph of a split, (size, size, 3) float32."""
    names = PHOTOGRAPHS[split]
    return random_part(rng, _photograph(names[rng.randint(len(names))]), size)


def _paste(
    rng: np.random.RandomState,
    settings: PairSettings,
    split: str,
    scenes: list[np.ndarray],
    occupied: np.ndarray,
) -> np.ndarray:
    """Paste one object into all of ``scenes``; returns its mask (H, W) bool, empty if none fits."""
    mask = np.zeros_like(occupied)
    for _ in range(_ATTEMPTS):
        low, high = np.log([settings.min_object, settings.max_object])
        longest = int(round(np.exp(rng.uniform(low, high))))
        alpha = _shape(rng, longest)
        texture = _part(rng, split, longest)
        top, left = (rng.randint(length - longest + 1) for length in occupied.shape)
        window = slice(top, top + longest), slice(left, left + longest)
        inside = alpha > 0.5
        covered = scenes[0][window]
        contrast = np.abs(texture - covered).mean(axis=2)[inside].mean()
        if contrast < MIN_CONTRAST or occupied[window][inside].mean() > MAX_OVERLAP:
            continue
        for scene in scenes:
            scene[window] += alpha[..., None] * (texture - scene[window])
        mask[window] = inside
        occupied |= mask
        break
    return mask


def _shape(rng: np.random.RandomState, longest: int) -> np.ndarray:
    """Opacity (longest, longest) in 0 ... 1 of a random polygon or ellipse with soft edges."""
    scale = 8  # drawn larger, for the edges
    side = longest * scale
    canvas = np.zeros((side, side), np.uint8)
    center = (side // 2, side // 2)
    if rng.rand() < 0.5:
        axes = (side // 2, int(side / 2 * rng.uniform(0.4, 1.0)))
        cv2.ellipse(canvas, center, axes, rng.uniform(0, 180), 0, 360, 255, -1)
    else:
        corners = rng.randint(3, 8)
        angles = 2 * np.pi * (np.arange(corners) + rng.uniform(0, 0.7, corners)) / corners
        radii = side / 2 * rng.uniform(0.6, 1.0, angles.shape)
        points = np.stack((np.cos(angles), np.sin(angles)), 1) * radii[:, None] + side / 2
        cv2.fillPoly(canvas, [points.astype(np.int32)], 255)
    alpha = cv2.resize(canvas, (longest, longest), interpolation=cv2.INTER_AREA)
    return alpha.astype(np.float32) / 255


def _window(settings: PairSettings, corner: Iterable[int]) -> tuple[slice, slice]:
    top, left = (int(start) for start in corner)
    return slice(top, top + settings.size), slice(left, left + settings.size)


def _expose(rng: np.random.RandomState, image: np.ndarray) -> np.ndarray:
    """Give an image an exposure, a tint, a slope of light and noise of its own."""
    height, width = image.shape[:2]
    gamma, gain = np.exp(rng.uniform(-0.25, 0.25)), rng.uniform(0.7, 1.1)
    tint = rng.uniform(0.92, 1.08, 3)
    slope = rng.uniform(-0.15, 0.15, 2)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    light = ((1 + slope[0] * x + slope[1] * y) * gain)[..., None] * tint
    exposed = cv2.pow(np.clip(image, 0, 255) / 255, gamma) * (255 * light).astype(np.float32)
    exposed += rng.uniform(0, 30)
    exposed += rng.uniform(1, 5) * rng.standard_normal(image.shape).astype(np.float32)
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)
