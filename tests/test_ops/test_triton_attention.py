"""The fused kernel: its equations through Triton's interpreter, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmvsa.models import WindowedAttention
from mmvsa.ops import BACKENDS, select_backend
from mmvsa.ops.triton_attention import attend_triton, sample_triton

CASES = Path(__file__).with_name('triton_cases.py')
# float64 to float32, and the rounding of stored maps, weights and products
TOLERANCE = {'float16': 4e-3, 'bfloat16': 3e-2}


@pytest.fixture(scope='module')
def interpreted():
    """Results of every case; one process, as starting it takes longest."""
    pytest.importorskip('triton')
    environment = {**os.environ, 'TRITON_INTERPRET': '1'}
    done = subprocess.run(
        [sys.executable, str(CASES)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_output_and_gradients_match_the_float64_reference(interpreted):
    assert len(interpreted['errors']) == 9
    for name, errors in interpreted['errors'].items():
        assert max(errors) <= TOLERANCE.get(name, 5e-6), (name, errors)


def test_not_a_number_gives_not_a_number(interpreted):
    assert interpreted['nan']


def test_missing_gpu_asked_for_by_name_says_why():
    with pytest.raises(RuntimeError, match="'triton'.*runs on CUDA and the tensors are on cpu"):
        select_backend('triton', torch.device('cpu'))


def test_kernel_module_is_imported_when_used():
    code = 'import sys, mmvsa; assert "mmvsa.ops.triton_kernels" not in sys.modules'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def fake_inputs(dtype=torch.float32, d=16, window_size=4):
    q = torch.zeros(1, window_size, window_size, 1, d, dtype=dtype)
    points = torch.zeros(1, 1, 1, 1, window_size**2, 2)
    return q, torch.cat((q, q), -1), points


def test_refuses_float64_and_wide_heads_and_large_windows():
    with pytest.raises(TypeError, match='float64'):
        attend_triton(*fake_inputs(torch.float64), None, 1.0, 4)
    with pytest.raises(ValueError, match='heads up to 128.*got 129 and 4'):
        attend_triton(*fake_inputs(d=129), None, 1.0, 4)
    with pytest.raises(ValueError, match='windows up to 16, got 16 and 17'):
        attend_triton(*fake_inputs(window_size=17), None, 1.0, 17)


def test_gives_no_samples():
    with pytest.raises(RuntimeError, match='gives no samples'):
        sample_triton(torch.zeros(1, 4, 4, 1, 32), fake_inputs()[2])


@pytest.mark.parametrize('option', ['attn_drop', 'decomposed_position', 'separate_windows'])
def test_refuses_what_it_does_not_fuse(option):
    value = 0.5 if option == 'attn_drop' else True
    attention = WindowedAttention(32, 2, window_size=4, **{option: value})
    backend = next(backend for backend in BACKENDS if backend.name == 'triton')
    with pytest.raises(ValueError, match=f"backend 'triton' has no .*{option}"):
        attention._check_fused(backend)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('window_size, d, size', [(7, 32, (14, 17)), (16, 64, (20, 33))])
def test_on_the_gpu(dtype, window_size, d, size, monkeypatch):
    monkeypatch.syspath_prepend(CASES.parent)
    from triton_cases import make_inputs, reference, relative_error

    q, kv, points, bias = make_inputs(dtype, window_size, d, *size, 0, 0, True)
    exact = [x.double().requires_grad_() for x in (q, kv, points, bias)]
    ours = [x.cuda().requires_grad_() for x in (q, kv, points, bias)]
    out = attend_triton(*ours, d**-0.5, window_size)
    expected = reference(*exact, d**-0.5, window_size, 0, 0)
    gradient = torch.randn_like(expected).to(dtype)
    grads = torch.autograd.grad(out, ours, gradient.cuda())
    expected_grads = torch.autograd.grad(expected, exact, gradient.double())
    for a, b in zip((out, *grads), (expected, *expected_grads), strict=True):
        assert relative_error(a.cpu(), b) < TOLERANCE.get(str(dtype)[6:], 5e-5)
