"""DigitScenes: handwritten digits of very different sizes on photographs.

For detection, segmentation and classification without a download: the digits come with
scikit-learn, the photographs with scikit-image. The files are in formats that the host packages
read themselves (mmdet's ``CocoDataset``, mmseg's ``BaseSegDataset``, mmpretrain's
``CustomDataset``)::

    images/{train,val}/000000.png
    annotations/instances_{train,val}.json      COCO: boxes and masks of what is visible
    semantic/{train,val}/000000.png             0 background, 1 ... 10 the digits 0 ... 9
    classification/{train,val}/{0,...,9}/*.png  a crop around every digit
    digit_scenes.json                           the settings; its presence marks a complete folder

No digit and no photograph is in both splits. Every scene is drawn from the seed, its split and
its index alone, so that neither the number of scenes nor their order changes one.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .generated import GeneratedData
from .held_out import held_out_indices, load_digits
from .images import write_image
from .photographs import random_part, read_photograph

CLASSES = tuple('0123456789')
SPLITS = ('train', 'val')
VERSION = 1

# Photographs that scikit-image's wheel carries. Those that show writing (clock_motion, page,
# text) would be wrong backgrounds; drawings are no photographs.
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
        'motorcycle_left.png',
        'retina.jpg',
        'rocket.jpg',
    ),
    'val': ('chelsea.png', 'coffee.png', 'gravel.png', 'moon.png'),
}
DIGITS_PER_SCENE = (3, 9)  # from, below
MAX_ANGLE = 30.0  # degrees; more would make a 6 of a 9
MIN_VISIBLE = 0.5  # of a digit that others overlap
MIN_CONTRAST, MAX_CONTRAST = 40.0, 160.0  # of ink and what is under it, gray values
_GLYPH_SCALE = 16  # of the 8x8 digits before they are turned and shrunk
_PLACEMENTS = 50


@dataclass(frozen=True)
class SceneSettings:
    """Settings that the scenes depend on.

    Args:
        num: Number of training scenes.
        num_val: Number of validation scenes.
        size: Side of a scene in pixels.
        seed: Seed of everything random.
        min_digit: Smallest longest side of a digit in pixels.
        max_digit: Largest longest side, and at most half a scene. Sides are log-uniform between
            the two, so that small digits are common.

    Raises:
        ValueError: A setting is out of its range.
    """

    num: int = 2000
    num_val: int = 200
    size: int = 256
    seed: int = 0
    min_digit: int = 12
    max_digit: int = 128

    def __post_init__(self) -> None:
        if self.num < 1 or self.num_val < 1:
            raise ValueError(f'num and num_val must be at least 1, got {self.num}, {self.num_val}')
        if not 4 <= self.min_digit <= self.max_digit:
            raise ValueError(
                'min_digit must be at least 4 and at most max_digit, '
                f'got {self.min_digit}, {self.max_digit}'
            )
        if self.size < 2 * self.min_digit:
            raise ValueError(
                f'size must be at least twice min_digit ({2 * self.min_digit}), got {self.size}'
            )
        if self.seed < 0:
            raise ValueError(f'seed must not be negative, got {self.seed}')

    def count(self, split: str) -> int:
        """Return the number of scenes of a split."""
        return self.num if split == 'train' else self.num_val


@dataclass
class Instance:
    """One digit of a scene.

    Args:
        label: The digit, 0 ... 9.
        source: Its index in scikit-learn's data.
        digit_size: Its longest side in pixels where nothing overlaps it.
        mask: Its visible pixels, (H, W) bool.
        full_area: Number of pixels of the mask before others overlapped it.
    """

    label: int
    source: int
    digit_size: int
    mask: np.ndarray
    full_area: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return (x, y, width, height) around the mask."""
        return cv2.boundingRect(self.mask.astype(np.uint8))  # type: ignore[return-value]


@dataclass
class Scene:
    """An image, (H, W, 3) uint8 in BGR, and the digits on it, each at least half visible."""

    image: np.ndarray
    instances: list[Instance]

    def semantic_map(self) -> np.ndarray:
        """Return the class of every pixel, (H, W) uint8: 0 background, label + 1 elsewhere."""
        labels = np.zeros(self.image.shape[:2], np.uint8)
        for instance in self.instances:
            labels[instance.mask] = instance.label + 1
        return labels


