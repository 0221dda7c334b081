"""MatteScenes: drawn heads with loose strands of hair over photographs, with exact mattes.

For matting without a download: the photographs come with scikit-image. The folders are those of
:class:`~mmvsa.datasets.matting.MattingDataset`::

    {train,val}/{image,alpha,foreground,background}/000000.png
    matte_scenes.json        the settings; its presence says: complete

No photograph is in both splits. A scene depends on the seed, its split and its index alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvsa.registry import DATASETS

from .digit_scenes import SPLITS, photograph_part
from .generated import GeneratedData
from .images import write_image
from .matting import MattingDataset

VERSION = 1
LAYERS = ('image', 'alpha', 'foreground', 'background')
_SCALE = 4  # shapes are drawn larger and shrunk


@dataclass(frozen=True)
class MatteSettings:
    """Settings that the scenes depend on.

    Args:
        num: Number of training scenes.
        num_val: Number of validation scenes.
        size: Side of a scene in pixels.
        seed: Seed of everything random.

    Raises:
        ValueError: A setting is out of its range.
    """

    num: int = 1000
    num_val: int = 60
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in dict(num=1, num_val=1, size=32, seed=0).items():
            if getattr(self, name) < least:
                raise ValueError(f'{name} must be at least {least}, got {getattr(self, name)}')


def render_matte_scene(size: int, seed: int, split: str, index: int) -> dict[str, np.ndarray]:
    """Draw a scene, the same on every call.

    Returns:
        ``alpha`` (size, size) and the other :data:`LAYERS` (size, size, 3) in BGR, all uint8.
    """
    # RandomState is frozen by numpy: its stream never changes between versions.
    rng = np.random.RandomState([seed, SPLITS.index(split), index])
    background = photograph_part(rng, split, size)
    color = _contrasting_color(rng, background.mean((0, 1)))
    canvas = np.zeros((size * _SCALE,) * 2, np.uint8)
    paint = np.empty((*canvas.shape, 3), np.uint8)
    paint[:] = color
    radius = canvas.shape[0] * rng.uniform(0.13, 0.2)
    center = canvas.shape[0] * np.array([rng.uniform(0.35, 0.65), rng.uniform(0.36, 0.5)])
    for _ in range(rng.randint(14, 36)):
        _draw_strand(rng, (canvas, paint), color, center, radius)
    _draw_body(rng, (canvas, paint), color, center, radius)
    alpha = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    foreground = cv2.resize(paint, (size, size), interpolation=cv2.INTER_AREA)
    light = cv2.resize(rng.normal(0, 15, (4, 4, 1)), (size, size), interpolation=cv2.INTER_CUBIC)
    foreground = np.clip(foreground + light[..., None], 0, 255).astype(np.uint8)
    opacity = alpha[..., None] / 255
    image = np.rint(opacity * foreground + (1 - opacity) * background).astype(np.uint8)
    return dict(zip(LAYERS, (image, alpha, foreground, background), strict=True))


def _draw_strand(
    rng: np.random.RandomState,
    layers: tuple[np.ndarray, np.ndarray],
    color: np.ndarray,
    center: np.ndarray,
    radius: float,
) -> None:
    """Draw a tapering, curling strand from the upper part of a head into alpha and paint."""
    canvas, paint = layers
    direction = rng.uniform(-np.pi * 1.1, np.pi * 0.1)
    position = center + radius * 0.8 * np.array([np.cos(direction), np.sin(direction)])
    steps, curl = 12, rng.normal(0, 0.12)
    length = radius * rng.uniform(0.8, 1.9) / steps
    width = rng.uniform(1.5, 3.2) * _SCALE
    opacity, shade = rng.randint(170, 256), _shade(rng, color, 25)
    for step in range(steps):
        end = position + length * np.array([np.cos(direction), np.sin(direction)])
        thickness = max(1, round(width * (1 - 0.75 * step / steps)))
        cv2.line(canvas, _point(position), _point(end), opacity, thickness, cv2.LINE_AA)
        # Wider than the strand, so that the foreground's color reaches past its soft edge.
        cv2.line(paint, _point(position), _point(end), shade, thickness + 2 * _SCALE)
        position, direction = end, direction + curl + rng.normal(0, 0.08)
        curl += rng.normal(0, 0.03)


def _draw_body(
    rng: np.random.RandomState,
    layers: tuple[np.ndarray, np.ndarray],
    color: np.ndarray,
    center: np.ndarray,
    radius: float,
) -> None:
    """Draw shoulders and a head into alpha and paint."""
    lean, drop = rng.uniform(-0.4, 0.4) * radius, rng.uniform(1.9, 2.3) * radius
    shoulders = _point(center + (lean, drop))
    axes = _point(radius * rng.uniform((1.5, 1.2), (2.1, 1.5)))
    head = _point(radius * np.array([rng.uniform(0.85, 1.0), 1.0]))
    angle = rng.uniform(-25, 25)
    shades = _shade(rng, color, 30), _shade(rng, color, 30)
    for layer, (lower, upper) in zip(layers, (((255,),) * 2, shades), strict=True):
        cv2.ellipse(layer, shoulders, axes, 0, 0, 360, lower, -1)
        corners = (shoulders[0] - axes[0], shoulders[1]), (shoulders[0] + axes[0], len(layer))
        cv2.rectangle(layer, *corners, lower, -1)
        cv2.ellipse(layer, _point(center), head, angle, 0, 360, upper, -1)


def _point(position: np.ndarray) -> tuple[int, int]:
    return int(round(position[0])), int(round(position[1]))


def _shade(rng: np.random.RandomState, color: np.ndarray, spread: float) -> tuple[float, ...]:
    shade = color + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    return tuple(np.clip(shade, 0, 255).tolist())


def _contrasting_color(rng: np.random.RandomState, mean: np.ndarray) -> np.ndarray:
    """Return a color at some distance from the mean of the background."""
    colors = rng.uniform(0, 255, (8, 3))
    return colors[np.linalg.norm(colors - mean, axis=1).argsort()[rng.randint(4, 8)]]


@DATASETS.register_module()
class MatteScenes(MattingDataset):
    """MatteScenes; the main process draws them when the folder does not exist or is empty.

    Args:
        data_root: Folder of the scenes.
        split: ``'train'`` or ``'val'``.
        settings: Those of :class:`MatteSettings`; a folder with scenes of others is an error. None
            takes whatever the folder has, also other images and mattes in the same folders.
        kwargs: Those of :class:`MattingDataset`.

    Raises:
        ValueError: An unknown split, or a setting that is out of its range.
        DatasetError: As :class:`MattingDataset`, or the folder holds other scenes.
    """

    # The tools do not ask for the folder before it is written.
    generates = True

    def __init__(
        self,
        data_root: str = 'data/matte_scenes',
        split: str = 'train',
        *,
        settings: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.settings = None if settings is None else MatteSettings(**settings)
        prefix = {key: f'{split}/{key}' for key in ('alpha', 'foreground', 'background')}
        super().__init__(data_root, dict(img=f'{split}/image', **prefix), **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return the scenes of the split, after drawing all of them if need be."""
        MATTE_SCENES.ensure_on_machine(self.data_root, self.settings)
        return super().load_data_list()


def _write_scenes(folder: Path, settings: MatteSettings) -> None:
    from rich.progress import track

    for split, count in zip(SPLITS, (settings.num, settings.num_val), strict=True):
        for layer in LAYERS:
            (folder / split / layer).mkdir(parents=True)
        for index in track(range(count), description=f'MatteScenes {split}'):
            scene = render_matte_scene(settings.size, settings.seed, split, index)
            for layer, image in scene.items():
                write_image(folder / split / layer / f'{index:06d}.png', image)


MATTE_SCENES = GeneratedData(
    'MatteScenes', 'matte_scenes.json', VERSION, MatteSettings, _write_scenes, any_files=True
)
