"""The windows that attention has learned, as one image makes it choose them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mmvsa.models import SampledWindowAttention


@dataclass(frozen=True)
class AttentionWindows:
    """Windows of one attention module for one image.

    Coordinates are (x, y) in pixels of the map, whose pixels have their centers at integers.

    Attributes:
        name: Of the module.
        points: (heads, nH, nW, ws*ws, 2), where keys are sampled.
        fixed: (1, nH, nW, ws*ws, 2), the pixels of the default windows.
        map_size: (H, W) of the map.
        values: (heads, nH, nW, ws*ws, 2), where values are sampled, if the module has separate
            windows for them.
        weights: (heads, nH, nW, ws*ws, ws*ws), what each query pays to each key, if asked for.
    """

    name: str
    points: np.ndarray
    fixed: np.ndarray
    map_size: tuple[int, int]
    values: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def num_heads(self) -> int:
        """Number of attention heads."""
        return len(self.points)

    @property
    def window_size(self) -> int:
        """Side of a default window, in pixels of the map."""
        return math.isqrt(self.points.shape[3])

    @property
    def grid(self) -> tuple[int, int]:
        """Number of windows (nH, nW)."""
        return self.points.shape[1], self.points.shape[2]

    @property
    def stage(self) -> int:
        """Number of the stage; 0 in a backbone without stages."""
        parts = self.name.split('.')
        return int(parts[parts.index('stages') + 1]) if 'stages' in parts else 0

    @property
    def title(self) -> str:
        """Name without what all names share: ``'backbone.stages.0.blocks.1.attn'``."""
        return self.name.removeprefix('backbone.').removesuffix('.attn')

    @property
    def separate(self) -> bool:
        """Whether values have windows of their own."""
        return self.values is not None

    @property
    def sources(self) -> np.ndarray:
        """Where attention reads: (heads, nH, nW, ws*ws, 2), the points of the values."""
        return self.points if self.values is None else self.values

    def to_image(self, points: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Convert (..., 2) from pixels of the map to those of an image of (height, width)."""
        return (points + 0.5) * self.scale(image_size) - 0.5

    def scale(self, image_size: tuple[int, int]) -> np.ndarray:
        """Return the pixels of the image per pixel of the map, as (x, y)."""
        return np.array(image_size[::-1]) / np.array(self.map_size[::-1])

    def locate(self, query: tuple[float, float], image_size: tuple[int, int]) -> tuple[int, ...]:
        """Return (row, column) of the window of a pixel (x, y) of the image, and its place there.

        Raises:
            ValueError: The pixel lies outside the image.
        """
        height, width = image_size
        if not (0 <= query[0] < width and 0 <= query[1] < height):
            shown = ','.join(f'{value:g}' for value in query)
            raise ValueError(f'the query {shown} is outside the image of {width} x {height} pixels')
        pixel = np.floor(np.array(query) / self.scale(image_size))
        first = self.fixed[0, 0, 0, 0]  # of the first window: negative with padding before the map
        x, y = (int(value) for value in pixel - first)
        size = self.window_size
        return y // size, x // size, y % size * size + x % size

    def corners(self, image_size: tuple[int, int], fixed: bool = False) -> np.ndarray:
        """Return outlines of the windows that values are read in, or of the default ones.

        (heads, nH * nW, 4, 2), (x, y) in pixels of the image.
        """
        points = self.fixed if fixed else self.sources
        return self.outlines(points.reshape(len(points), -1, *points.shape[3:]), image_size)

    def outlines(self, points: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Return outlines of windows: (..., ws*ws, 2) -> (..., 4, 2) in pixels of the image.

        The points are pixel centers; an outline runs half a step of the grid outside the outer
        ones, so that a default window's outline is the border of its pixels.
        """
        size = self.window_size
        points = points.reshape(*points.shape[:-2], size, size, 2)
        if size > 1:
            quads = _extrapolated_corners(points)
        else:
            half = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
            quads = points[..., 0, 0, None, :] + half
        return self.to_image(quads, image_size)

    def cells(self, points: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Return the area around each point: (ws*ws, 2) -> (ws*ws, 4, 2) in pixels of the image."""
        size = self.window_size
        grid = points.reshape(size, size, 2)
        if size > 1:
            down, right = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
        else:
            down, right = np.array([[[0.0, 1.0]]]), np.array([[[1.0, 0.0]]])
        signs = ((-1, -1), (-1, 1), (1, 1), (1, -1))
        corners = [grid + 0.5 * (i * down + j * right) for i, j in signs]
        return self.to_image(np.stack(corners, -2).reshape(-1, 4, 2), image_size)

    def is_off_map(self, points: np.ndarray) -> np.ndarray:
        """Return which of (..., 2) points lie outside all pixels of the map."""
        limit = np.array(self.map_size[::-1]) - 0.5
        return np.any((points < -0.5) | (points > limit), axis=-1)

    def shapes(self) -> 'WindowShapes':
        """Return how every window that values are read in differs from its default one."""
        size = self.window_size
        grid = self.sources.reshape(*self.points.shape[:3], size, size, 2)
        if size > 1:
            right = (grid[..., -1, :] - grid[..., 0, :]).mean(-2) / (size - 1)
            down = (grid[..., -1, :, :] - grid[..., 0, :, :]).mean(-2) / (size - 1)
        else:
            right, down = (np.broadcast_to(axis, grid.shape[:3] + (2,)) for axis in np.eye(2))
        return WindowShapes(
            offset=self.sources.mean(-2) - self.fixed.mean(-2),
            size=np.stack([np.linalg.norm(right, axis=-1), np.linalg.norm(down, axis=-1)], -1),
            angle=np.degrees(np.arctan2(right[..., 1], right[..., 0])),
            off_map=self.is_off_map(self.sources).mean(-1),
        )


@dataclass(frozen=True)
class WindowShapes:
    """How windows differ from their default ones; all arrays begin with (heads, nH, nW).

    Attributes:
        offset: (..., 2), (x, y) from the default center, in pixels of the map.
        size: (..., 2), width and height relative to the default window.
        angle: Degrees from the horizontal to the rows of the window, clockwise as one sees it.
        off_map: Share of the sampling points that are off the map, where they read zero.
    """

    offset: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    off_map: np.ndarray


def _extrapolated_corners(points: np.ndarray) -> np.ndarray:
    """(..., ws, ws, 2) -> (..., 4, 2): each corner moved out by half a step along both axes."""
    corners = []
    for row, inner_row, col, inner_col in (
        (0, 1, 0, 1),
        (0, 1, -1, -2),
        (-1, -2, -1, -2),
        (-1, -2, 0, 1),
    ):
        corner = points[..., row, col, :]
        step = (corner - points[..., inner_row, col, :]) + (corner - points[..., row, inner_col, :])
        corners.append(corner + 0.5 * step)
    return np.stack(corners, axis=-2)


@torch.no_grad()
def collect_windows(
    model: nn.Module, image: Tensor, *, weights: bool = False
) -> list[AttentionWindows]:
    """Return the windows of every varied-size attention in ``model`` for one image.

    Args:
        model: Anything that takes ``image``; it is put into evaluation mode and back.
        image: (1, 3, H, W), normalized.
        weights: Compute the attention weights too.
    """
    found: list[AttentionWindows] = []
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, SampledWindowAttention):
            handles.append(module.register_forward_pre_hook(_recorder(name, found, weights)))
    training = model.training
    model.eval()
    try:
        model(image)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found


