"""The table of backends and the choice among them."""

import dataclasses

import pytest
import torch

from mmvsa.models import SampledWindowAttention
from mmvsa.ops import (
    BACKENDS,
    AttentionSpec,
    SamplingBackend,
    backend_table,
    check_backend,
    select_backend,
    set_backend,
    triton_attention,
)

CPU = torch.device('cpu')
SPEC = AttentionSpec(num_heads=2, head_dims=8, window_size=4, scale=1.0)


def test_table_lists_every_backend_with_a_reason():
    table = backend_table('cpu')
    assert [name for name, _, _ in table] == [backend.name for backend in BACKENDS]
    assert ('torch', True, '') in table
    for _, available, reason in table:
        assert available == (reason == '')


def test_missing_backend_asked_for_by_name_says_why():
    with pytest.raises(RuntimeError, match='mmcv.*compiled for CUDA and the tensors are on cpu'):
        select_backend('mmcv', CPU)


def test_unknown_backend_lists_the_known():
    with pytest.raises(ValueError, match="unknown backend 'cuda'.*auto.*mmcv.*torch"):
        check_backend('cuda', SPEC)


def test_auto_takes_the_first_that_runs():
    assert select_backend('auto', CPU, SPEC).name == 'torch'


def test_auto_takes_the_fused_kernel_for_what_it_can_do(monkeypatch):
    monkeypatch.setattr(triton_attention, 'unavailable_reasons', lambda device: [])
    assert select_backend('auto', CPU, SPEC, torch.bfloat16).name == 'triton'
    assert select_backend('auto', CPU, SPEC, torch.float64).name == 'torch'
    wide = dataclasses.replace(SPEC, head_dims=130)
    assert select_backend('auto', CPU, wide, torch.bfloat16).name == 'torch'
    with pytest.raises(RuntimeError, match='float32, float16 or bfloat16, not torch.float64'):
        select_backend('triton', CPU, SPEC, torch.float64)


def test_auto_is_the_reference_while_exporting(monkeypatch):
    monkeypatch.setattr(SamplingBackend, 'reasons', lambda self, *args, **kwargs: [])
    assert select_backend('auto', CPU, SPEC).name == 'mmcv'
    monkeypatch.setattr(torch.compiler, 'is_exporting', lambda: True)
    assert select_backend('auto', CPU, SPEC).name == 'torch'
    assert select_backend('mmcv', CPU, SPEC).name == 'mmcv'


def test_set_backend_reaches_every_layer_or_none():
    def model(width=16):
        layers = [
            SampledWindowAttention(16, 2, 4, backend='torch'),
            SampledWindowAttention(width, 1, 4, backend='torch'),
        ]
        return torch.nn.Sequential(*layers)

    assert [layer.backend for layer in set_backend(model(), 'triton')] == ['triton', 'triton']  # type: ignore[attr-defined]
    refused = model(width=130)
    with pytest.raises(ValueError, match="backend 'triton' cannot be used here.*130"):
        set_backend(refused, 'triton')
    assert [layer.backend for layer in refused] == ['torch', 'torch']
    with pytest.raises(ValueError, match='unknown backend'):
        set_backend(refused, 'cuda')
