"""Window geometry, partition and padding."""

import pytest
import torch
import torch.nn.functional as F

from mmvsa.ops import WindowGeometry, window_merge, window_partition

SIZES = [(14, 14), (10, 17), (3, 20), (1, 1), (7, 6)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', ['end', 'center'])
def test_pad_partition_merge_crop_is_the_identity(size, padding):
    x = torch.randn(2, *size, 6)
    geometry = WindowGeometry.of(size, 7, padding)
    padded = geometry.pad(x)
    assert padded.shape[1:3] == geometry.padded_size
    windows = window_partition(padded.unflatten(-1, (3, 2)), 7)
    assert windows.shape == (2 * geometry.grid[0] * geometry.grid[1], 3, 49, 2)
    merged = window_merge(windows, 7, geometry.grid)
    assert torch.equal(merged, padded)
    assert torch.equal(geometry.crop(merged), x)


def test_partition_order_by_hand():
    x = torch.arange(16).view(1, 4, 4, 1)
    windows = window_partition(x[..., None], 2)[:, 0, :, 0]
    assert windows.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_padding_is_at_the_end_or_split():
    assert WindowGeometry.of((10, 12), 7, 'end').padding == (0, 2, 0, 4)
    assert WindowGeometry.of((10, 12), 7, 'center').padding == (1, 1, 2, 2)
    assert WindowGeometry.of((10, 11), 7, 'center').padding == (1, 2, 2, 2)


@pytest.mark.parametrize('padding', ['end', 'center'])
@pytest.mark.parametrize('window_size', [4, 7])
def test_centers_plus_grid_are_the_windows_pixels(padding, window_size):
    geometry = WindowGeometry.of((9, 13), window_size, padding)
    points = geometry.centers('cpu', torch.float32)[:, :, None] + geometry.local_grid(
        'cpu', torch.float32
    )
    rows, columns = geometry.padded_size
    x, y = torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing='xy')
    pixels = torch.stack((x - geometry.left, y - geometry.top), -1)[None].float()
    expected = window_partition(pixels[:, :, :, None], window_size)[:, 0]
    assert torch.equal(points.flatten(0, 1), expected)


def test_parts_are_partitioned_at_once():
    qkv = torch.randn(2, 8, 12, 3, 2, 5)
    for part, windows in zip(qkv.unbind(3), window_partition(qkv, 4), strict=True):
        assert windows.is_contiguous()
        assert torch.equal(windows, window_partition(part, 4))


@pytest.mark.parametrize('padding', ['end', 'center'])
def test_windows_are_averaged_with_their_padding(padding):
    torch.manual_seed(0)
    geometry = WindowGeometry.of((5, 6), 4, padding)
    x = torch.randn(2, 5, 6, 3, dtype=torch.float64)
    padded = geometry.pad(x).permute(0, 3, 1, 2)
    expected = F.avg_pool2d(padded, 4).permute(0, 2, 3, 1)
    torch.testing.assert_close(geometry.pool(x), expected)