def _recorder(name: str, found: list[AttentionWindows], weights: bool) -> Callable:
    def record(module: SampledWindowAttention, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        geometry = module.geometry(x)
        centers = geometry.centers(torch.device('cpu'), torch.float32)[:, :, None]
        fixed = centers + geometry.local_grid(torch.device('cpu'), torch.float32)
        points = module.window_points(x)[0].float().cpu().numpy()
        found.append(
            AttentionWindows(
                name=name,
                points=points[: module.num_heads],
                fixed=fixed[None].numpy(),
                map_size=geometry.size,
                values=points[module.num_heads :] if module.spec.separate_windows else None,
                weights=module.attention_weights(x)[0].float().cpu().numpy() if weights else None,
            )
        )

    return record


def by_stage(layers: Sequence[AttentionWindows]) -> dict[int, list[AttentionWindows]]:
    """Return the layers of every stage that has some, in the order of the forward pass."""
    stages: dict[int, list[AttentionWindows]] = {}
    for layer in layers:
        stages.setdefault(layer.stage, []).append(layer)
    return stages


def representative_layers(layers: Sequence[AttentionWindows]) -> list[AttentionWindows]:
    """Return the last layer of each stage whose map has more than one window.

    Where no map has, the last layer of all.
    """
    several = [layer for layer in layers if math.prod(layer.grid) > 1]
    return [stage[-1] for stage in by_stage(several or layers[-1:]).values()]


def displayed_image(image: Tensor, preprocessor: nn.Module) -> np.ndarray:
    """Undo the normalization of a data preprocessor: (1, C, H, W) -> (H, W, 3) uint8, RGB."""
    mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
    pixels = image[0].float()
    if isinstance(mean, Tensor) and isinstance(std, Tensor):
        pixels = pixels * std.to(pixels) + mean.to(pixels)
    pixels = pixels.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    return as_rgb(pixels.cpu().numpy())


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return the first three bands of (H, W, C), or the first of one or two as gray."""
    return image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
