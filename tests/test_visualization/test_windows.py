"""Outlines of windows, worked out by hand; images are written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmvsa.models import SampledWindowAttention, ViTAEv2
from mmvsa.visualization import collect_windows, draw_windows

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


def test_draw_windows(model: ViTAEv2, tmp_path: Path) -> None:
    found = collect_windows(model, torch.randn(1, 3, 32, 48))
    image = np.zeros((32, 48, 3), np.uint8)
    path = draw_windows(tmp_path / 'new/windows.png', image, found, max_heads=2, max_windows=3)
    assert np.asarray(Image.open(path)).std() > 5


@pytest.mark.parametrize('bands', [1, 2, 10])
def test_images_of_any_number_of_bands_are_drawn(tmp_path: Path, bands: int) -> None:
    model = ViTAEv2(ARCH, out_indices=(1,), in_channels=bands)
    layers = collect_windows(model, torch.randn(1, bands, 32, 32))
    path = draw_windows(tmp_path / 'w.png', np.zeros((32, 32, bands), np.uint8), layers)
    assert path.stat().st_size > 1000
