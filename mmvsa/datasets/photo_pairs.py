"""Pairs of photographs in which objects appear and vanish: change detection without a download.

The photographs are those that scikit-image ships. Both images of a pair show the same part of one
of them, the second one moved by a few pixels; each has its own exposure, light and noise. Some
objects (random shapes cut out of other photographs) are on both images, others on one alone: these
are the changes. Between two dates nearly every pixel differs, by exposure, and every edge, by the
shift, so that the difference of the images says little about what changed.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dist import barrier

from mmvsa.registry import DATASETS

from .change_detection import PREFIXES, SPLITS, ChangeDetectionDataset
from .change_maps import CHANGED
from .errors import DatasetError

VERSION = 1
_MARKER = 'photo_pairs.json'
# Functions of skimage.data whose files are in its wheel; no photograph is in two splits.
PHOTOGRAPHS = {
    'train': (
        'astronaut',
        'brick',
        'camera',
        'cell',
        'coins',
        'grass',
        'hubble_deep_field',
        'immunohistochemistry',
        'retina',
    ),
    'val': ('chelsea', 'moon'),
    'test': ('coffee', 'gravel', 'rocket'),
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
            share a folder share them. None takes any pairs that are there.
        options: those of :class:`~mmvsa.datasets.change_detection.ChangeDetectionDataset`.

    Raises:
        DatasetError: the folder holds something else, or pairs of other settings.
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
        try:
            # One process of each machine writes: the folder may be on a local disk.
            if int(os.environ.get('LOCAL_RANK', 0)) == 0:
                ensure_photo_pairs(self.data_root, self.settings)
        finally:
            barrier()
        return super().load_data_list()


def render_pair(settings: PairSettings, split: str, index: int) -> Pair:
    """Render pair ``index`` of a split; the same on every call."""
    # RandomState is frozen by numpy: its stream never changes between versions.
    rng = np.random.RandomState([settings.seed, SPLITS.index(split), index])
    margin = settings.max_shift
    names = PHOTOGRAPHS[split]
    scene = _part(rng, names[rng.randint(len(names))], settings.size + 2 * margin)
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


def write_photo_pairs(root: str | os.PathLike, settings: PairSettings) -> Path:
    """Write all splits to the folder ``root``, which must not exist or be empty.

    The folder appears at once when it is complete: an interrupted run leaves none.
    """
    root = Path(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as temporary:
        folder = Path(temporary) / 'pairs'
        for split in SPLITS:
            _write_split(folder / split, settings, split)
        (folder / _MARKER).write_text(json.dumps(_description(settings)))
        os.replace(folder, root)
    return root


def ensure_photo_pairs(root: str | os.PathLike, settings: PairSettings | None = None) -> Path:
    """Write the pairs unless ``root`` has them already; several processes may ask at once.

    Without ``settings``, any pairs in ``root`` will do, and the default ones are written.

    Raises:
        DatasetError: ``root`` has something else, or pairs of other settings.
    """
    root = Path(root)
    if not _has_pairs(root, settings):
        try:
            write_photo_pairs(root, settings or PairSettings())
        except OSError:
            # Another process may have finished first.
            if not _has_pairs(root, settings):
                raise
    return root


def _has_pairs(root: Path, settings: PairSettings | None) -> bool:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / _MARKER).read_text())
    except (OSError, ValueError):
        found = None
    wanted = _description(settings) if settings else found
    if found and found == wanted:
        return True
    raise DatasetError(
        f'{root} does not hold the pairs asked for (there: {found}, asked for: {wanted}); remove '
        'the folder, or name another one'
    )


def _description(settings: PairSettings) -> dict[str, Any]:
    return {'version': VERSION, **asdict(settings)}


def _write_split(folder: Path, settings: PairSettings, split: str) -> None:
    targets = [folder / name for name in PREFIXES.values()]
    for target in targets:
        target.mkdir(parents=True)
    for index in _track(range(settings.count(split)), f'PhotoPairs {split}'):
        pair = render_pair(settings, split, index)
        for target, image in zip(targets, (pair.before, pair.after, pair.changed), strict=True):
            # cv2.imwrite reports a full disk by a return value only, and not always.
            (target / f'{index:06d}.png').write_bytes(cv2.imencode('.png', image)[1].tobytes())


def _track(items: range, description: str) -> Iterable[int]:
    from rich.progress import track

    return track(items, description=description)


@cache
def _photograph(name: str) -> np.ndarray:
    """(H, W, 3) float32, BGR."""
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError(
            'mmvsa.PhotoPairs needs scikit-image; install it with "pip install scikit-image"'
        ) from error
    read: Callable[[], np.ndarray] = getattr(data, name)
    image = np.asarray(read())
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    scale = min(_SHORTEST / min(image.shape[:2]), 1.0)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image.astype(np.float32)


def _part(rng: np.random.RandomState, name: str, size: int) -> np.ndarray:
    """A mirrored, scaled part of a photograph, (size, size, 3) float32."""
    photograph = _photograph(name)
    side = int(rng.uniform(0.4, 1.0) * min(photograph.shape[:2]))
    top, left = (rng.randint(length - side + 1) for length in photograph.shape[:2])
    part = photograph[top : top + side, left : left + side]
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    part = cv2.resize(part, (size, size), interpolation=interpolation)
    return np.ascontiguousarray(part[:, ::-1] if rng.rand() < 0.5 else part)


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
        texture = _part(rng, PHOTOGRAPHS[split][rng.randint(len(PHOTOGRAPHS[split]))], longest)
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
