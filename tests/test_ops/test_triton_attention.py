"""The Triton kernels: their equations through Triton's interpreter, and what they refuse."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmvsa.ops import AttentionSpec, WindowGeometry, select_backend
from mmvsa.ops.triton_attention import (
    attend_triton,
    is_fused,
    matmul_precision,
    sample_triton,
    unsupported_reasons,
)

CASES = Path(__file__).with_name('triton_cases.py')
# Rounding of float32, and of maps, weights and products in half precision.
TOLERANCE = {'float16': 4e-3, 'bfloat16': 3e-2}
FAST = ('non-square', 'padded everywhere', 'separate windows', 'float16', 'bfloat16')
SLOW = ('no bias, pushed', 'many windows', 'samples written')
COMPARED = ('compiled_errors', 'query_bias_errors', 'module_errors')
CHECKED = (
    'not_a_number_stays',
    'far_windows_read_zero',
    'reruns_are_equal',
    'tf32_is_read_after_the_new_setting',
)


def run_cases(*names):
    pytest.importorskip('triton')
    environment = {**os.environ, 'TRITON_INTERPRET': '1'}
    done = subprocess.run(
        [sys.executable, str(CASES), *names], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_accurate(errors):
    for name, values in errors.items():
        limit = TOLERANCE.get(name.split(',')[0], 5e-6)
        assert all(value <= limit for value in values), (name, values)


@pytest.fixture(scope='module')
def interpreted():
    """Results of the fast cases; one process, as starting it takes longest."""
    return run_cases(*FAST, *COMPARED, *CHECKED)


def test_output_and_gradients_match_the_float64_reference(interpreted):
    assert tuple(interpreted['errors']) == FAST
    assert_accurate(interpreted['errors'])


@pytest.mark.parametrize('check', COMPARED)
def test_attention_is_the_same_in_every_way_of_use(interpreted, check):
    assert all(error < 2e-5 for error in interpreted['checks'][check]), interpreted['checks']


@pytest.mark.parametrize('check', CHECKED)
def test_check(interpreted, check):
    assert interpreted['checks'][check] is True


@pytest.mark.slow
def test_more_cases_match_and_operators_pass_opcheck():
    found = run_cases(*SLOW, 'opcheck')
    assert tuple(found['errors']) == SLOW
    assert_accurate(found['errors'])


@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(CASES.parent)
    from triton_cases import SWEEP

    return SWEEP


@pytest.mark.slow
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_sweep_matches_the_float64_reference(dtype, sweep):
    names = [name for name in sweep if name.startswith(f'{dtype}, ')]
    errors = run_cases(*names)['errors']
    assert len(errors) == 4 * 5 + 2 * 2  # window sizes, and widths of each
    assert_accurate(errors)


def test_missing_gpu_asked_for_by_name_says_why():
    with pytest.raises(RuntimeError, match="'triton'.*runs on CUDA and the tensors are on cpu"):
        select_backend('triton', torch.device('cpu'))


def test_import_and_predicates_need_no_triton():
    code = (
        'import sys; sys.modules["triton"] = None; import mmvsa.ops.triton_attention as ops;'
        'assert "mmvsa.ops.triton_kernels" not in sys.modules;'
        'assert ops.is_fused(7, 32, ops.DTYPES[0])'
    )
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_reasons_name_what_is_not_supported():
    spec = AttentionSpec(num_heads=1, head_dims=128, window_size=7, scale=1.0)
    assert unsupported_reasons(spec) == []
    reasons = unsupported_reasons(dataclasses.replace(spec, head_dims=129, homography=False))
    assert 'at most 128 wide, not 129' in reasons[0] and 'homography' in reasons[1]


def test_large_windows_dropout_and_separate_windows_are_not_fused():
    half = torch.bfloat16
    assert is_fused(8, 128, half) and is_fused(8, 32, torch.float32)
    assert not is_fused(9, 32, half) and not is_fused(7, 64, torch.float32)
    assert not is_fused(7, 32, half, dropout=0.1)
    assert not is_fused(7, 32, half, separate_windows=True)


def fake_inputs(dtype=torch.float32, d=16, size=(4, 4), window_size=4):
    """Inputs without storage: what is refused is refused before a kernel is looked for."""
    geometry = WindowGeometry.of(size, window_size)
    qkv = torch.empty(1, *size, 3, 1, d, dtype=dtype, device='meta')
    return qkv, torch.empty(1, *geometry.grid, 1, 8, device='meta'), geometry


@pytest.mark.parametrize('window_size', [4, 12])
def test_refuses_what_the_kernels_do_not_have(window_size):
    with pytest.raises(TypeError, match='float64'):
        attend_triton(*fake_inputs(torch.float64, window_size=window_size), scale=1.0)
    with pytest.raises(ValueError, match='at most 128 channels, got 129'):
        attend_triton(*fake_inputs(d=129, window_size=window_size), scale=1.0)


def test_refuses_maps_whose_offsets_overflow():
    fits, too_large = (4096, 5461), (4096, 5462)  # times 3 * 32 numbers
    out = attend_triton(*fake_inputs(torch.bfloat16, 32, fits), scale=1.0)
    assert out.shape == (1, *fits, 32)
    with pytest.raises(ValueError, match=r'2\*\*31 numbers an image, got 4096 x 5462 pixels of 96'):
        attend_triton(*fake_inputs(torch.bfloat16, 32, too_large), scale=1.0)


def test_refuses_shapes_that_do_not_match():
    qkv, windows, geometry = fake_inputs(size=(4, 9))
    with pytest.raises(ValueError, match=r'windows must be \(1, 1, 3, 1, 8\).*got \(1, 1, 2, 1, 8'):
        attend_triton(qkv, windows[:, :, :2], geometry, scale=1.0)
    with pytest.raises(ValueError, match=r'bias must be \(1, 1, 16, 16\), got \(1, 1, 9, 9\)'):
        attend_triton(qkv, windows, geometry, scale=1.0, bias=torch.zeros(1, 1, 9, 9))
    with pytest.raises(ValueError, match=r'qkv must be \(B, H, W, 3, heads, d\)'):
        sample_triton(qkv[:, :, :, :2], windows, geometry)
    with pytest.raises(ValueError, match=r'of 4 x 8 pixels, its geometry of \(4, 9\)'):
        sample_triton(qkv[:, :, :8], windows, geometry)


@pytest.fixture
def float32_settings():
    """Restore PyTorch's settings of float32 products."""
    before = torch.backends.cuda.matmul.fp32_precision
    yield torch.backends.cuda.matmul
    torch.backends.cuda.matmul.fp32_precision = before


