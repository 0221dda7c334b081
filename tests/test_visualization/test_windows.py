"""Windows of a model for an image: outlines, shapes and places, worked out by hand."""

import numpy as np
import pytest
import torch

from mmvsa.models import SampledWindowAttention, ViTAEv2
from mmvsa.visualization import AttentionWindows, collect_windows
from mmvsa.visualization.windows import by_stage, displayed_image, representative_layers

ARCH = dict(
    embed_dims=(4, 4),
    token_dims=(8, 8),
    depths=(1, 1),
    num_heads=(2, 4),
    rc_heads=(2, 2),
    attention=('vsa', 'window'),
    reduction_attention=('vsa', 'vsa'),
    nc_groups=(1, 4),
    rc_groups=(1, 4),
    window_size=4,
)


@pytest.fixture
def model() -> ViTAEv2:
    return ViTAEv2(ARCH, out_indices=(1,))


def test_fresh_windows_are_the_fixed_ones(model: ViTAEv2) -> None:
    """Not square, no multiple of the window: 24 x 40 pixels, maps of 6 x 10 and 3 x 5."""
    found = collect_windows(model, torch.randn(1, 3, 24, 40))
    assert [layer.name for layer in found] == [
        'stages.0.reduction.attn',
        'stages.0.blocks.0.attn',
        'stages.1.reduction.attn',
    ]
    assert [layer.map_size for layer in found] == [(6, 10), (6, 10), (3, 5)]
    layer = found[0]
    corners = layer.corners((24, 40))
    np.testing.assert_allclose(corners[0], layer.corners((24, 40), fixed=True)[0], atol=1e-4)
    # The first window covers 4 x 4 pixels of the map, 16 x 16 of the image, from its corner.
    expected = [[-0.5, -0.5], [15.5, -0.5], [15.5, 15.5], [-0.5, 15.5]]
    np.testing.assert_allclose(corners[0, 0], expected, atol=1e-4)
    assert corners.shape == (2, 2 * 3, 4, 2)


def test_moved_and_scaled_window(model: ViTAEv2) -> None:
    """A shift moves all corners; a scale of 2 doubles the outline about its center."""
    module = model.stages[0].blocks[0].attn
    assert isinstance(module, SampledWindowAttention)
    with torch.no_grad():
        module.transform.regressor.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0, 1.0, 1.0]))
    layer = collect_windows(model, torch.randn(1, 3, 32, 32))[1]
    fixed, moved = layer.corners((32, 32), fixed=True)[0], layer.corners((32, 32))
    kinds = {}
    for head in range(2):
        shift = moved[head].mean(1) - fixed.mean(1)
        size = np.ptp(moved[head], axis=1) / np.ptp(fixed, axis=1)
        kinds[head] = (np.abs(shift).max() > 1, np.allclose(size, 2, atol=1e-3))
    # Numbers are head-major: the first head moves in x, the second doubles.
    assert kinds == {0: (True, False), 1: (False, True)}


def test_collecting_leaves_the_model_as_it_was(model: ViTAEv2) -> None:
    model.train()
    collect_windows(model, torch.randn(1, 3, 16, 16))
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def layer_of(points: np.ndarray) -> AttentionWindows:
    """One head and one window of 2 x 2 on a map of 2 x 2, sampled at (4, 2) points."""
    fixed = np.array([[0.0, 0.0], [1, 0], [0, 1], [1, 1]]).reshape(1, 1, 1, 4, 2)
    points = np.asarray(points, float).reshape(1, 1, 1, 4, 2)
    return AttentionWindows('backbone.stages.3.blocks.1.attn', points, fixed, (2, 2), points)


@pytest.mark.parametrize(
    ('points', 'offset', 'size', 'angle', 'off_map'),
    [
        ([[0, 0], [1, 0], [0, 1], [1, 1]], (0, 0), (1, 1), 0, 0),
        ([[1, 0], [2, 0], [1, 1], [2, 1]], (1, 0), (1, 1), 0, 0.5),
        ([[-1, 0], [2, 0], [-1, 1], [2, 1]], (0, 0), (3, 1), 0, 1),
        # A quarter turn, clockwise: the row from left to right now runs downwards.
        ([[1, 0], [1, 1], [0, 0], [0, 1]], (0, 0), (1, 1), 90, 0),
    ],
)
def test_shapes_by_hand(points, offset, size, angle: float, off_map: float) -> None:
    shapes = layer_of(points).shapes()
    np.testing.assert_allclose(shapes.offset[0, 0, 0], offset)
    np.testing.assert_allclose(shapes.size[0, 0, 0], size)
    assert shapes.angle[0, 0, 0] == pytest.approx(angle)
    assert shapes.off_map[0, 0, 0] == pytest.approx(off_map)


