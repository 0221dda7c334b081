"""Windowed and full attention: equations, invariances, options."""

import pytest
import torch
import torch.nn.functional as F

from mmvsa.models import FullAttention, SampledWindowAttention, WindowAttention
from mmvsa.models.layers import build_attention, build_window_transform
from mmvsa.models.layers.attention import expand_attention
from mmvsa.ops import BACKENDS, window_merge
from mmvsa.ops.torch_sampling import sample_torch
from mmvsa.registry import WINDOW_TRANSFORMS

SIZES = [(14, 14), (10, 17), (3, 20), (1, 1), (7, 6)]


def build(transform='VariedSizeWindow', regressor_std=0.0, dtype=torch.float64, **options):
    """Sampled windows, or fixed ones where the transform is None."""
    torch.manual_seed(0)
    if transform is None:
        attention = WindowAttention(12, 3, **options).to(dtype)
    else:
        attention = SampledWindowAttention(12, 3, transform=transform, **options).to(dtype)  # type: ignore[assignment]
    if regressor_std:
        torch.nn.init.normal_(attention.transform.regressor.weight, std=regressor_std)
        torch.nn.init.normal_(attention.transform.regressor.bias, std=regressor_std)
    return attention.eval()


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', ['end', 'center'])
@pytest.mark.parametrize('window_size', [4, 7])
def test_fresh_vsa_equals_window_attention(size, padding, window_size):
    vsa = build(window_size=window_size, padding=padding)
    fixed = build(None, window_size=window_size, padding=padding)
    fixed.load_state_dict(vsa.state_dict(), strict=False)
    x = torch.randn(2, *size, 12, dtype=torch.float64)
    torch.testing.assert_close(vsa(x), fixed(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize('window_size', [4, 7])
def test_fresh_vsa_points_are_the_windows_own_pixels(window_size):
    vsa = build(window_size=window_size, dtype=torch.float32)
    points = vsa.window_points(torch.randn(1, 10, 17, 12))[0, 0]
    for row in range(points.shape[0]):
        for column in range(points.shape[1]):
            x, y = points[row, column].view(window_size, window_size, 2).unbind(-1)
            first = torch.arange(window_size, dtype=torch.float32)
            assert torch.equal(x, (column * window_size + first).expand_as(x))
            assert torch.equal(y, (row * window_size + first)[:, None].expand_as(y))


def reference_attention(attention, x):
    """Equations of the paper, window by window, with F.grid_sample and an explicit softmax."""
    geometry = attention.geometry(x)
    ws, heads, d = attention.window_size, attention.num_heads, attention.head_dims
    points = attention.window_points(x)
    batch, height, width, _ = x.shape
    q, k, v = attention.qkv(x).unflatten(-1, (3, heads, d)).unbind(3)
    bias = attention.relative_position_bias()[0]
    out = torch.zeros(batch, *geometry.padded_size, heads, d, dtype=x.dtype)
    q = geometry.pad(q.flatten(3)).unflatten(-1, (heads, d))
    size = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=x.dtype)
    for b in range(batch):
        for h in range(heads):
            for r in range(geometry.grid[0]):
                for c in range(geometry.grid[1]):
                    rows, columns = slice(r * ws, r * ws + ws), slice(c * ws, c * ws + ws)
                    grid = (2 * points[b, h, r, c] / size - 1)[None, None]
                    keys, values = (
                        F.grid_sample(
                            m[b, :, :, h].permute(2, 0, 1)[None], grid, align_corners=True
                        )
                        for m in (k, v)
                    )
                    queries = q[b, rows, columns, h].reshape(-1, d)
                    scores = queries @ keys[0, :, 0] * attention.scale + bias[h]
                    window = scores.softmax(-1) @ values[0, :, 0].T
                    out[b, rows, columns, h] = window.view(ws, ws, d)
    return attention.proj(geometry.crop(out.flatten(3)))


@pytest.mark.parametrize('padding', ['end', 'center'])
@pytest.mark.parametrize('size', [(9, 12), (8, 8), (3, 9)])
def test_matches_the_equations(size, padding):
    attention = build(regressor_std=0.5, window_size=4, padding=padding)
    x = torch.randn(2, *size, 12, dtype=torch.float64)
    torch.testing.assert_close(attention(x), reference_attention(attention, x))


def test_gradients_by_finite_differences():
    attention = build(regressor_std=0.3, window_size=3)
    x = torch.randn(1, 4, 5, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention, (x,), eps=1e-7, atol=1e-5)


def test_points_by_hand():
    transform = build_window_transform('VariedSizeWindow', 4, 1)
    attention = build(window_size=2)
    geometry = attention.geometry(torch.zeros(1, 4, 6, 12))
    theta = torch.zeros(1, 2, 3, 1, 4)
    theta[..., :] = torch.tensor([1.0, -1.0, 1.0, 0.0])
    points = transform.points(theta, geometry)
    # window (0, 0): center (0.5, 0.5); offset (5 / 2 / 3, -3 / 2 / 2); x scale 2, y scale 1
    x, y = 0.5 + 5 / 6, 0.5 - 3 / 4
    expected = [[x - 1, y - 0.5], [x + 1, y - 0.5], [x - 1, y + 0.5], [x + 1, y + 0.5]]
    torch.testing.assert_close(points[0, 0, 0, 0], torch.tensor(expected))


def transposed(attention):
    """The same attention for a transposed map: x and y of the regressor and the bias swapped."""
    other = build(window_size=attention.window_size)
    state = {k: v.clone() for k, v in attention.state_dict().items()}
    for key in ('weight', 'bias'):
        rows = state[f'transform.regressor.{key}'].unflatten(0, (-1, 4))
        state[f'transform.regressor.{key}'] = rows[:, [1, 0, 3, 2]].flatten(0, 1)
    side = 2 * attention.window_size - 1
    table = state['relative_position_bias_table'].unflatten(0, (side, side))
    state['relative_position_bias_table'] = table.transpose(0, 1).flatten(0, 1)
    other.load_state_dict(state)
    return other


def test_transposed_input_gives_transposed_output():
    attention = build(regressor_std=0.5, window_size=4)
    x = torch.randn(2, 9, 14, 12, dtype=torch.float64)
    out = transposed(attention)(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(out, attention(x))


def test_shift_by_a_window_shifts_the_output():
    attention = build(regressor_std=0.2, window_size=4)
    x = torch.zeros(1, 20, 20, 12, dtype=torch.float64)
    x[:, 8:12, 8:12] = torch.randn(1, 4, 4, 12, dtype=torch.float64)
    out = attention(x)
    shifted = attention(x.roll((4, 4), (1, 2)))
    torch.testing.assert_close(shifted[:, 8:16, 8:16], out[:, 4:12, 4:12])


@pytest.mark.parametrize('size', SIZES)
def test_any_size_is_finite_with_gradients(size):
    attention = build(regressor_std=0.5)
    x = torch.randn(1, *size, 12, dtype=torch.float64, requires_grad=True)
    attention(x).square().sum().backward()
    assert x.grad.isfinite().all()
    for name, parameter in attention.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0 or size == (1, 1), name


def test_zero_and_projected_padding_differ_only_where_padded():
    zero = build(None, window_size=4)
    projected = build(None, window_size=4, padding_token='projected')
    torch.nn.init.normal_(zero.qkv.bias)
    projected.load_state_dict(zero.state_dict())
    whole, ragged = (torch.randn(1, 8, w, 12, dtype=torch.float64) for w in (8, 10))
    torch.testing.assert_close(zero(whole), projected(whole))
    difference = (zero(ragged) - projected(ragged)).abs().amax((0, 1, 3))
    assert difference[:8].max() < 1e-14 and difference[8:].min() > 1e-6


def test_swapped_offset_unit_differs_on_non_square_maps_only():
    axis = build(regressor_std=0.5, window_size=4)
    swapped = build(dict(type='VariedSizeWindow', offset_unit='swapped'), window_size=4)
    swapped.load_state_dict(axis.state_dict())
    square, non_square = (torch.randn(1, 8, w, 12, dtype=torch.float64) for w in (8, 16))
    torch.testing.assert_close(axis(square), swapped(square))
    assert (axis(non_square) - swapped(non_square)).abs().max() > 1e-4


def test_torch_initialisation_of_the_regressor():
    assert build().transform.regressor.weight.abs().sum() == 0
    assert (
        build(
            dict(type='VariedSizeWindow', regressor_init='torch')
        ).transform.regressor.weight.std()
        > 0.05
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_coordinates_stay_float32_under_autocast(dtype):
    attention = build(regressor_std=0.5, dtype=torch.float32)
    x = torch.randn(1, 20, 20, 12)
    expected = attention.window_points(x)
    with torch.autocast('cpu', dtype=dtype):
        points = attention.window_points(x)
        out = attention(x)
    assert points.dtype == torch.float32
    assert torch.equal(points, expected)
    assert out.dtype == dtype
    exact = attention.double()(x.double())
    assert (out.double() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize('option', ['attn_drop', 'proj_drop'])
@pytest.mark.parametrize('kind', ['vsa', 'full'])
def test_dropout_is_applied_in_training_only(option, kind):
    if kind == 'vsa':
        attention = build(dtype=torch.float32, **{option: 0.5})
    else:
        attention = FullAttention(12, 3, **{option: 0.5}).eval()
    x = torch.randn(1, 7, 7, 12)
    assert torch.equal(attention(x), attention(x))
    attention.train()
    assert not torch.equal(attention(x), attention(x))


def test_full_attention_matches_torch():
    attention = FullAttention(12, 3).double()
    x = torch.randn(2, 5, 4, 12, dtype=torch.float64)
    state = attention.state_dict()
    expected, _ = F.multi_head_attention_forward(
        x.flatten(1, 2).transpose(0, 1),
        x.flatten(1, 2).transpose(0, 1),
        x.flatten(1, 2).transpose(0, 1),
        12,
        3,
        state['qkv.weight'],
        state['qkv.bias'],
        None,
        None,
        False,
        0.0,
        state['proj.weight'],
        state['proj.bias'],
    )
    torch.testing.assert_close(attention(x).flatten(1, 2).transpose(0, 1), expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_heads=5), 'num_heads=5 does not divide out_dims=12'),
        (dict(padding='left'), "padding must be one of .* got 'left'"),
        (dict(window_size=0), 'window_size must be at least 1'),
        (dict(backend='numpy'), "unknown backend 'numpy'"),
        (dict(transform='Spiral'), "unknown window transform 'Spiral'.*Quadrangle"),
        (dict(transform=dict(type='Quadrangle', offset_unit='yards')), "offset_unit .* 'yards'"),
        (dict(position='rows'), "position must be one of .* got 'rows'"),
        (dict(attn_drop=1.0), r'attn_drop must be in \[0, 1\), got 1.0'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SampledWindowAttention(**{'embed_dims': 12, 'num_heads': 3, **options})


def test_what_a_backend_cannot_do_is_an_error_at_construction():
    with pytest.raises(ValueError, match="'triton' cannot be used here.*at most 128 wide, not 129"):
        SampledWindowAttention(129, 1, backend='triton')
    assert SampledWindowAttention(129, 1).backend == 'auto'  # which passes it by


def test_a_backend_gets_what_the_layer_has(monkeypatch):
    """The protocol: q, k and v of the map, windows, the layer's spec, a bias."""
    seen = {}

    class Recorder:
        name = 'torch'

        def reasons(self, device=None, spec=None, dtype=None):
            return []

        def attend(self, qkv, windows, *, spec, bias, training):
            seen.update(qkv=qkv.shape, points=windows.points.shape, spec=spec, bias=bias.shape)
            return qkv[:, :, :, 0].flatten(3)

    monkeypatch.setattr('mmvsa.ops.backends.BACKENDS', (Recorder(),))
    attention = build(window_size=4, backend='torch')
    attention(torch.randn(2, 6, 9, 12, dtype=torch.float64))
    assert seen['qkv'] == (2, 6, 9, 3, 3, 4) and seen['points'] == (2, 2, 3, 3, 16, 2)
    assert seen['bias'] == (1, 3, 16, 16)
    assert (seen['spec'].num_heads, seen['spec'].head_dims) == (3, 4)
    assert [backend.name for backend in BACKENDS] == ['triton', 'mmcv', 'torch']


@pytest.mark.parametrize(
    ('config', 'kind', 'transform'),
    [
        ('full', 'FullAttention', None),
        ('window', 'WindowAttention', None),
        ('vsa', 'SampledWindowAttention', 'VariedSizeWindow'),
        ('rvsa', 'SampledWindowAttention', 'RotatedVariedSizeWindow'),
        ('quadrangle', 'SampledWindowAttention', 'Quadrangle'),
        ('mmvsa.WindowAttention', 'WindowAttention', None),
        (dict(type='vsa', transform='Quadrangle'), 'SampledWindowAttention', 'Quadrangle'),
        (
            dict(type='rvsa', transform=dict(coords_lambda=0.5)),
            'SampledWindowAttention',
            'RotatedVariedSizeWindow',
        ),
    ],
)
def test_one_vocabulary(config, kind, transform):
    attention = build_attention(expand_attention(config), 12, 3, window_size=4)
    assert type(attention).__name__ == kind
    if transform:
        assert type(attention.transform).__name__ == transform
        wanted = config['transform'] if isinstance(config, dict) else {}
        expected = wanted.get('coords_lambda', 0.0) if isinstance(wanted, dict) else 0.0
        assert attention.transform.coords_lambda == expected


@pytest.mark.parametrize(
    ('config', 'error', 'message'),
    [
        ('windows', ValueError, "unknown attention 'windows'.*did you mean window"),
        (dict(type='vsa', paddin='end'), ValueError, "no option 'paddin'; did you mean padding"),
        (dict(type='full', window_size=7), ValueError, "FullAttention has no option 'window_size'"),
        (dict(padding='end'), TypeError, 'a dict with type'),
        (7, TypeError, 'must be a name or a dict'),
    ],
)
def test_unknown_attentions_and_inert_options_are_refused(config, error, message):
    with pytest.raises(error, match=message):
        expand_attention(config)


def test_a_member_is_added_as_one_small_class():
    from mmvsa.models import WindowTransform

    @WINDOW_TRANSFORMS.register_module(force=True)
    class ShiftRight(WindowTransform):
        num_params = 1

        def warp(self, theta, grid, geometry):
            step = theta.new_tensor([1.0, 0.0])
            return grid + (theta + 1).unsqueeze(-1) * step

    try:
        attention = build('ShiftRight', window_size=4)
        x = torch.randn(1, 8, 8, 12, dtype=torch.float64)
        points = attention.window_points(x)
        assert points[0, 0, 0, 0, 0].tolist() == [1.0, 0.0]
        assert attention(x).shape == x.shape
    finally:
        WINDOW_TRANSFORMS.module_dict.pop('ShiftRight')


@pytest.mark.parametrize('position', [None, 'table', ('table', 'decomposed')])
@pytest.mark.parametrize('separate', [False, True])
def test_weights_and_sampled_values_give_the_output(position, separate: bool) -> None:
    """On a map that no window divides, padded at both sides."""
    attention = SampledWindowAttention(
        8, 2, window_size=4, position=position, separate_windows=separate, padding='center'
    )
    torch.nn.init.normal_(attention.transform.regressor.weight, std=0.3)
    for name, parameter in attention.named_parameters():
        if 'rel_pos' in name or 'table' in name:
            torch.nn.init.normal_(parameter)
    x = torch.randn(2, 6, 9, 8)
    weights = attention.attention_weights(x)  # B, heads, nH, nW, queries, keys
    assert weights.shape == (2, 2, 2, 3, 16, 16)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 2, 3, 16))
    points = attention.window_points(x)[:, -2:]  # those of the values are the last
    v = attention.project(x)[..., 2, :, :]
    values = sample_torch(v, points.permute(0, 2, 3, 1, 4, 5)).permute(0, 3, 1, 2, 4, 5)
    read = (weights @ values).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    geometry = attention.geometry(x)
    merged = geometry.crop(window_merge(read, 4, geometry.grid))
    torch.testing.assert_close(attention.proj(merged), attention(x))