def test_precision_of_float32_products_is_read_by_either_setting(float32_settings):
    float32_settings.allow_tf32 = True
    assert matmul_precision() == 'tf32'
    float32_settings.allow_tf32 = False
    assert matmul_precision() == 'ieee'
    float32_settings.fp32_precision = 'tf32'
    assert matmul_precision() == 'tf32'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(('window_size', 'd', 'size'), [(7, 32, (14, 17)), (16, 64, (20, 33))])
def test_on_the_gpu(dtype, window_size, d, size, monkeypatch):
    monkeypatch.syspath_prepend(CASES.parent)
    from triton_cases import make_inputs, reference, relative_error

    inputs, geometry = make_inputs(dtype, window_size, d, *size, 0, 0, True)
    exact = [x.double().requires_grad_() for x in inputs]
    leaves = [x.cuda().requires_grad_() for x in inputs]
    out = attend_triton(*leaves[:2], geometry, bias=leaves[2], scale=d**-0.5)  # type: ignore[misc]
    expected = reference(*exact[:2], geometry, bias=exact[2], scale=d**-0.5)
    gradient = torch.randn_like(expected).to(dtype)
    grads = torch.autograd.grad(out, leaves, gradient.cuda())
    expected_grads = torch.autograd.grad(expected, exact, gradient.double())
    for a, b in zip((out, *grads), (expected, *expected_grads), strict=True):
        assert relative_error(a.cpu(), b) < TOLERANCE.get(str(dtype)[6:], 5e-5)
