"""Every size, layout, dtype and backend: drawn by hypothesis, from a seed that is printed.

A case compares a result with float64, one image at a time, in the usual memory layout, by the
backend ``torch``.
"""

import copy
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.archs import CASES, build, with_regressors
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmvsa.models.layers import Block, build_attention
from mmvsa.models.layers.attention import expand_attention
from mmvsa.ops import set_backend
from mmvsa.ops.backends import backend_table

VARIABLE = 'MMVSA_MATRIX_SEED'
SEED = int(os.environ.get(VARIABLE) or random.SystemRandom().randrange(2**32))
# Relative error of a whole result.
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 1e-4,
    torch.bfloat16: 0.1,
    torch.float16: 0.02,
}
ATTENTIONS = ('full', 'window', 'vsa', 'rvsa', 'quadrangle', 'PlainPerformer')
WINDOW = 3
SIZES = [(h, w) for h in range(1, 3 * WINDOW + 1) for w in range(1, 3 * WINDOW + 1)]
DRAWS = 2  # of the options, for each size of an attention
BACKBONE_DRAWS = 16
BACKENDS = ['auto', *(name for name, available, _ in backend_table('cpu') if available)]

options = st.fixed_dictionaries(
    dict(
        batch=st.sampled_from((1, 3)),
        dtype=st.sampled_from(list(TOLERANCES)),
        channels_last=st.booleans(),
        training=st.booleans(),
        backend=st.sampled_from(BACKENDS),
        padding=st.sampled_from(('end', 'center')),
    )
)


def examples(count: int) -> Callable[[Any], Any]:
    """Draw ``count`` examples from the seed."""
    quiet = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return lambda function: seed(SEED)(quiet(function))


@pytest.fixture(autouse=True)
def printed_seed() -> None:
    """Pytest shows it with a failure."""
    print(f'{VARIABLE}={SEED} repeats this')


def image(shape: tuple[int, ...], channels_last: bool) -> Tensor:
    """Return a float64 image (B, C, H, W), the same for the same shape."""
    generator = torch.Generator().manual_seed(hash(shape) % 2**31)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def check_close(got: Tensor, wanted: Tensor, dtype: torch.dtype, case: Any) -> None:
    assert got.shape == wanted.shape and got.dtype == dtype, case
    assert got.isfinite().all(), case
    error = (got.double() - wanted).norm() / wanted.norm().clamp(min=1e-3)
    assert error <= TOLERANCES[dtype], (case, float(error))


def check_gradients(module: nn.Module, outputs: list[Tensor], case: Any) -> None:
    sum(out.float().square().mean() for out in outputs).backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert gradients and all(grad.isfinite().all() for grad in gradients), case


@pytest.mark.parametrize('attention', ATTENTIONS)
def test_every_size_of_a_block(attention: str) -> None:
    """H x W in 1 ... 3 windows, for one block of every attention."""
    count = 0

    @examples(DRAWS * len(SIZES))
    @given(options)
    def check(case: dict[str, Any]) -> None:
        nonlocal count
        size = SIZES[count % len(SIZES)]
        count += 1
        block = copy.deepcopy(blocks[case['padding']])
        x = image((case['batch'], 8, *size), case['channels_last'])
        reference = set_backend(copy.deepcopy(block).double().eval(), 'torch')
        with torch.no_grad():
            wanted = torch.cat([reference(one[None].permute(0, 2, 3, 1)) for one in x])
        set_backend(block.to(case['dtype']).train(case['training']), case['backend'])
        with torch.set_grad_enabled(case['training']):
            got = block(x.to(case['dtype']).permute(0, 2, 3, 1))
        check_close(got.detach(), wanted, case['dtype'], (size, case))
        if case['training']:
            check_gradients(block, [got], (size, case))

    blocks = {padding: make_block(attention, padding) for padding in ('end', 'center')}
    check()
    assert count >= DRAWS * len(SIZES)


def make_block(attention: str, padding: str) -> nn.Module:
    windowed = attention not in ('full', 'PlainPerformer')
    given = dict(type=attention, padding=padding) if windowed else attention
    torch.manual_seed(0)
    heads = 1 if attention == 'PlainPerformer' else 2
    module = build_attention(expand_attention(given), 8, heads, window_size=WINDOW)
    return with_regressors(Block(module), std=0.05)


@pytest.mark.parametrize('name', CASES)
def test_sizes_of_whole_backbones(name: str) -> None:
    count = 0

    @examples(BACKBONE_DRAWS)
    @given(options, st.integers(1, 70), st.integers(1, 70))
    def check(case: dict[str, Any], height: int, width: int) -> None:
        nonlocal count
        count += 1
        where = (height, width, case)
        backbone = with_regressors(build(name), std=0.05)
        x = image((case['batch'], 3, height, width), case['channels_last'])
        reference = set_backend(copy.deepcopy(backbone).double().eval(), 'torch')
        with torch.no_grad():
            single = [reference(one[None]) for one in x]
        wanted = [torch.cat(maps) for maps in zip(*single, strict=True)]
        set_backend(backbone.to(case['dtype']).train(case['training']), case['backend'])
        if case['channels_last']:
            backbone = backbone.to(memory_format=torch.channels_last)
        with torch.set_grad_enabled(case['training']):
            got = list(backbone(x.to(case['dtype'])))
        assert [out.shape for out in got] == [out.shape for out in wanted], where
        assert all(out.isfinite().all() and out.dtype == case['dtype'] for out in got), where
        if case['training']:  # batch norms are of the batch
            check_gradients(backbone, got, where)
            return
        for ours, theirs in zip(got, wanted, strict=True):
            check_close(ours, theirs, case['dtype'], where)

    check()
    assert count >= BACKBONE_DRAWS


def test_there_are_enough_cases() -> None:
    assert len(ATTENTIONS) * DRAWS * len(SIZES) + len(CASES) * BACKBONE_DRAWS >= 1000
