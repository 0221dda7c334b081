"""Multiply-adds against layers worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmvsa import get_model
from mmvsa.analysis.multiply_adds import count_multiply_adds, count_parts, format_parts
from mmvsa.models import WindowedAttention
from mmvsa.ops.backends import BACKENDS
from mmvsa.ops.mmcv_sampling import compiled_op

IMAGE = torch.randn(2, 8, 5, 6)
GRID = torch.rand(2, 7, 9, 2)
SAMPLED = 2 * 8 * 7 * 9


@pytest.mark.parametrize(
    ('layer', 'expected'),
    [
        # pixels of the output x channels of the output x kernel x channels of the input's group
        (nn.Conv2d(8, 12, 3, padding=1), 2 * 5 * 6 * 12 * 9 * 8),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), 2 * 5 * 6 * 8 * 49),
        (nn.Conv2d(8, 12, 3, groups=4), 2 * 3 * 4 * 12 * 9 * 2),
        (nn.ConvTranspose2d(8, 4, 2, stride=2), 2 * 5 * 6 * 8 * 4 * 4),
        (nn.Linear(6, 10), 2 * 8 * 5 * 6 * 10),
        (nn.Sequential(nn.BatchNorm2d(8), nn.GELU(), nn.AvgPool2d(2)), 0),
    ],
    ids=['convolution', 'depthwise', 'grouped', 'transposed', 'linear', 'not counted'],
)
def test_layers(layer: nn.Module, expected: int) -> None:
    assert count_multiply_adds(lambda: layer(IMAGE)) == expected


@pytest.mark.parametrize('bias', [False, True])
def test_attention(bias: bool) -> None:
    q, k, v = torch.randn(2, 3, 10, 4), torch.randn(2, 3, 12, 4), torch.randn(2, 3, 12, 4)
    mask = torch.zeros(10, 12) if bias else None
    counted = count_multiply_adds(lambda: F.scaled_dot_product_attention(q, k, v, mask))
    assert counted == 2 * 3 * 10 * 12 * (4 + 4)


@pytest.mark.parametrize(('mode', 'taps'), [('bilinear', 4), ('nearest', 0), ('bicubic', 16)])
def test_grid_sample(mode: str, taps: int) -> None:
    counted = count_multiply_adds(lambda: F.grid_sample(IMAGE, GRID, mode, align_corners=True))
    assert counted == taps * SAMPLED


def test_embedding_bag() -> None:
    """Sums of 3 rows of 8 channels in 5 bags, weighted or not."""
    table, index = torch.randn(20, 8), torch.zeros(5, 3, dtype=torch.long)
    weights = torch.ones(5, 3)
    weighted = count_multiply_adds(
        lambda: F.embedding_bag(index, table, mode='sum', per_sample_weights=weights)
    )
    assert weighted == 5 * 3 * 8
    assert count_multiply_adds(lambda: F.embedding_bag(index, table, mode='sum')) == 0


def test_deformable_op() -> None:
    """2 images, 3 heads of 4 channels at 10 points: 4 neighbours each."""
    value, points = torch.randn(2, 30, 3, 4), torch.rand(2, 10, 3, 2)
    assert count_multiply_adds(lambda: compiled_op(value, points, 5, 6)) == 2 * 10 * 3 * 4 * 4


def test_fused_kernel() -> None:
    """One image, 2 x 3 windows of 16 pixels, 2 heads of 4: samples of k and v, then attention."""
    with FakeTensorMode():
        q, kv = torch.empty(1, 8, 12, 2, 4), torch.empty(1, 8, 12, 2, 8)
        points = torch.empty(1, 2, 3, 2, 16, 2)
        counted = count_multiply_adds(
            lambda: torch.ops.mmvsa.varied_attention(q, kv, points, None, 0.5, 4, 0, 0)
        )
    assert counted == 6 * 2 * 16 * (4 * 8) + 6 * 2 * 16 * 16 * (4 + 4)


def test_windowed_attention() -> None:
    """Projections, the regressor, samples of k and v at 2 x 3 windows, attention."""
    attention = WindowedAttention(12, 3, window_size=4).eval()
    x = torch.randn(1, 8, 12, 12)
    with torch.no_grad():
        counted = count_multiply_adds(lambda: attention(x, backend='torch'))
    pixels, windows = 96, 6
    projections = pixels * 12 * (36 + 12)
    regressor = windows * 12 * (3 * 4)
    samples = pixels * 24 * 4
    products = windows * 3 * 16 * 16 * (4 + 4)
    assert counted == projections + regressor + samples + products
    assert BACKENDS[1].name == 'torch'


def test_parts_add_up() -> None:
    model = get_model('swin-t-vsa', num_classes=10)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = count_multiply_adds(lambda: model.eval()(x))
    parameters = sum(p.numel() for p in model.parameters())
    parts = count_parts(model, (64, 96))
    *rest, whole = parts
    assert [part.name for part in parts] == [
        'backbone.patch_embed',
        *(f'backbone.stages.{i}' for i in range(4)),
        'backbone.norm3',
        'head',
        '(whole)',
    ]
    assert (whole.parameters, whole.multiply_adds) == (parameters, expected)
    assert sum(part.multiply_adds for part in rest) == expected
    assert sum(part.parameters for part in rest) == parameters
    head = rest[-1]
    assert (head.parameters, head.multiply_adds) == (768 * 10 + 10, 768 * 10)


def test_known_models() -> None:
    """Near the published 5.7e9 of ViTAEv2-S and 4.6e9 of Swin-T with VSA."""
    for name, published in (('vitaev2-s', 5.7e9), ('swin-t-vsa', 4.6e9)):
        with torch.device('meta'):
            model = get_model(name)
        assert count_parts(model, (224, 224))[-1].multiply_adds == pytest.approx(
            published, rel=0.02
        )


def test_table() -> None:
    with torch.device('meta'):
        parts = count_parts(get_model('vitae-tiny'), (32, 32))
    header, *lines = format_parts(parts).splitlines()
    assert header.split() == ['part', 'parameters', '(M)', 'multiply-adds', '(G)']
    assert len(lines) == len(parts) and lines[-1].split()[:2] == ['(whole)', '4.883']
