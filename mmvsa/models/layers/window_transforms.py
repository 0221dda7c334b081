"""Window transforms: where the key/value window of every head of every window lies.

A member of the family maps the pixels ``g`` of a window (relative to its center) to sampling
points ``center + warp(theta, g)``, with ``theta`` regressed per head and window:

=================================  ============================================  =======
transform                          warp                                          numbers
=================================  ============================================  =======
:class:`VariedSizeWindow`          offset + diag(1 + scale) g                    4
:class:`RotatedVariedSizeWindow`   offset + R diag(1 + scale) g                  5
:class:`Quadrangle`                (offset + R S diag(1 + scale) g) / (1 + p.g)  9
=================================  ============================================  =======

R is a rotation, S a shear, p the projection; they act in coordinates where each axis of the padded
map is [-1, 1], so on a non-square map they are not the rotation and the shear of its pixels.

To add a member, add a class: set ``num_params`` and write :meth:`WindowTransform.warp`.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.models.checks import (
    check_bool,
    check_choice,
    check_int,
    check_number,
)
from mmvsa.ops.precision import without_autocast
from mmvsa.ops.windows import WindowGeometry
from mmvsa.registry import WINDOW_TRANSFORMS
from mmvsa.suggestions import did_you_mean

OFFSET_UNITS = ('axis', 'swapped', 'padded')
REGRESSOR_INITS = ('zero', 'torch')


class WindowTransform(nn.Module):
    """Base of the family: a regressor and a warp.

    The regressor is average pooling over the (zero padded) window, LeakyReLU, and a 1x1
    convolution, here a linear layer on the channels-last map (arXiv 2204.08446, section 3.2).

    Args:
        embed_dims: Channels C of the input.
        num_heads: Attention heads.
        regressor_init: ``'zero'``, so that a fresh model is window attention, or ``'torch'``,
            PyTorch's default as in the official implementation.
        offset_unit: The length that an offset of 1 stands for: half the padded map over the
            number of whole windows along that axis (``'axis'``, ViTAE-VSA's classification
            code) or along the other axis (``'swapped'``, its detection code), or over the
            number of windows of the padded map (``'padded'``, the QFormer repository).
        coords_lambda: Add ``10 * coords_lambda`` to the gradient of every normalized coordinate
            that is off the padded map, which pushes it back; a window that is off the map
            altogether reads zeros and has no other gradient, so that it never returns. QFormer
            was trained with 0.1 for T and S and 0.5 for B, VSA without. It is added after the
            loss, whatever the loss's scale.

    Raises:
        ValueError: An argument outside its range or choices.
        TypeError: An argument of the wrong type.
    """

    num_params = 0

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        regressor_init: str = 'zero',
        offset_unit: str = 'axis',
        coords_lambda: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = check_int('num_heads', num_heads)
        self.regressor_init = check_choice('regressor_init', regressor_init, REGRESSOR_INITS)
        self.offset_unit = check_choice('offset_unit', offset_unit, OFFSET_UNITS)
        self.coords_lambda = check_number('coords_lambda', coords_lambda)
        self.regressor = nn.Linear(check_int('embed_dims', embed_dims), num_heads * self.num_params)
        self.init_regressor()

    def init_regressor(self) -> None:
        """Initialize the regressor as ``regressor_init`` says."""
        if self.regressor_init == 'torch':
            self.regressor.reset_parameters()
            return
        nn.init.zeros_(self.regressor.weight)
        nn.init.zeros_(self.regressor.bias)

    def forward(self, x: Tensor, geometry: WindowGeometry) -> 'SampledWindows':
        """Predict the windows of a (B, H, W, C) map."""
        return SampledWindows(self, self.predict(x, geometry), geometry)

    def predict(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        """Regress theta in float32 or better: (B, H, W, C) -> (B, nH, nW, heads, num_params)."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        # Under autocast too: coordinates in half precision are off by pixels.
        with without_autocast(x.device):
            pooled = geometry.pool(x.to(dtype))
            weight, bias = self.regressor.weight, self.regressor.bias
            theta = F.linear(F.leaky_relu(pooled), weight.to(dtype), bias.to(dtype))
        return theta.unflatten(-1, (self.num_heads, self.num_params))

    def points(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """Return the sampling points of ``theta``, (B, nH, nW, heads, ws*ws, 2).

        They are (x, y) in pixels of the map.
        """
        grid = geometry.local_grid(theta.device, theta.dtype)
        centers = geometry.centers(theta.device, theta.dtype)[:, :, None, None]
        points = centers + self.warp(theta, grid, geometry)
        if self.push:
            points = _PushInside.apply(points, geometry, self.push)
        return points

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        """Move the pixels of a window.

        Args:
            theta: (B, nH, nW, heads, num_params).
            grid: (ws*ws, 2) as (x, y), relative to the center.
            geometry: The map's.

        Returns:
            (B, nH, nW, heads, ws*ws, 2) as (x, y), relative to the center.
        """
        raise TypeError(f'{type(self).__name__} must define warp()')

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """Return :meth:`warp` as the 8 numbers (a, ..., h) of a homography.

        A pixel (x, y) of the window is moved to (a x + b y + c, d x + e y + f) / (g x + h y + 1),
        both relative to the center of the window, in pixels; a depth of zero counts as 1e-6. The
        order is that of torchvision's perspective coefficients. Kernels that sample inside
        attention take these numbers instead of points; a transform that has no such form keeps
        this method, and other backends compute it.

        Args:
            theta: (B, nH, nW, heads, num_params).
            geometry: The map's.

        Returns:
            (B, nH, nW, heads, 8).

        Raises:
            TypeError: The transform is not a homography.
        """
        raise TypeError(f'{type(self).__name__} is not a homography')

    @property
    def push(self) -> float:
        """What is added to the gradient of a normalized coordinate that is off the map."""
        return 10 * self.coords_lambda

    @property
    def has_homography(self) -> bool:
        """Whether :meth:`homography` is defined."""
        return type(self).homography is not WindowTransform.homography

    def offset(self, prediction: Tensor, geometry: WindowGeometry) -> Tensor:
        """Convert predicted offsets (..., 2) as (x, y) from windows to pixels."""
        unit_x, unit_y = self.offset_pixels(geometry)
        return torch.stack((prediction[..., 0] * unit_x, prediction[..., 1] * unit_y), -1)

    def offset_pixels(self, geometry: WindowGeometry) -> tuple[float, float]:
        """Return the pixels along (x, y) that an offset of 1 stands for."""
        counts = [torch.sym_max(length // geometry.window_size, 1) for length in geometry.size]
        if self.offset_unit == 'swapped':
            counts.reverse()
        elif self.offset_unit == 'padded':
            counts = list(geometry.grid)
        (half_width, half_height), (rows, columns) = _half_extent(geometry), counts
        return half_width / columns, half_height / rows  # type: ignore[return-value]


@dataclass(frozen=True)
class SampledWindows:
    """The predicted windows of a map, in the forms that backends take.

    Attributes:
        transform: What predicted them.
        theta: (B, nH, nW, heads, num_params).
        geometry: The windows of the queries.
    """

    transform: WindowTransform
    theta: Tensor
    geometry: WindowGeometry

    @property
    def points(self) -> Tensor:
        """Sampling points, (B, nH, nW, heads, ws*ws, 2), (x, y) in pixels of the map."""
        return self.transform.points(self.theta, self.geometry)

    @property
    def homography(self) -> Tensor:
        """Numbers of the windows' homographies, (B, nH, nW, heads, 8)."""
        return self.transform.homography(self.theta, self.geometry)

    @property
    def push(self) -> float:
        """Gradient that pushes coordinates back onto the map; that of the points includes it."""
        return self.transform.push


def _half_extent(geometry: WindowGeometry) -> tuple[float, float]:
    """Return the (x, y) pixels of one unit where each axis of the padded map is [-1, 1]."""
    height, width = geometry.padded_size
    return (width - 1) / 2, (height - 1) / 2


def _aspect(geometry: WindowGeometry) -> float:
    """Return pixels along x over pixels along y of one normalized unit; 1 on a square map."""
    half_width, half_height = _divisors(geometry)
    return half_width / half_height


def _divisors(geometry: WindowGeometry) -> tuple[float, float]:
    """Return :func:`_half_extent`, and 0.5 for zero: what it divides is zero on such a map."""
    # The larger of integers, since exporters cannot compare fractions of a height left open.
    height, width = (torch.sym_max(length - 1, 1) for length in geometry.padded_size)
    return width / 2, height / 2  # type: ignore[return-value]


@WINDOW_TRANSFORMS.register_module()
class VariedSizeWindow(WindowTransform):
    """Offset and scale (VSA, arXiv 2204.08446, eq. 3 and 4).

    theta is (offset_x, offset_y, scale_x, scale_y); the scale used is ``1 + scale``.
    """

    num_params = 4

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        """Scale the window, then move it."""
        offset = self.offset(theta[..., :2], geometry).unsqueeze(-2)
        return offset + grid * (1 + theta[..., 2:].unsqueeze(-2))

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """Return the numbers of :meth:`warp`, see :meth:`WindowTransform.homography`."""
        (unit_x, unit_y), (x, y, scale_x, scale_y) = self.offset_pixels(geometry), theta.unbind(-1)
        zero = torch.zeros_like(x)
        row_x, row_y = (1 + scale_x, zero, unit_x * x), (zero, 1 + scale_y, unit_y * y)
        return torch.stack((*row_x, *row_y, zero, zero), -1)


@WINDOW_TRANSFORMS.register_module()
class RotatedVariedSizeWindow(WindowTransform):
    """Offset, scale and angle (RVSA, arXiv 2208.03987).

    theta is (offset_x, offset_y, scale_x, scale_y, angle). The window is scaled, then turned about
    its center by ``angle`` (from x towards y).
    """

    num_params = 5

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        """Scale the window, rotate it about its center, then move it."""
        x, y = (grid * (1 + theta[..., None, 2:4])).unbind(-1)  # B, nH, nW, heads, ws*ws
        cos, sin, aspect = theta[..., 4:].cos(), theta[..., 4:].sin(), _aspect(geometry)
        turned = torch.stack((x * cos - y * (aspect * sin), y * cos + x * (sin / aspect)), -1)
        return self.offset(theta[..., :2], geometry).unsqueeze(-2) + turned

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """Return the numbers of :meth:`warp`, see :meth:`WindowTransform.homography`."""
        (unit_x, unit_y), aspect = self.offset_pixels(geometry), _aspect(geometry)
        x, y, scale_x, scale_y, angle = theta.unbind(-1)
        scale_x, scale_y, cos, sin = 1 + scale_x, 1 + scale_y, angle.cos(), angle.sin()
        row_x = (scale_x * cos, -aspect * scale_y * sin, unit_x * x)
        row_y = (scale_x * sin / aspect, scale_y * cos, unit_y * y)
        zero = torch.zeros_like(cos)
        return torch.stack((*row_x, *row_y, zero, zero), -1)


@WINDOW_TRANSFORMS.register_module()
class Quadrangle(WindowTransform):
    """Offset, scale, shear, projection and angle (QFormer, arXiv 2303.15105).

    theta is (offset_x, offset_y, scale_x, scale_y, shear_x, shear_y, project_x, project_y, angle).
    The angle turns opposite to RVSA's (from y towards x), as in the official implementation.

    Args:
        embed_dims: Channels C of the input.
        num_heads: Attention heads.
        offset_unit: As in :class:`WindowTransform`.
        skip_single_window: Where the map is a single window, use that window itself.
        options: ``regressor_init`` and ``coords_lambda`` of :class:`WindowTransform`.
    """

    num_params = 9

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        offset_unit: str = 'padded',
        skip_single_window: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, offset_unit=offset_unit, **options)
        self.skip_single_window = check_bool('skip_single_window', skip_single_window)

    def predict(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        """Regress theta, zero for a single window if that is to be skipped."""
        theta = super().predict(x, geometry)
        # Times zero rather than left out: distributed training wants every parameter used.
        single = self.skip_single_window and geometry.grid == (1, 1)
        return theta * 0 if single else theta

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        """Scale, shear and rotate the window, move it, then project it."""
        offset = self.offset(theta[..., :2], geometry)
        scale, shear, projection, angle = theta[..., 2:].split((2, 2, 2, 1), -1)
        aspect, (half_x, half_y) = _aspect(geometry), _divisors(geometry)
        x, y = (grid * (1 + scale.unsqueeze(-2))).unbind(-1)  # B, nH, nW, heads, ws*ws
        x, y = x + shear[..., :1] * aspect * y, y + shear[..., 1:] / aspect * x
        cos, sin = angle.cos(), angle.sin()
        x, y = x * cos + y * (aspect * sin), y * cos - x * (sin / aspect)
        normalized_x, normalized_y = grid[:, 0] / half_x, grid[:, 1] / half_y
        depth = 1 + projection[..., :1] * normalized_x + projection[..., 1:] * normalized_y
        depth = torch.where(depth == 0, 1e-6, depth)
        return (offset.unsqueeze(-2) + torch.stack((x, y), -1)) / depth.unsqueeze(-1)

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """Return the numbers of :meth:`warp`, see :meth:`WindowTransform.homography`."""
        (unit_x, unit_y), (half_x, half_y) = self.offset_pixels(geometry), _divisors(geometry)
        x, y, scale_x, scale_y, shear_x, shear_y, project_x, project_y, angle = theta.unbind(-1)
        scale_x, scale_y, cos, sin = 1 + scale_x, 1 + scale_y, angle.cos(), angle.sin()
        aspect = _aspect(geometry)
        row_x = (scale_x * (cos + shear_y * sin), scale_y * aspect * (shear_x * cos + sin))
        row_y = (scale_x / aspect * (shear_y * cos - sin), scale_y * (cos - shear_x * sin))
        depth = (project_x / half_x, project_y / half_y)
        return torch.stack((*row_x, unit_x * x, *row_y, unit_y * y, *depth), -1)


class _PushInside(torch.autograd.Function):
    """The identity; its gradient pulls coordinates off the padded map back onto it."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, geometry: WindowGeometry, strength: float) -> Tensor:
        """Return the points and remember which are off the map."""
        pushes = []
        # QFormer leaves a margin of 0.001 normalized units for rounding.
        for axis, half in enumerate(_half_extent(geometry)):
            start = (-geometry.left, -geometry.top)[axis]
            distance = points[..., axis] - (start + half)
            outside = distance.abs() > 1.001 * half
            # A push per normalized unit is 1 / half of it per pixel.
            pushes.append(outside * distance.sign() * (strength / (half or 1)))
        ctx.save_for_backward(torch.stack(pushes, -1))
        return points.view_as(points)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Add the push to the gradient."""
        (push,) = ctx.saved_tensors
        return gradient + push, None, None


def build_window_transform(
    config: str | dict[str, Any], embed_dims: int, num_heads: int
) -> WindowTransform:
    """Build a window transform from a registered name or a dict with ``type``.

    Raises:
        ValueError: An unknown name, an option outside its range.
        TypeError: An option that the transform does not have.
    """
    if not isinstance(config, (str, dict)):
        raise TypeError(f'transform must be a name or a dict with type, got {config!r}')
    options = dict(type=config) if isinstance(config, str) else dict(config)
    name = str(options.pop('type', None)).removeprefix('mmvsa.')
    # `get` rather than `build`: the family has one registry, whatever the default scope is.
    transform = WINDOW_TRANSFORMS.get(name)
    if transform is None:
        known = sorted(WINDOW_TRANSFORMS.module_dict)
        raise ValueError(
            f'unknown window transform {name!r}; choose one of {known}{did_you_mean(name, known)}'
        )
    return transform(embed_dims, num_heads, **options)
