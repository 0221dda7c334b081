"""Window transforms: where the key/value window of every head of every window lies.

A member of the family maps the pixels ``g`` of a window (relative to its centre) to sampling
points ``centre + warp(theta, g)``, with ``theta`` regressed per head and window:

=================================  ============================================  =======
transform                          warp                                          numbers
=================================  ============================================  =======
:class:`FixedWindow`               g                                             none
:class:`VariedSizeWindow`          offset + diag(1 + scale) g                    4
:class:`RotatedVariedSizeWindow`   offset + R diag(1 + scale) g                  5
:class:`Quadrangle`                (offset + R S diag(1 + scale) g) / (1 + p.g)  9
=================================  ============================================  =======

R is a rotation, S a shear, p the projection; they act in coordinates where each axis of the padded
map is [-1, 1], so on an oblong map they are not the rotation and the shear of its pixels.

Adding a member is adding a class: set ``num_params`` and write :meth:`WindowTransform.warp`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.registry import WINDOW_TRANSFORMS

from .precision import without_autocast
from .windows import WindowGeometry

OFFSET_UNITS = ('axis', 'swapped', 'padded')
REGRESSOR_INITS = ('zero', 'torch')


class WindowTransform(nn.Module):
    """Base of the family: a regressor and a warp.

    The regressor is average pooling over the (zero padded) window, LeakyReLU, and a 1x1
    convolution, here a linear layer on the channels-last map (arXiv 2204.08446, section 3.2).

    Args:
        embed_dims: channels C of the input.
        num_heads: attention heads.
        regressor_init: ``'zero'``, so that a fresh model is window attention, or ``'torch'``,
            PyTorch's default as in the authors' code.
        offset_unit: the length that an offset of 1 stands for, half the padded map over the
            number of whole windows along that axis (``'axis'``, the authors' classification
            code) or along the other axis (``'swapped'``, their detection code), or over the
            number of windows of the padded map (``'padded'``, their Swin-VSA and QFormer).
        coords_lambda: add ``10 * coords_lambda`` to the gradient of every normalised coordinate
            that is off the padded map, which pushes it back; a window that is off the map
            altogether reads zeros and has no other gradient, so that it never returns. QFormer's
            authors trained with 0.1 for T and S and 0.5 for B, VSA's without. It is added after
            the loss, whatever the loss's scale.

    Raises:
        ValueError: an unknown ``offset_unit`` or ``regressor_init``, or a negative
            ``coords_lambda``.
    """

    num_params = 0

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        regressor_init: str = 'zero',
        offset_unit: str = 'axis',
        coords_lambda: float = 0.0,
    ) -> None:
        super().__init__()
        if offset_unit not in OFFSET_UNITS:
            raise ValueError(f'offset_unit must be one of {OFFSET_UNITS}, got {offset_unit!r}')
        if regressor_init not in REGRESSOR_INITS:
            raise ValueError(
                f'regressor_init must be one of {REGRESSOR_INITS}, got {regressor_init!r}'
            )
        if coords_lambda < 0:
            raise ValueError(f'coords_lambda must not be negative, got {coords_lambda}')
        self.num_heads = num_heads
        self.offset_unit = offset_unit
        self.coords_lambda = coords_lambda
        if not self.is_static:
            self.regressor = nn.Linear(embed_dims, num_heads * self.num_params)
        self.regressor_init = regressor_init
        self.init_regressor()

    def init_regressor(self) -> None:
        """Give the regressor the start that ``regressor_init`` names."""
        if self.is_static:
            return
        if self.regressor_init == 'torch':
            self.regressor.reset_parameters()
            return
        nn.init.zeros_(self.regressor.weight)
        nn.init.zeros_(self.regressor.bias)

    @property
    def is_static(self) -> bool:
        """True if nothing is regressed: the windows are a partition and need no sampling."""
        return self.num_params == 0

    def predict(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        """(B, H, W, C) -> theta, (B, nH, nW, heads, num_params), in float32 or better."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        # Under autocast too: coordinates in half precision are off by pixels.
        with without_autocast(x.device):
            pooled = _window_mean(x.to(dtype), geometry)
            hidden = F.leaky_relu(pooled)
            weight, bias = self.regressor.weight, self.regressor.bias
            theta = F.linear(hidden, weight.to(dtype), bias.to(dtype))
        return theta.unflatten(-1, (self.num_heads, self.num_params))

    def points(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        """theta -> sampling points (B, nH, nW, heads, ws*ws, 2), (x, y) pixels of the map."""
        grid = geometry.local_grid(theta.device, theta.dtype)
        centers = geometry.centers(theta.device, theta.dtype)[:, :, None, None]
        points = centers + self.warp(theta, grid, geometry)
        if self.coords_lambda:
            points = _PushInside.apply(points, geometry, 10 * self.coords_lambda)
        return points

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        """Move the pixels of a window.

        Args:
            theta: (B, nH, nW, heads, num_params).
            grid: (ws*ws, 2) as (x, y), relative to the centre.
            geometry: the map's.

        Returns:
            (B, nH, nW, heads, ws*ws, 2) as (x, y), relative to the centre.
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
            geometry: the map's.

        Returns:
            (B, nH, nW, heads, 8).

        Raises:
            TypeError: the transform is not a homography.
        """
        raise TypeError(f'{type(self).__name__} is not a homography')

    @property
    def has_homography(self) -> bool:
        """Whether :meth:`homography` is defined."""
        return type(self).homography is not WindowTransform.homography

    def offset(self, prediction: Tensor, geometry: WindowGeometry) -> Tensor:
        """Predicted offsets (..., 2) as (x, y), in windows -> pixels."""
        counts = [max(length // geometry.window_size, 1) for length in geometry.size]
        if self.offset_unit == 'swapped':
            counts.reverse()
        elif self.offset_unit == 'padded':
            counts = list(geometry.grid)
        (half_width, half_height), (rows, columns) = _half_extent(geometry), counts
        unit_x, unit_y = half_width / columns, half_height / rows
        return torch.stack((prediction[..., 0] * unit_x, prediction[..., 1] * unit_y), -1)


def _half_extent(geometry: WindowGeometry) -> tuple[float, float]:
    """(x, y) pixels that 1 stands for where each axis of the padded map is [-1, 1]."""
    height, width = geometry.padded_size
    return (width - 1) / 2, (height - 1) / 2


def _aspect(geometry: WindowGeometry) -> float:
    """Pixels along x over pixels along y of one normalised unit; 1 on a square map."""
    half_width, half_height = _half_extent(geometry)
    return half_width / half_height if half_width and half_height else 1.0


def _window_mean(x: Tensor, geometry: WindowGeometry) -> Tensor:
    """Mean over each window, padding counted as zeros: (B, H, W, C) -> (B, nH, nW, C)."""
    window_size = geometry.window_size
    if geometry.top or geometry.left:
        x = geometry.pad(x)
    pooled = F.avg_pool2d(
        x.permute(0, 3, 1, 2),
        window_size,
        ceil_mode=True,  # padding at the end need not be written: the divisor counts it
        divisor_override=window_size * window_size,
    )
    return pooled.permute(0, 2, 3, 1)


@WINDOW_TRANSFORMS.register_module()
class FixedWindow(WindowTransform):
    """The window itself (W-MSA, arXiv 2103.14030)."""

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        return grid.expand(*theta.shape[:-1], *grid.shape)

    def predict(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        return x.new_zeros(
            x.shape[0],
            *geometry.grid,
            self.num_heads,
            0,
            dtype=torch.promote_types(x.dtype, torch.float32),
        )


@WINDOW_TRANSFORMS.register_module()
class VariedSizeWindow(WindowTransform):
    """Offset and scale (VSA, arXiv 2204.08446, eq. 3 and 4).

    theta is (offset_x, offset_y, scale_x, scale_y); the scale used is ``1 + scale``.
    """

    num_params = 4

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        offset = self.offset(theta[..., :2], geometry).unsqueeze(-2)
        return offset + grid * (1 + theta[..., 2:].unsqueeze(-2))

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        offset_x, offset_y = self.offset(theta[..., :2], geometry).unbind(-1)
        scale_x, scale_y = (1 + theta[..., 2:]).unbind(-1)
        zero = torch.zeros_like(scale_x)
        return torch.stack((scale_x, zero, offset_x, zero, scale_y, offset_y, zero, zero), -1)


@WINDOW_TRANSFORMS.register_module()
class RotatedVariedSizeWindow(WindowTransform):
    """Offset, scale and angle (RVSA, arXiv 2208.03987).

    theta is (offset_x, offset_y, scale_x, scale_y, angle). The window is scaled, then turned about
    its centre by ``angle`` (from x towards y).
    """

    num_params = 5

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        x, y = (grid * (1 + theta[..., None, 2:4])).unbind(-1)  # B, nH, nW, heads, ws*ws
        cos, sin, aspect = theta[..., 4:].cos(), theta[..., 4:].sin(), _aspect(geometry)
        turned = torch.stack((x * cos - y * (aspect * sin), y * cos + x * (sin / aspect)), -1)
        return self.offset(theta[..., :2], geometry).unsqueeze(-2) + turned

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        offset_x, offset_y = self.offset(theta[..., :2], geometry).unbind(-1)
        scale_x, scale_y = (1 + theta[..., 2:4]).unbind(-1)
        cos, sin, aspect = theta[..., 4].cos(), theta[..., 4].sin(), _aspect(geometry)
        row_x = (scale_x * cos, -scale_y * (aspect * sin), offset_x)
        row_y = (scale_x * (sin / aspect), scale_y * cos, offset_y)
        zero = torch.zeros_like(cos)
        return torch.stack((*row_x, *row_y, zero, zero), -1)


@WINDOW_TRANSFORMS.register_module()
class Quadrangle(WindowTransform):
    """Offset, scale, shear, projection and angle (QFormer, arXiv 2303.15105).

    theta is (offset_x, offset_y, scale_x, scale_y, shear_x, shear_y, project_x, project_y, angle).
    The angle turns the other way round than RVSA's (from y towards x), as in the authors' code.

    Args:
        skip_single_window: where the map is a single window, use that window itself.

    The other arguments are those of :class:`WindowTransform`.
    """

    num_params = 9

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        regressor_init: str = 'zero',
        offset_unit: str = 'padded',
        coords_lambda: float = 0.0,
        skip_single_window: bool = True,
    ) -> None:
        super().__init__(embed_dims, num_heads, regressor_init, offset_unit, coords_lambda)
        self.skip_single_window = skip_single_window

    def predict(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        theta = super().predict(x, geometry)
        # Times zero rather than left out: distributed training wants every parameter used.
        single = self.skip_single_window and geometry.grid == (1, 1)
        return theta * 0 if single else theta

    def warp(self, theta: Tensor, grid: Tensor, geometry: WindowGeometry) -> Tensor:
        offset = self.offset(theta[..., :2], geometry)
        scale, shear, projection, angle = theta[..., 2:].split((2, 2, 2, 1), -1)
        aspect, (half_x, half_y) = _aspect(geometry), _half_extent(geometry)
        x, y = (grid * (1 + scale.unsqueeze(-2))).unbind(-1)  # B, nH, nW, heads, ws*ws
        x, y = x + shear[..., :1] * aspect * y, y + shear[..., 1:] / aspect * x
        cos, sin = angle.cos(), angle.sin()
        x, y = x * cos + y * (aspect * sin), y * cos - x * (sin / aspect)
        normalised_x, normalised_y = grid[:, 0] / (half_x or 1), grid[:, 1] / (half_y or 1)
        depth = 1 + projection[..., :1] * normalised_x + projection[..., 1:] * normalised_y
        depth = torch.where(depth == 0, 1e-6, depth)
        return (offset.unsqueeze(-2) + torch.stack((x, y), -1)) / depth.unsqueeze(-1)

    def homography(self, theta: Tensor, geometry: WindowGeometry) -> Tensor:
        offset_x, offset_y = self.offset(theta[..., :2], geometry).unbind(-1)
        scale_x, scale_y, shear_x, shear_y, project_x, project_y, angle = theta[..., 2:].unbind(-1)
        scale_x, scale_y, cos, sin = 1 + scale_x, 1 + scale_y, angle.cos(), angle.sin()
        aspect, (half_x, half_y) = _aspect(geometry), _half_extent(geometry)
        row_x = (scale_x * (cos + shear_y * sin), scale_y * aspect * (shear_x * cos + sin))
        row_y = (scale_x / aspect * (shear_y * cos - sin), scale_y * (cos - shear_x * sin))
        depth = (project_x / (half_x or 1), project_y / (half_y or 1))
        return torch.stack((*row_x, offset_x, *row_y, offset_y, *depth), -1)


class _PushInside(torch.autograd.Function):
    """The identity; its gradient pulls coordinates off the padded map back onto it."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, geometry: WindowGeometry, strength: float) -> Tensor:
        pushes = []
        # The authors leave a margin of 0.001 normalised units for rounding.
        for axis, half in enumerate(_half_extent(geometry)):
            start = (-geometry.left, -geometry.top)[axis]
            distance = points[..., axis] - (start + half)
            outside = distance.abs() > 1.001 * half
            # A push per normalised unit is 1 / half of it per pixel.
            pushes.append(outside * distance.sign() * (strength / (half or 1)))
        ctx.save_for_backward(torch.stack(pushes, -1))
        return points.view_as(points)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (push,) = ctx.saved_tensors
        return gradient + push, None, None


def build_window_transform(
    config: str | dict | None, embed_dims: int, num_heads: int
) -> WindowTransform:
    """A transform from its config: a registered name, a dict with ``type``, or None (fixed)."""
    if config is None:
        config = 'FixedWindow'
    if isinstance(config, str):
        config = dict(type=config)
    if 'type' not in config:
        config = dict(type='VariedSizeWindow', **config)
    options = {key: value for key, value in config.items() if key != 'type'}
    name = config['type'].removeprefix('mmvsa.')
    # `get` rather than `build`: the family has one registry, whatever the default scope is.
    transform = WINDOW_TRANSFORMS.get(name)
    if transform is None:
        known = sorted(WINDOW_TRANSFORMS.module_dict)
        raise ValueError(f'unknown window transform {name!r}; choose one of {known}')
    return transform(embed_dims=embed_dims, num_heads=num_heads, **options)
