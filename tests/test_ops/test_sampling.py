"""Every sampling backend against F.grid_sample in float64."""

import pytest
import torch
import torch.nn.functional as F

from mmvsa.ops import BACKENDS, backend_table, sample_windows, select_backend, use_backend
from mmvsa.ops.mmcv_sampling import im2col_step, sample_mmcv, torch_twin
from mmvsa.ops.torch_sampling import sample_torch


def mmcv_twin(kv, points):
    return sample_mmcv(kv, points, op=torch_twin)


def grid_sample(kv, points):
    """The definition, independent of the code under test."""
    batch, height, width, heads, channels = kv.shape
    size = torch.tensor([width - 1, height - 1], dtype=points.dtype)
    maps = kv.permute(0, 3, 4, 1, 2).flatten(0, 1)
    grid = (2 * points / size - 1).permute(0, 3, 1, 2, 4, 5).flatten(0, 1).flatten(1, 2)
    out = F.grid_sample(maps, grid, align_corners=True, padding_mode='zeros')
    out = out.unflatten(0, (batch, heads)).unflatten(3, points.shape[1:3])
    return out.permute(0, 3, 4, 1, 5, 2)


def make_inputs(dtype=torch.float64):
    kv = torch.randn(2, 5, 8, 3, 4, dtype=dtype)
    # also far outside the map
    points = torch.rand(2, 2, 3, 3, 6, 2, dtype=torch.float64) * 16 - 4
    return kv.requires_grad_(), points.to(
        torch.promote_types(dtype, torch.float32)
    ).requires_grad_()


@pytest.mark.parametrize('sample', [sample_torch, mmcv_twin])
def test_forward_and_gradients_match_grid_sample(sample):
    kv, points = make_inputs()
    expected = grid_sample(kv, points)
    gradient = torch.randn_like(expected)
    expected_grads = torch.autograd.grad(expected, (kv, points), gradient)
    out = sample(kv, points)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)
    grads = torch.autograd.grad(out, (kv, points), gradient)
    for ours, theirs in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('sample', [sample_torch, mmcv_twin])
def test_half_precision_keeps_float32_coordinates(sample, dtype):
    kv, points = make_inputs(dtype)
    out = sample(kv, points)
    assert out.dtype == dtype
    expected = grid_sample(kv.detach().double(), points.detach().double())
    # nothing but the rounding of the result is lost
    tolerance = torch.finfo(dtype).eps * expected.abs().max().item()
    assert (out.double() - expected).abs().max() <= tolerance


def test_whole_pixels_are_read_exactly():
    kv = torch.randn(1, 4, 4, 2, 3)
    points = torch.tensor([[2.0, 1.0], [0.0, 3.0]]).expand(1, 1, 1, 2, 2, 2)
    out = sample_torch(kv, points)
    assert torch.equal(out[0, 0, 0, :, 0], kv[0, 1, 2])
    assert torch.equal(out[0, 0, 0, :, 1], kv[0, 3, 0])


def test_not_a_number_gives_not_a_number():
    kv = torch.randn(1, 4, 4, 1, 3)
    points = torch.full((1, 1, 1, 1, 2, 2), float('nan'))
    assert sample_torch(kv, points).isnan().all()


def test_im2col_step_divides_the_batch():
    for batch in range(1, 200):
        assert batch % im2col_step(batch) == 0
    assert im2col_step(128) == 64


def test_table_lists_every_backend_with_a_reason():
    table = backend_table('cpu')
    assert [name for name, _, _ in table] == [backend.name for backend in BACKENDS]
    assert ('torch', True, '') in table
    for _, available, reason in table:
        assert available == (reason == '')


def test_missing_backend_asked_for_by_name_says_why():
    with pytest.raises(RuntimeError, match='mmcv.*compiled for CUDA and the tensors are on cpu'):
        select_backend('mmcv', torch.device('cpu'))


def test_unknown_backend_lists_the_known():
    with pytest.raises(ValueError, match="unknown sampling backend 'cuda'.*auto.*mmcv.*torch"):
        select_backend('cuda', torch.device('cpu'))


def test_auto_takes_the_first_that_runs():
    assert select_backend('auto', torch.device('cpu')).name == 'torch'


def test_call_beats_context_beats_config():
    kv, points = make_inputs()
    with pytest.raises(RuntimeError, match='mmcv'):
        sample_windows(kv, points, default='mmcv')
    with use_backend('torch'):
        sample_windows(kv, points, default='mmcv')
        with pytest.raises(RuntimeError, match='mmcv'):
            sample_windows(kv, points, backend='mmcv')
    with pytest.raises(RuntimeError, match='mmcv'):  # the context has ended
        sample_windows(kv, points, default='mmcv')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('batch', [1, 3, 65])
def test_mmcv_op_on_the_gpu(batch):
    kv = torch.randn(batch, 5, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(batch, 2, 3, 3, 6, 2, dtype=torch.float64) * 16 - 4).requires_grad_()
    expected = grid_sample(kv, points)
    gradient = torch.randn_like(expected)
    expected_grads = torch.autograd.grad(expected, (kv, points), gradient)
    kv_gpu, points_gpu = (t.detach().cuda().requires_grad_() for t in (kv, points))
    out = sample_windows(kv_gpu, points_gpu, backend='mmcv')
    torch.testing.assert_close(out.cpu(), expected)
    grads = torch.autograd.grad(out, (kv_gpu, points_gpu), gradient.cuda())
    for ours, theirs in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs)
