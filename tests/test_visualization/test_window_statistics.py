"""Statistics of windows, worked out by hand; JSON and plot."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.windows import varied_layers
from PIL import Image

from mmvsa.visualization import AttentionWindows
from mmvsa.visualization.window_statistics import (
    QUANTITIES,
    WindowStatistics,
    draw_statistics,
    layer_statistics,
)

FIXED = np.array([[0.0, 0.0], [1, 0], [0, 1], [1, 1]]).reshape(1, 1, 1, 4, 2)


def by_hand() -> AttentionWindows:
    """Two heads on a map of 2 x 1 in one window of 2 x 2, whose last column pads the map.

    The first head is the default window, with even attention; the second is twice as large, two
    pixels to the right, and reads its first point alone.
    """
    moved = 2 * (FIXED - 0.5) + 0.5 + np.array([2, 0])
    points = np.concatenate([FIXED, moved])
    weights = np.full((2, 1, 1, 4, 4), 0.25)
    weights[1] = [1, 0, 0, 0]
    return AttentionWindows('stages.0.blocks.0.attn', points, FIXED, (2, 1), weights=weights)


def test_by_hand() -> None:
    found = layer_statistics(by_hand(), (20, 10))  # 10 pixels of the image per pixel of the map
    np.testing.assert_allclose(found['size'], [1, 2])
    np.testing.assert_allclose(found['offset'], [0, 1])
    np.testing.assert_allclose(found['angle'], [0, 0], atol=1e-6)
    np.testing.assert_allclose(found['off_map'], [50, 100])
    # Queries are at (0, 0) and (0, 1); the second head's first point is at (1.5, -0.5).
    even = (0 + 10 + 10 + 200**0.5) / 4
    second = (np.hypot(15, 5) + np.hypot(15, 15)) / 2
    np.testing.assert_allclose(found['distance'], [even, second])


def test_means_over_images() -> None:
    layer = by_hand()
    statistics = WindowStatistics()
    statistics.update([layer], (20, 10))
    statistics.update([replace(layer, values=layer.points + np.array([0, 2]))], (20, 10))
    summary = statistics.summary()
    assert json.loads(json.dumps(summary)) == summary
    (found,) = summary['layers']
    assert summary['images'] == 2 and found['name'] == 'stages.0.blocks.0'
    assert found['off_map_default'] == 50
    first, second = found['heads']['offset']
    assert first == pytest.approx((0 + 1) / 2)
    assert second == pytest.approx((1 + np.hypot(1, 1)) / 2)
    assert found['mean']['offset'] == pytest.approx((first + second) / 2)
    assert found['heads'].keys() == found['mean'].keys() == QUANTITIES.keys()


def test_errors() -> None:
    statistics = WindowStatistics()
    with pytest.raises(ValueError, match='no image'):
        statistics.summary()
    statistics.update(varied_layers(), (96, 128))
    with pytest.raises(ValueError, match='images before'):
        statistics.update([by_hand()], (20, 10))


def test_distance_needs_weights() -> None:
    found = layer_statistics(replace(by_hand(), weights=None), (20, 10))
    assert np.isnan(found['distance']).all() and np.isfinite(found['size']).all()


def test_plot(tmp_path: Path) -> None:
    statistics = WindowStatistics()
    statistics.update(varied_layers(), (96, 128))
    path = draw_statistics(tmp_path / 'new/statistics.png', statistics.summary())
    assert np.asarray(Image.open(path)).std() > 5
