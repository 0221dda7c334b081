"""The members of the window family: what they have in common and what each adds."""

import math

import pytest
import torch

from mmvsa.models import SampledWindowAttention, WindowAttention
from mmvsa.models.layers import WindowGeometry, build_window_transform

MEMBERS = ['VariedSizeWindow', 'RotatedVariedSizeWindow', 'Quadrangle']
# Rows (of theta and of the regressor) after a quarter turn of the map, and their signs.
QUARTER_TURN = {
    'VariedSizeWindow': ([1, 0, 3, 2], [1, -1, 1, 1]),
    'RotatedVariedSizeWindow': ([1, 0, 3, 2, 4], [1, -1, 1, 1, 1]),
    'Quadrangle': ([1, 0, 3, 2, 5, 4, 7, 6, 8], [1, -1, 1, 1, -1, -1, 1, -1, 1]),
}


def build(transform, regressor_std=0.0, **options):
    torch.manual_seed(0)
    options = {'window_size': 4, **options}
    if transform is None:
        attention = WindowAttention(12, 3, **options).double()
    else:
        attention = SampledWindowAttention(12, 3, transform=transform, **options).double()  # type: ignore[assignment]
    if regressor_std:
        torch.nn.init.normal_(attention.transform.regressor.weight, std=regressor_std)
        torch.nn.init.normal_(attention.transform.regressor.bias, std=regressor_std)
    return attention.eval()


def points(transform, numbers, geometry, **options):
    """Points of one window transform where every window has the same numbers."""
    module = build_window_transform(dict(type=transform, **options), 4, 1)
    theta = torch.tensor(numbers, dtype=torch.float64).expand(1, *geometry.grid, 1, -1)
    return module.points(theta, geometry)


