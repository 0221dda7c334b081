"""DigitScenes: real handwritten digits of very different sizes on real photographs.

For detection, segmentation and classification without a download: the digits come with
scikit-learn, the photographs with scikit-image. The files are in formats that the host packages
read themselves (mmdet's ``CocoDataset``, mmseg's ``BaseSegDataset``, mmpretrain's
``CustomDataset``)::

    images/{train,val}/000000.png
    annotations/instances_{train,val}.json      COCO: boxes and masks of what is visible
    semantic/{train,val}/000000.png             0 background, 1 ... 10 the digits 0 ... 9
    classification/{train,val}/{0,...,9}/*.png  a crop around every digit
    digit_scenes.json                           the settings; its presence says: complete

No digit and no photograph is in both splits. Every scene is drawn from the seed, its split and
its index alone, so that neither the number of scenes nor their order changes one.
"""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .held_out import held_out_indices

CLASSES = tuple('0123456789')
SEMANTIC_CLASSES = ('background', *CLASSES)
SPLITS = ('train', 'val')
VERSION = 1
_MARKER = 'digit_scenes.json'

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
MIN_CONTRAST, MAX_CONTRAST = 40.0, 160.0  # of ink and what is under it, grey values
_GLYPH_SCALE = 16  # of the 8x8 digits before they are turned and shrunk
_PLACEMENTS = 50


@dataclass(frozen=True)
class SceneSettings:
    """What a set of scenes depends on.

    Attributes:
        num: training scenes.
        num_val: validation scenes.
        size: side of a scene in pixels.
        seed: of everything random.
        min_digit, max_digit: longest side of a digit; log-uniform between them, so that small
            digits are common. At most half a scene.
    """

    num: int = 500
    num_val: int = 100
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
        """Number of scenes of a split."""
        return self.num if split == 'train' else self.num_val


