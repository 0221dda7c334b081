"""Every window transform as the 8 numbers of a homography."""

import pytest
import torch

from mmvsa.models.layers.window_transforms import WindowTransform, build_window_transform
from mmvsa.ops import AttentionSpec, WindowGeometry
from mmvsa.ops.triton_attention import unsupported_reasons

TRANSFORMS = ('VariedSizeWindow', 'RotatedVariedSizeWindow', 'Quadrangle')
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def moved(windows, grid):
    """Apply homographies (..., 8) to a grid (N, 2): (..., N, 2)."""
    a, b, c, d, e, f, g, h = windows.unsqueeze(-1).unbind(-2)
    x, y = grid.unbind(-1)
    depth = 1 + g * x + h * y
    depth = torch.where(depth == 0, 1e-6, depth)
    return torch.stack((a * x + b * y + c, d * x + e * y + f), -1) / depth.unsqueeze(-1)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('padding', ['end', 'center'])
@pytest.mark.parametrize('size', [(14, 21), (9, 17), (5, 6)])
@pytest.mark.parametrize('name', TRANSFORMS)
def test_homography_gives_the_same_points(name, size, padding, dtype):
    geometry = WindowGeometry.of(size, 7, padding)
    transform = build_window_transform(name, 8, 2)
    generator = torch.Generator().manual_seed(0)
    shape = (2, *geometry.grid, 2, transform.num_params)
    theta = 0.3 * torch.randn(shape, generator=generator, dtype=dtype)
    windows = transform.homography(theta, geometry)
    assert windows.shape == (*shape[:-1], 8) and windows.dtype == dtype
    centers = geometry.centers(theta.device, dtype)[:, :, None, None]
    points = centers + moved(windows, geometry.local_grid(theta.device, dtype))
    expected = transform.points(theta, geometry)
    error = (points - expected).abs().max() / expected.abs().max()
    assert error <= TOLERANCE[dtype]


def test_depth_of_zero_is_replaced_as_in_points():
    geometry = WindowGeometry.of((9, 9), 3)
    transform = build_window_transform('Quadrangle', 8, 1)
    theta = torch.zeros(1, 3, 3, 1, 9, dtype=torch.float64)
    theta[..., :2] = 0.5
    theta[..., 6] = -4  # half of the map is 4 pixels: the depth is 0 one pixel right of the center
    grid = geometry.local_grid(theta.device, theta.dtype)
    centers = geometry.centers(theta.device, theta.dtype)[:, :, None, None]
    points = centers + moved(transform.homography(theta, geometry), grid)
    expected = transform.points(theta, geometry)
    assert expected.abs().max() > 1e5
    torch.testing.assert_close(points, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('name', TRANSFORMS)
def test_homography_is_differentiable(name):
    geometry = WindowGeometry.of((5, 7), 3)
    transform = build_window_transform(name, 8, 1)
    generator = torch.Generator().manual_seed(0)
    shape = (1, *geometry.grid, 1, transform.num_params)
    theta = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    theta.requires_grad_()
    assert torch.autograd.gradcheck(lambda theta: transform.homography(theta, geometry), theta)


def test_transform_without_a_homography_says_so():
    class Bent(WindowTransform):
        num_params = 1

    transform = Bent(8, 1)
    assert not transform.has_homography
    assert build_window_transform('Quadrangle', 8, 1).has_homography
    with pytest.raises(TypeError, match='Bent is not a homography'):
        transform.homography(torch.zeros(1), WindowGeometry.of((7, 7), 7))


def test_backend_that_needs_a_homography_says_so():
    spec = AttentionSpec(num_heads=1, head_dims=8, window_size=7, scale=1.0, homography=False)
    assert 'homography' in unsupported_reasons(spec)[0]