@pytest.mark.parametrize('member', MEMBERS)
@pytest.mark.parametrize('size', [(8, 8), (10, 17), (3, 20), (1, 1)])
@pytest.mark.parametrize('options', [{}, dict(padding='center', separate_windows=True)])
def test_zero_prediction_is_window_attention(member, size, options):
    attention = build(member, **options)
    fixed = build(None, padding=options.get('padding', 'end'))
    fixed.load_state_dict(attention.state_dict(), strict=False)
    x = torch.randn(2, *size, 12, dtype=torch.float64)
    torch.testing.assert_close(attention(x), fixed(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize('size', [(8, 8), (8, 16), (9, 6)])
def test_each_member_contains_the_one_before(size):
    geometry = WindowGeometry.of(size, 4)
    numbers = [0.3, -0.2, 0.5, -0.4]
    vsa = points('VariedSizeWindow', numbers, geometry)
    rotated = points('RotatedVariedSizeWindow', [*numbers, 0.0], geometry)
    quadrangle = points('Quadrangle', [*numbers, *[0.0] * 5], geometry, offset_unit='axis')
    torch.testing.assert_close(rotated, vsa)
    torch.testing.assert_close(quadrangle, vsa)
    turned = points('RotatedVariedSizeWindow', [*numbers, 0.7], geometry)
    opposite = points('Quadrangle', [*numbers, 0, 0, 0, 0, -0.7], geometry, offset_unit='axis')
    torch.testing.assert_close(opposite, turned)
    assert (turned - vsa).abs().max() > 0.1


@pytest.mark.parametrize('size', [(8, 8), (9, 14)])
@pytest.mark.parametrize('wider', MEMBERS[1:])
def test_vsa_is_a_wider_member_that_predicts_nothing_more(wider, size):
    """Outputs agree where angle, shear and projection are predicted to be zero."""
    vsa = build(dict(type='VariedSizeWindow', offset_unit='padded'), regressor_std=0.4)
    other = build(dict(type=wider, offset_unit='padded'))
    state = {k: v.clone() for k, v in vsa.state_dict().items()}
    for key in ('transform.regressor.weight', 'transform.regressor.bias'):
        by_head = state[key].unflatten(0, (3, 4))
        more = by_head.new_zeros(3, other.transform.num_params - 4, *by_head.shape[2:])
        state[key] = torch.cat((by_head, more), 1).flatten(0, 1)
    other.load_state_dict(state)
    x = torch.randn(2, *size, 12, dtype=torch.float64)
    torch.testing.assert_close(other(x), vsa(x), rtol=0, atol=1e-12)
    other.transform.regressor.bias.data[4] = 0.5
    assert (other(x) - vsa(x)).abs().max() > 1e-4


def test_quadrangle_by_the_matrix_of_the_paper():
    geometry = WindowGeometry.of((8, 12), 4)
    numbers = [0.3, -0.2, 0.5, -0.4, 0.2, -0.1, 0.3, 0.6, 0.7]
    ox, oy, sx, sy, shear_x, shear_y, px, py, angle = numbers
    c, s = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    shear = torch.tensor([[1, shear_x], [shear_y, 1]], dtype=torch.float64)
    scale = torch.tensor([[1 + sx, 0], [0, 1 + sy]], dtype=torch.float64)
    half = torch.tensor([11 / 2, 7 / 2], dtype=torch.float64)
    grid = geometry.local_grid('cpu', torch.float64) / half
    offset = torch.tensor([ox / 3, oy / 2], dtype=torch.float64)
    moved = grid @ (rotation @ shear @ scale).T + offset
    moved = moved / (1 + grid @ torch.tensor([px, py], dtype=torch.float64)).unsqueeze(-1)
    expected = geometry.centers('cpu', torch.float64).unsqueeze(2) + moved * half
    torch.testing.assert_close(points('Quadrangle', numbers, geometry)[0, :, :, 0], expected)


def test_a_quarter_turn_of_the_window_by_hand():
    geometry = WindowGeometry.of((2, 2), 2)
    out = points('RotatedVariedSizeWindow', [0, 0, 0, 0, math.pi / 2], geometry)[0, 0, 0, 0]
    # (x, y) goes to (-y, x) about the center
    expected = torch.tensor([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=torch.float64)
    torch.testing.assert_close(out, expected)


def turn_position_table(state):
    table = state['relative_position_bias_table'].unflatten(0, (7, 7))
    state['relative_position_bias_table'] = table.rot90().flatten(0, 1)


def test_a_quarter_turn_of_plain_windows():
    attention, turned = build(None), build(None)
    state = {k: v.clone() for k, v in attention.state_dict().items()}
    turn_position_table(state)
    turned.load_state_dict(state)
    x = torch.randn(2, 8, 12, 12, dtype=torch.float64)
    out = turned(x.rot90(1, (1, 2))).rot90(-1, (1, 2))
    torch.testing.assert_close(out, attention(x))


@pytest.mark.parametrize('member', MEMBERS)
def test_a_quarter_turn_of_the_input_turns_the_output(member):
    attention = build(member, regressor_std=0.4)
    turned = build(member)
    state = {k: v.clone() for k, v in attention.state_dict().items()}
    rows, signs = QUARTER_TURN[member]
    for key in ('weight', 'bias'):
        by_head = state[f'transform.regressor.{key}'].unflatten(0, (-1, len(rows)))[:, rows]
        sign = torch.tensor(signs).view(-1, *[1] * (by_head.dim() - 2))
        state[f'transform.regressor.{key}'] = (by_head * sign).flatten(0, 1)
    turn_position_table(state)
    turned.load_state_dict(state)
    x = torch.randn(2, 12, 12, 12, dtype=torch.float64)
    out = turned(x.rot90(1, (1, 2))).rot90(-1, (1, 2))
    torch.testing.assert_close(out, attention(x))


@pytest.mark.parametrize('member', MEMBERS[1:])
def test_gradients_by_finite_differences(member):
    attention = build(member, regressor_std=0.3, window_size=3, position=('table', 'decomposed'))
    x = torch.randn(1, 4, 5, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention, (x,), eps=1e-7, atol=1e-5)


def test_offsets_in_windows_of_the_padded_map():
    geometry = WindowGeometry.of((6, 7), 4)
    x = [
        points('VariedSizeWindow', [1, 0, 0, 0], geometry, offset_unit=unit)[..., 0].mean()
        for unit in ('axis', 'padded')
    ]
    assert x[0] - 3.5 == pytest.approx(3.5)
    assert x[1] - 3.5 == pytest.approx(3.5 / 2)


def test_a_single_window_stays_where_it_is():
    x = torch.randn(1, 4, 3, 12, dtype=torch.float64)
    attention = build('Quadrangle', regressor_std=0.5)
    fixed = build(None)
    fixed.load_state_dict(attention.state_dict(), strict=False)
    torch.testing.assert_close(attention(x), fixed(x))
    attention(x).sum().backward()
    assert not attention.transform.regressor.weight.grad.any()  # unmoved but not unused
    moved = build(dict(type='Quadrangle', skip_single_window=False), regressor_std=0.5)
    assert (moved(x) - fixed(x)).abs().max() > 1e-4


@pytest.mark.parametrize('padding', ['end', 'center'])
def test_rectified_gradient_pushes_points_back(padding):
    geometry = WindowGeometry.of((6, 12), 4, padding)  # padded: 8 x 12
    config = dict(type='Quadrangle', coords_lambda=0.5)
    theta = torch.zeros(1, 2, 3, 1, 9, dtype=torch.float64, requires_grad=True)
    plain = build_window_transform('Quadrangle', 4, 1).points(theta, geometry)
    moved = build_window_transform(config, 4, 1)
    inside = moved.points(theta, geometry)
    assert torch.equal(inside, plain)
    (gradient,) = torch.autograd.grad(inside.sum(), theta)
    assert torch.equal(gradient, torch.autograd.grad(plain.sum(), theta)[0])

    far = torch.tensor([3.0, -3.0], dtype=torch.float64)  # every window right of and above the map
    theta = torch.cat((far, torch.zeros(7, dtype=torch.float64))).expand(1, 2, 3, 1, 9)
    theta = theta.clone().requires_grad_()
    # 16 points a window, each with a push of 10 * 0.5 per normalized unit; offsets in windows
    (gradient,) = torch.autograd.grad(moved.points(theta, geometry).sum() * 0, theta)
    torch.testing.assert_close(
        gradient[0, 0, 2, 0, :2], 16 * 5 * torch.tensor([1 / 3, -1 / 2]).double()
    )


@pytest.mark.parametrize('kind', ['VariedSizeWindow', 'RotatedVariedSizeWindow', 'Quadrangle'])
def test_lost_windows_come_back_only_when_pushed(kind):
    x = torch.randn(1, 8, 8, 12, dtype=torch.float64)
    for strength in (0.0, 0.01):
        attention = build(dict(type=kind, coords_lambda=strength))
        regressor = attention.transform.regressor
        with torch.no_grad():  # all windows far to the right of the map: keys and values are zero
            regressor.bias.view(3, -1)[:, 0] = 6
        lost = attention(x)
        assert torch.equal(lost, attention.proj.bias.expand_as(lost))
        optimizer = torch.optim.SGD(regressor.parameters(), lr=0.1)
        for _ in range(40):
            optimizer.zero_grad()
            attention(x).square().sum().backward()
            optimizer.step()
        assert ((attention(x) - lost).abs().max() > 1e-3) == (strength > 0)


def test_separate_windows_for_keys_and_values():
    attention = build('RotatedVariedSizeWindow', regressor_std=0.4, separate_windows=True)
    x = torch.randn(1, 8, 8, 12, dtype=torch.float64)
    assert attention.window_points(x).shape == (1, 6, 2, 2, 16, 2)
    # the same window twice is the attention with one window
    one = build('RotatedVariedSizeWindow')
    state = {k: v.clone() for k, v in attention.state_dict().items()}
    for key in ('weight', 'bias'):
        keys = state[f'transform.regressor.{key}'][:15]
        state[f'transform.regressor.{key}'] = torch.cat((keys, keys))
        one.get_parameter(f'transform.regressor.{key}').data.copy_(keys)
    state_one = {k: v for k, v in state.items() if 'regressor' not in k}
    one.load_state_dict(state_one, strict=False)
    separate = attention(x)
    attention.load_state_dict(state)
    torch.testing.assert_close(attention(x), one(x))
    assert (separate - one(x)).abs().max() > 1e-4


@pytest.mark.parametrize('kind', ['VariedSizeWindow', 'Quadrangle'])
def test_wrong_coords_lambda_is_named(kind):
    with pytest.raises(ValueError, match='coords_lambda must be .* at least 0, got -1'):
        build(dict(type=kind, coords_lambda=-1))