def render_scene(settings: SceneSettings, split: str, index: int) -> Scene:
    """Draw scene ``index`` of a split, the same on every call."""
    # RandomState is frozen by numpy: its stream never changes between versions.
    rng = np.random.RandomState([settings.seed, SPLITS.index(split), index])
    image = _background(rng, split, settings.size)
    instances: list[Instance] = []
    for _ in range(rng.randint(*DIGITS_PER_SCENE)):
        source = int(rng.choice(_sources(split)))
        digit_size = _random_size(rng, settings)
        alpha = _turned_digit(source, rng.uniform(-MAX_ANGLE, MAX_ANGLE), digit_size)
        corner = _place(rng, alpha > 0.5, instances, settings.size)
        if corner is None:
            continue
        mask = _paint(rng, image, alpha, corner)
        for other in instances:
            other.mask &= ~mask
        label = int(_digits()[1][source])
        instances.append(Instance(label, source, digit_size, mask, int(mask.sum())))
    noise = rng.normal(0.0, rng.uniform(0.0, 6.0), image.shape)
    return Scene(np.clip(np.rint(image + noise), 0, 255).astype(np.uint8), instances)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the images (1797, 8, 8), float32 in 0 ... 1, and the labels (1797,)."""
    images, labels = load_digits()
    return (images / 16).astype(np.float32), labels


@cache
def _sources(split: str) -> np.ndarray:
    """Return the indices of the digits of a split."""
    return held_out_indices(_digits()[1], 'train' if split == 'train' else 'test')  # type: ignore[arg-type]


def photograph_part(rng: np.random.RandomState, split: str, size: int) -> np.ndarray:
    """Return a part of a photograph of a split, (size, size, 3) uint8."""
    names = PHOTOGRAPHS[split]
    return random_part(rng, read_photograph(names[rng.randint(len(names))]), size)


def _background(rng: np.random.RandomState, split: str, size: int) -> np.ndarray:
    """Return a dimmed part of a photograph, (size, size, 3) float32."""
    part = photograph_part(rng, split, size)
    gain, bias = rng.uniform(0.6, 1.0), rng.uniform(0.0, 60.0)
    return np.clip(part.astype(np.float32) * gain + bias, 0, 255)


def _random_size(rng: np.random.RandomState, settings: SceneSettings) -> int:
    largest = min(settings.max_digit, settings.size // 2)
    return int(round(np.exp(rng.uniform(np.log(settings.min_digit), np.log(largest)))))


def _turned_digit(source: int, angle: float, longest: int) -> np.ndarray:
    """Return the opacity, (h, w) in 0 ... 1, of a turned digit of longest side ``longest``."""
    digit = np.pad(_digits()[0][source], 4)
    side = digit.shape[0] * _GLYPH_SCALE
    digit = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
    digit = cv2.warpAffine(digit, turn, (side, side), flags=cv2.INTER_LINEAR)
    # Steeper flanks: enlarged 8x8 pixels are a blur, pen strokes have edges.
    digit = np.clip((digit - 0.25) / 0.3, 0, 1)
    x, y, width, height = cv2.boundingRect((digit > 0.5).astype(np.uint8))
    scale = longest / max(width, height)
    shape = max(int(round(width * scale)), 1), max(int(round(height * scale)), 1)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(digit[y : y + height, x : x + width], shape, interpolation=interpolation)


def _place(
    rng: np.random.RandomState, shape: np.ndarray, instances: list[Instance], size: int
) -> tuple[int, int] | None:
    """Return a random (top, left) that leaves enough of every other digit visible, or None."""
    height, width = shape.shape
    for _ in range(_PLACEMENTS):
        top, left = rng.randint(size - height + 1), rng.randint(size - width + 1)
        window = slice(top, top + height), slice(left, left + width)
        if all(_stays_visible(instance, window, shape) for instance in instances):
            return top, left
    return None


def _stays_visible(instance: Instance, window: tuple[slice, slice], shape: np.ndarray) -> bool:
    left = instance.mask.sum() - (instance.mask[window] & shape).sum()
    return left >= MIN_VISIBLE * instance.full_area


def _paint(
    rng: np.random.RandomState, image: np.ndarray, alpha: np.ndarray, corner: tuple[int, int]
) -> np.ndarray:
    """Blend the digit into ``image`` and return its mask, (H, W) bool."""
    (top, left), (height, width) = corner, alpha.shape
    region = image[top : top + height, left : left + width]
    ink = _ink(rng, region[alpha > 0.5].mean(axis=0))
    opacity = (alpha * rng.uniform(0.8, 1.0))[..., None]
    region += opacity * (ink - region)
    mask = np.zeros(image.shape[:2], bool)
    mask[top : top + height, left : left + width] = alpha > 0.5
    return mask


def _ink(rng: np.random.RandomState, under: np.ndarray) -> np.ndarray:
    """Return a color, (3,), lighter or darker than what is under it."""
    contrast = rng.uniform(MIN_CONTRAST, MAX_CONTRAST)
    gray = under.mean()
    lighter = rng.rand() < 0.5
    if lighter and gray + contrast > 255:
        lighter = False
    elif not lighter and gray < contrast:
        lighter = True
    target = under + (contrast if lighter else -contrast)
    return np.clip(target + rng.normal(0.0, 25.0, 3), 0, 255).astype(np.float32)


def _write_scenes(folder: Path, settings: SceneSettings) -> None:
    for split in SPLITS:
        _write_split(folder, settings, split)


def _write_split(folder: Path, settings: SceneSettings, split: str) -> None:
    from rich.progress import track

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    crops = folder / 'classification' / split
    for path in (
        folder / 'images' / split,
        folder / 'semantic' / split,
        *map(crops.joinpath, CLASSES),
    ):
        path.mkdir(parents=True)
    for index in track(range(settings.count(split)), f'DigitScenes {split}'):
        scene = render_scene(settings, split, index)
        name = f'{index:06d}.png'
        write_image(folder / 'images' / split / name, scene.image)
        write_image(folder / 'semantic' / split / name, scene.semantic_map())
        images.append(dict(id=index, file_name=name, height=settings.size, width=settings.size))
        for number, instance in enumerate(scene.instances):
            annotations.append(_annotation(len(annotations) + 1, index, instance))
            crop = crops / CLASSES[instance.label] / f'{index:06d}_{number:02d}.png'
            write_image(crop, _crop(scene.image, instance.box))
    content = dict(
        info=dict(description=f'DigitScenes {split}', version=str(VERSION)),
        images=images,
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES)],
    )
    annotation_file = folder / 'annotations' / f'instances_{split}.json'
    annotation_file.parent.mkdir(exist_ok=True)
    annotation_file.write_text(json.dumps(content))


def _annotation(identity: int, image_id: int, instance: Instance) -> dict[str, Any]:
    """Return COCO's annotation, with the source and the size of the digit added."""
    return dict(
        id=identity,
        image_id=image_id,
        category_id=instance.label,
        bbox=list(instance.box),
        area=int(instance.mask.sum()),
        segmentation=encode_rle(instance.mask),
        iscrowd=0,
        source=instance.source,
        digit_size=instance.digit_size,
    )


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """Return COCO's uncompressed run lengths of a mask (H, W): columns first, zeros first."""
    flat = mask.astype(bool).flatten(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    if flat[0]:
        counts.insert(0, 0)
    return dict(size=list(mask.shape), counts=counts)


def _crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a square around the box, an eighth of its side wider on each side, in the image."""
    x, y, width, height = box
    side = min(int(np.ceil(max(width, height) * 1.25)), *image.shape[:2])
    left = int(np.clip(x + width // 2 - side // 2, 0, image.shape[1] - side))
    top = int(np.clip(y + height // 2 - side // 2, 0, image.shape[0] - side))
    return image[top : top + side, left : left + side]


DIGIT_SCENES = GeneratedData(
    'DigitScenes', 'digit_scenes.json', VERSION, SceneSettings, _write_scenes
)
