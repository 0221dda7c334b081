"""Every sampler against bilinear interpolation written out in float64."""

import pytest
import torch

from mmvsa.ops.mmcv_sampling import im2col_step, sample_mmcv, torch_twin
from mmvsa.ops.torch_sampling import sample_torch


def mmcv_twin(kv, points):
    return sample_mmcv(kv, points, op=torch_twin)


def interpolate(kv, points):
    """The definition: a weighted sum of the four pixels around a point, zero outside the map."""
    height, width = kv.shape[1:3]
    low = points.detach().floor()
    total = 0
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = low[..., 0] + dx, low[..., 1] + dy
            weight = (1 - (points[..., 0] - x).abs()) * (1 - (points[..., 1] - y).abs())
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            rows, columns = (v.clamp(0, n - 1).long() for v, n in ((y, height), (x, width)))
            batch = torch.arange(len(kv)).view(-1, 1, 1, 1, 1)
            heads = torch.arange(kv.shape[3]).view(-1, 1)
            total = total + kv[batch, rows, columns, heads] * (weight * inside).unsqueeze(-1)
    return total


def make_inputs(dtype=torch.float64):
    kv = torch.randn(2, 5, 8, 3, 4, dtype=dtype)
    # also far outside the map
    points = torch.rand(2, 2, 3, 3, 6, 2, dtype=torch.float64) * 16 - 4
    return kv.requires_grad_(), points.to(
        torch.promote_types(dtype, torch.float32)
    ).requires_grad_()


@pytest.mark.parametrize('sample', [sample_torch, mmcv_twin])
def test_forward_and_gradients_match_interpolation(sample):
    kv, points = make_inputs()
    expected = interpolate(kv, points)
    gradient = torch.randn_like(expected)
    expected_grads = torch.autograd.grad(expected, (kv, points), gradient)
    out = sample(kv, points)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)
    grads = torch.autograd.grad(out, (kv, points), gradient)
    for actual, expected in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('sample', [sample_torch, mmcv_twin])
def test_half_precision_keeps_float32_coordinates(sample, dtype):
    kv, points = make_inputs(dtype)
    out = sample(kv, points)
    assert out.dtype == dtype
    expected = interpolate(kv.detach().double(), points.detach().double())
    # nothing but the rounding of the result is lost
    tolerance = torch.finfo(dtype).eps * expected.abs().max().item()
    assert (out.double() - expected).abs().max() <= tolerance


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (5, 1), (4, 4)])
def test_whole_pixels_are_read_to_rounding(size):
    kv = torch.randn(1, *size, 1, 3)
    y, x = torch.meshgrid(*map(torch.arange, size), indexing='ij')
    points = torch.stack((x, y), -1).float().view(1, 1, 1, 1, -1, 2)
    out = sample_torch(kv, points)
    torch.testing.assert_close(out.view(*size, 3), kv[0, :, :, 0], rtol=0, atol=2e-6)


@pytest.mark.parametrize('sample', [sample_torch, mmcv_twin])
def test_channels_may_have_parts(sample):
    kv, points = make_inputs()
    parts = kv.unflatten(-1, (2, 2))
    assert torch.equal(sample(parts, points), sample(kv, points))
    strided = parts.permute(0, 1, 2, 4, 3, 5).contiguous().permute(0, 1, 2, 4, 3, 5)
    assert torch.equal(sample(strided, points), sample(kv, points))


def test_not_a_number_gives_not_a_number():
    kv = torch.randn(1, 4, 4, 1, 3)
    points = torch.full((1, 1, 1, 1, 2, 2), float('nan'))
    assert sample_torch(kv, points).isnan().all()


def test_im2col_step_divides_the_batch():
    for batch in range(1, 200):
        assert batch % im2col_step(batch) == 0
    assert im2col_step(128) == 64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('batch', [1, 3, 65])
def test_mmcv_op_on_the_gpu(batch):
    kv = torch.randn(batch, 5, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(batch, 2, 3, 3, 6, 2, dtype=torch.float64) * 16 - 4).requires_grad_()
    expected = interpolate(kv, points)
    gradient = torch.randn_like(expected)
    expected_grads = torch.autograd.grad(expected, (kv, points), gradient)
    kv_gpu, points_gpu = (t.detach().cuda().requires_grad_() for t in (kv, points))
    out = sample_mmcv(kv_gpu, points_gpu)
    torch.testing.assert_close(out.cpu(), expected)
    grads = torch.autograd.grad(out, (kv_gpu, points_gpu), gradient.cuda())
    for actual, expected in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(actual.cpu(), expected)
