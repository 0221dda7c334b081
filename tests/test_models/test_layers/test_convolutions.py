"""Convolution branches: shapes, order of layers, errors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmvsa.models.layers import (
    ParallelConvolution,
    PyramidReduction,
    pad_to_multiple,
    to_nchw,
    to_nhwc,
)
from mmvsa.models.layers.convolutions import BatchNorm2d, Conv2d, GroupedConv2d, join_groups


@pytest.mark.parametrize('stride', [1, 2, 4])
@pytest.mark.parametrize('kernel_size', [1, 3, 7])
def test_pyramids_divide_the_map_by_the_stride(stride, kernel_size):
    pyramid = PyramidReduction(3, 4, stride=stride, kernel_size=kernel_size, dilations=(1, 2, 3))
    out = pyramid(torch.randn(2, 3, 8, 12))
    assert out.shape == (2, 12, 8 // stride, 12 // stride) and pyramid.out_channels == 12


def test_order_of_layers():
    def kinds(**options):
        branch = ParallelConvolution((4, 8, 8, 4), groups=2, **options)
        return [type(layer).__name__.removeprefix('Grouped') for layer in branch]

    assert kinds() == ['Conv2d', 'BatchNorm2d', 'SiLU', 'Conv2d', 'BatchNorm2d', 'SiLU', 'Conv2d']
    # ViTAE's reduction cells
    assert kinds(norms=(False, True, False), last_activation=True) == [
        'Conv2d', 'SiLU', 'Conv2d', 'BatchNorm2d', 'SiLU', 'Conv2d', 'SiLU',
    ]  # fmt: skip


def test_strides_shrink_the_map():
    branch = ParallelConvolution((4, 8, 8, 6), strides=(2, 2, 1))
    assert branch(torch.randn(2, 4, 8, 12)).shape == (2, 6, 2, 3)
    assert all(layer.groups == 1 for layer in branch if isinstance(layer, nn.Conv2d))


def test_pixels_alone():
    """With 1x1 kernels no pixel sees another one."""
    branch = ParallelConvolution((4, 8, 8, 4), groups=2, kernel_size=1).eval()
    x = torch.randn(2, 4, 5, 6)
    order = torch.randperm(30)
    mixed = x.flatten(2)[..., order].unflatten(2, (5, 6))
    torch.testing.assert_close(branch(mixed).flatten(2), branch(x).flatten(2)[..., order])


def test_layouts_and_padding():
    x = torch.randn(1, 5, 6, 3)
    assert to_nchw(x).is_contiguous(memory_format=torch.channels_last)
    assert to_nhwc(to_nchw(x)).data_ptr() == x.data_ptr()
    padded = pad_to_multiple(to_nchw(x), 4)
    assert padded.shape == (1, 3, 8, 8) and not padded[:, :, 5:].any()
    assert pad_to_multiple(padded, 4) is padded


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: ParallelConvolution((4, 8), groups=1), r'n \+ 1, n and n entries'),
        (lambda: ParallelConvolution((4, 6, 6, 4), groups=4), 'groups=4 does not divide'),
        (
            lambda: ParallelConvolution((4, 8, 8, 4), kernel_size=2),
            'kernel_size must be odd, got 2',
        ),
        (
            lambda: PyramidReduction(3, 4, stride=1, kernel_size=2, dilations=(1,)),
            'a stride of 1 cannot center',
        ),
        (
            lambda: PyramidReduction(3, 4, stride=2, kernel_size=3, dilations=()),
            'dilations must have at least one entry',
        ),
    ],
)
def test_wrong_options_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize('joined', [1, 2, 4, 8])
def test_joined_groups_are_the_same_convolution(joined):
    torch.manual_seed(0)
    x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
    weight = torch.randn(48, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, weight, groups=8)
    fewer = join_groups(weight, 8, torch.eye(joined))
    assert fewer.shape == (48, 4 * joined, 3, 3)
    out = F.conv2d(x, fewer, groups=8 // joined)
    torch.testing.assert_close(out, expected)
    grads = [torch.autograd.grad(y.square().sum(), weight)[0] for y in (out, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ('channels', 'groups', 'dtype', 'expected'),
    [
        (64, 16, torch.bfloat16, 8),  # groups of 4 channels are joined
        (64, 16, torch.float32, 16),
        (64, 8, torch.bfloat16, 8),  # wide enough
        (64, 64, torch.bfloat16, 64),  # depthwise
        (12, 3, torch.bfloat16, 3),  # an odd number of groups
    ],
)
def test_groups_are_joined_on_a_gpu_in_half_precision(channels, groups, dtype, expected):
    """Looked up on tensors without storage: no GPU is needed."""
    conv = GroupedConv2d(channels, 2 * channels, 3, padding=1, groups=groups).to(dtype=dtype)
    with FakeTensorMode(), GroupCounter() as counter:
        conv._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device='cuda'))
        out = conv(torch.empty(2, channels, 8, 8, dtype=dtype, device='cuda'))
    assert out.shape == (2, 2 * channels, 8, 8)
    assert counter.groups == [expected]


class GroupCounter(TorchDispatchMode):
    """Notes the groups of every convolution."""

    def __init__(self):
        super().__init__()
        self.groups = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.groups.append(args[8])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize(('height', 'width'), [(8, 1), (7, 2), (8, 3), (1, 1)])
def test_strided_bfloat16_on_narrow_maps(height, width, autocast):
    """OneDNN reads memory that nobody wrote there: the result is that of float32, rounded."""
    conv = Conv2d(16, 16, 3, 2, 1)
    x = torch.randn(1, 16, height, width).bfloat16()
    wanted = F.conv2d(x.float(), conv.weight.bfloat16().float(), conv.bias.bfloat16().float(), 2, 1)
    if autocast:
        with torch.autocast('cpu', torch.bfloat16):
            got = conv(x)
        tolerance = dict(rtol=2e-2, atol=2e-2)  # the weights of a narrow map are not rounded
    else:
        got = conv.bfloat16()(x)
        tolerance = dict(rtol=1e-2, atol=1e-2)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), wanted, **tolerance)


def test_narrow_maps_are_convolved_in_float32(monkeypatch):
    """The dtype that reaches the kernel; wider maps, strides of 1 and other dtypes keep theirs."""
    seen = []
    forward = nn.Conv2d._conv_forward

    def convolve(conv, x, *args):
        seen.append(x.dtype)
        return forward(conv, x, *args)

    monkeypatch.setattr(nn.Conv2d, '_conv_forward', convolve)
    half, double = torch.bfloat16, torch.float64
    for stride, width, dtype in [(2, 2, half), (2, 3, half), (1, 2, half), (2, 2, double)]:
        conv = Conv2d(4, 4, 3, stride, 1).to(dtype)
        assert conv(torch.randn(1, 4, 5, width).to(dtype)).dtype == dtype
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16, torch.float64]


def test_one_value_per_channel_trains():
    """Batch 1 at one pixel: running statistics normalize, and stay."""
    norm = BatchNorm2d(3)
    norm.running_mean.fill_(1.0)
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    norm(x).sum().backward()
    assert torch.allclose(x.grad, norm.weight.detach().view_as(x), atol=1e-4)
    assert norm.running_mean.tolist() == [1.0] * 3 and int(norm.num_batches_tracked) == 0
    torch.testing.assert_close(norm(x), norm.eval()(x))
    usual, own = nn.BatchNorm2d(3), BatchNorm2d(3)
    pair = torch.randn(2, 3, 1, 1)
    assert torch.equal(usual(pair), own(pair)) and torch.equal(usual.running_var, own.running_var)