@dataclass
class Instance:
    """One digit of a scene.

    Attributes:
        label: the digit, 0 ... 9.
        source: its index in scikit-learn's data.
        digit_size: longest side when nothing overlaps it, in pixels.
        mask: (H, W) bool, what is visible.
        full_area: pixels of the mask before others overlapped it.
    """

    label: int
    source: int
    digit_size: int
    mask: np.ndarray
    full_area: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) around the mask."""
        return cv2.boundingRect(self.mask.astype(np.uint8))  # type: ignore[return-value]


@dataclass
class Scene:
    """An image (H, W, 3) uint8 in BGR and the digits on it, each partly visible at least."""

    image: np.ndarray
    instances: list[Instance]

    def semantic_map(self) -> np.ndarray:
        """(H, W) uint8: 0 background, label + 1 elsewhere."""
        labels = np.zeros(self.image.shape[:2], np.uint8)
        for instance in self.instances:
            labels[instance.mask] = instance.label + 1
        return labels


def render_scene(settings: SceneSettings, split: str, index: int) -> Scene:
    """Scene ``index`` of a split; the same on every call."""
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


def write_digit_scenes(
    root: str | os.PathLike, settings: SceneSettings | None = None, progress: bool = True
) -> Path:
    """Write the scenes to the folder ``root``, which must not exist (or be empty).

    The folder appears at once when it is complete: an interrupted run leaves none behind.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``root`` has something in it.
    """
    settings = settings or SceneSettings()
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f'{root} exists and is not an empty folder')
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as temporary:
        folder = Path(temporary) / 'scenes'
        for split in SPLITS:
            _write_split(folder, settings, split, progress)
        _write_json(folder / _MARKER, {'version': VERSION, **asdict(settings)})
        # The permissions of a temporary folder would hide the data from other users.
        os.chmod(folder, 0o777 & ~_umask())
        os.replace(folder, root)
    return root


def ensure_digit_scenes(
    root: str | os.PathLike, settings: SceneSettings | None = None, progress: bool = True
) -> Path:
    """Write the scenes unless ``root`` has them already; several processes may ask at once.

    Raises:
        ValueError: ``root`` has scenes of other settings, or something else.
    """
    settings = settings or SceneSettings()
    root = Path(root)
    if not _has_scenes(root, settings):
        try:
            write_digit_scenes(root, settings, progress)
        except OSError:
            # Another process may have finished first.
            if not _has_scenes(root, settings):
                raise
    return root


def _has_scenes(root: Path, settings: SceneSettings) -> bool:
    if not root.is_dir() or not any(root.iterdir()):
        return False
    wanted = {'version': VERSION, **asdict(settings)}
    try:
        found = json.loads((root / _MARKER).read_text())
    except (OSError, ValueError):
        found = None
    if found == wanted:
        return True
    raise ValueError(
        f'{root} does not hold the DigitScenes asked for (there: {found}, asked for: {wanted}); '
        'remove the folder or name another one'
    )


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 8, 8) float32 in 0 ... 1 and labels (1797,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'DigitScenes needs scikit-learn; install it with "pip install scikit-learn"'
        ) from error
    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target


@lru_cache(maxsize=2)
def _sources(split: str) -> np.ndarray:
    """Indices of the digits of a split."""
    return held_out_indices(_digits()[1], 'train' if split == 'train' else 'test')  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _photograph_folder() -> Path:
    try:
        import skimage
    except ImportError as error:
        raise ImportError(
            'DigitScenes needs scikit-image; install it with "pip install scikit-image"'
        ) from error
    return Path(skimage.__file__).parent / 'data'


@cache
def _photograph(name: str) -> np.ndarray:
    """(H, W, 3) uint8, BGR."""
    path = _photograph_folder() / name
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(
            f'scikit-image has no {path}; DigitScenes needs one that ships it, such as 0.26'
        )
    return image


def _background(rng: np.random.RandomState, split: str, size: int) -> np.ndarray:
    """(size, size, 3) float32: a mirrored, scaled, dimmed part of a photograph."""
    names = PHOTOGRAPHS[split]
    photograph = _photograph(names[rng.randint(len(names))])
    shortest = min(photograph.shape[:2])
    side = int(rng.uniform(0.4, 1.0) * shortest)
    top, left = (rng.randint(length - side + 1) for length in photograph.shape[:2])
    part = photograph[top : top + side, left : left + side]
    shrinks = side > size
    part = cv2.resize(
        part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    if rng.rand() < 0.5:
        part = part[:, ::-1]
    gain, bias = rng.uniform(0.6, 1.0), rng.uniform(0.0, 60.0)
    return np.clip(part.astype(np.float32) * gain + bias, 0, 255)


def _random_size(rng: np.random.RandomState, settings: SceneSettings) -> int:
    largest = min(settings.max_digit, settings.size // 2)
    return int(round(np.exp(rng.uniform(np.log(settings.min_digit), np.log(largest)))))


def _turned_digit(source: int, angle: float, longest: int) -> np.ndarray:
    """Opacity (h, w) in 0 ... 1 of a turned digit whose longest side is ``longest``."""
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
    """A random (top, left) that leaves enough of every other digit visible, or None."""
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
    """Blend the digit into ``image``; returns its mask, (H, W) bool."""
    (top, left), (height, width) = corner, alpha.shape
    region = image[top : top + height, left : left + width]
    ink = _ink(rng, region[alpha > 0.5].mean(axis=0))
    opacity = (alpha * rng.uniform(0.8, 1.0))[..., None]
    region += opacity * (ink - region)
    mask = np.zeros(image.shape[:2], bool)
    mask[top : top + height, left : left + width] = alpha > 0.5
    return mask


def _ink(rng: np.random.RandomState, under: np.ndarray) -> np.ndarray:
    """A colour (3,) lighter or darker than what is under it."""
    contrast = rng.uniform(MIN_CONTRAST, MAX_CONTRAST)
    grey = under.mean()
    lighter = rng.rand() < 0.5
    if lighter and grey + contrast > 255:
        lighter = False
    elif not lighter and grey < contrast:
        lighter = True
    target = under + (contrast if lighter else -contrast)
    return np.clip(target + rng.normal(0.0, 25.0, 3), 0, 255).astype(np.float32)


def _write_split(folder: Path, settings: SceneSettings, split: str, progress: bool) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for label in CLASSES:
        (folder / 'classification' / split / label).mkdir(parents=True)
    for part in ('images', 'semantic'):
        (folder / part / split).mkdir(parents=True)
    for index in _track(range(settings.count(split)), f'DigitScenes {split}', progress):
        scene = render_scene(settings, split, index)
        name = f'{index:06d}.png'
        _write_png(folder / 'images' / split / name, scene.image)
        _write_png(folder / 'semantic' / split / name, scene.semantic_map())
        images.append(dict(id=index, file_name=name, height=settings.size, width=settings.size))
        for number, instance in enumerate(scene.instances):
            annotations.append(_annotation(len(annotations) + 1, index, instance))
            crops = folder / 'classification' / split / CLASSES[instance.label]
            _write_png(crops / f'{index:06d}_{number:02d}.png', _crop(scene.image, instance.box))
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES)]
    content = dict(
        info=dict(description=f'DigitScenes {split}', version=str(VERSION)),
        images=images,
        annotations=annotations,
        categories=categories,
    )
    _write_json(folder / 'annotations' / f'instances_{split}.json', content)


def _annotation(identity: int, image_id: int, instance: Instance) -> dict[str, Any]:
    """COCO's, with the source and the size of the digit beside."""
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
    """COCO's uncompressed run lengths of a mask (H, W): columns first, zeros first."""
    flat = mask.astype(bool).flatten(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    if flat[0]:
        counts.insert(0, 0)
    return dict(size=list(mask.shape), counts=counts)


def _crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """A square around the box with an eighth of its side on each side, inside the image."""
    x, y, width, height = box
    side = min(int(np.ceil(max(width, height) * 1.25)), *image.shape[:2])
    left = int(np.clip(x + width // 2 - side // 2, 0, image.shape[1] - side))
    top = int(np.clip(y + height // 2 - side // 2, 0, image.shape[0] - side))
    return image[top : top + side, left : left + side]


def _track(items: range, description: str, progress: bool) -> Iterable[int]:
    from rich.progress import track

    return track(items, description=description, disable=not progress)


def _write_png(path: Path, image: np.ndarray) -> None:
    # cv2.imwrite reports a full disk by a return value only, and not always.
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