def test_cells_tile_the_window() -> None:
    """Four pixels of the map, each 4 x 8 pixels of an image of 8 x 16."""
    layer = layer_of([[0, 0], [1, 0], [0, 1], [1, 1]])
    cells = layer.cells(layer.points[0, 0, 0], (8, 16))
    np.testing.assert_allclose(cells[0], [[-0.5, -0.5], [7.5, -0.5], [7.5, 3.5], [-0.5, 3.5]])
    np.testing.assert_allclose(cells[3, 2], [15.5, 7.5])


def test_locate(model: ViTAEv2) -> None:
    """24 x 40 pixels, a map of 6 x 10, windows of 4 x 4 pixels of the map."""
    layer = collect_windows(model, torch.randn(1, 3, 24, 40))[0]
    for query, place in (
        ((0, 0), (0, 0, 0)),
        ((3.9, 0), (0, 0, 0)),
        ((4, 0), (0, 0, 1)),
        ((0, 4), (0, 0, 4)),
        ((39, 23), (1, 2, 1 * 4 + 1)),
    ):
        assert layer.locate(query, (24, 40)) == place
    for query in ((40, 0), (0, 24), (-1, 3)):
        with pytest.raises(ValueError, match='outside the image of 40 x 24'):
            layer.locate(query, (24, 40))


def test_locate_with_padding_before_the_map() -> None:
    """6 x 9 pixels in windows of 4, padded at both sides: one row, one column before the map."""
    model = torch.nn.Sequential(SampledWindowAttention(8, 2, window_size=4, padding='center'))
    (layer,) = collect_windows(model, torch.randn(1, 6, 9, 8))
    assert layer.fixed[0, 0, 0, 0].tolist() == [-1, -1]
    assert layer.locate((0, 0), (6, 9)) == (0, 0, 5)
    assert layer.locate((8, 5), (6, 9)) == (1, 2, 2 * 4 + 1)
    assert layer.is_off_map(layer.fixed).sum() == 8 * 12 - 6 * 9


def test_weights_and_separate_windows() -> None:
    attention = SampledWindowAttention(8, 2, window_size=4, separate_windows=True)
    torch.nn.init.normal_(attention.transform.regressor.bias)
    (layer,) = collect_windows(
        torch.nn.Sequential(attention), torch.randn(1, 8, 8, 8), weights=True
    )
    assert layer.separate and layer.points.shape == layer.values.shape == (2, 2, 2, 16, 2)
    assert not np.allclose(layer.points, layer.values)
    np.testing.assert_allclose(layer.weights.sum(-1), 1, rtol=1e-5)


def test_layers_by_stage(model: ViTAEv2) -> None:
    found = collect_windows(model, torch.randn(1, 3, 24, 40))
    assert {stage: len(layers) for stage, layers in by_stage(found).items()} == {0: 2, 1: 1}
    assert [layer.title for layer in by_stage(found)[0]] == [
        'stages.0.reduction',
        'stages.0.blocks.0',
    ]
    assert layer_of(np.zeros((4, 2))).title == 'stages.3.blocks.1'
    flat = AttentionWindows('blocks.4.attn', np.zeros(0), np.zeros(0), (1, 1))
    assert flat.stage == 0


def test_representative_layers_are_the_last_of_each_stage_with_several_windows(
    model: ViTAEv2,
) -> None:
    found = collect_windows(model, torch.randn(1, 3, 24, 40))
    names = [layer.title for layer in representative_layers(found)]
    assert names == ['stages.0.blocks.0', 'stages.1.reduction']
    single = collect_windows(model, torch.randn(1, 3, 16, 16))
    assert [layer.title for layer in representative_layers(single)] == ['stages.1.reduction']
    assert representative_layers([]) == []


def test_displayed_image_undoes_normalization() -> None:
    preprocessor = torch.nn.Module()
    preprocessor.mean = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1)
    preprocessor.std = torch.tensor([2.0, 2.0, 2.0]).view(3, 1, 1)
    image = displayed_image(torch.ones(1, 3, 2, 4), preprocessor)
    assert image.shape == (2, 4, 3) and image[0, 0].tolist() == [12, 22, 32]


@pytest.mark.parametrize('bands', [1, 2, 10])
def test_images_of_any_number_of_bands_are_shown(bands: int) -> None:
    model = ViTAEv2(ARCH, out_indices=(1,), in_channels=bands)
    image = torch.rand(1, bands, 32, 32) * 255
    assert len(collect_windows(model, image)) == 3
    shown = displayed_image(image, torch.nn.Module())
    assert shown.shape == (32, 32, 3)
    expected = image[0, :3] if bands == 10 else image[0, :1].expand(3, -1, -1)
    np.testing.assert_array_equal(shown, expected.round().permute(1, 2, 0).numpy())
