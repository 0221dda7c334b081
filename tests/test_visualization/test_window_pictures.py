"""Pictures of windows: what is drawn, and where."""

from pathlib import Path

import numpy as np
import pytest
from helpers.windows import noise, varied_layers
from matplotlib.collections import PolyCollection
from matplotlib.text import Annotation
from PIL import Image

from mmvsa.visualization import draw_query, draw_windows
from mmvsa.visualization.window_pictures import query_figure


def test_draw_windows(tmp_path: Path) -> None:
    path = draw_windows(
        tmp_path / 'new/windows.png', noise(), varied_layers(), max_heads=2, max_windows=3
    )
    assert np.asarray(Image.open(path)).std() > 5


def test_a_panel_for_each_head(tmp_path: Path) -> None:
    layer = varied_layers()[-1]
    assert layer.num_heads == 4
    figure = query_figure(noise(), layer, (40, 30))
    overview, *panels = figure.axes
    assert len(panels) == 4
    names = [f'head {i}' for i in range(4)]
    assert [axis.get_title().partition(':')[0] for axis in panels] == names
    assert [text.get_text() for text in overview.get_legend().get_texts()] == names
    assert 'query 40, 30' in overview.get_title()
    path = draw_query(tmp_path / 'query.png', noise(), layer, (40, 30), [2])
    assert np.asarray(Image.open(path)).std() > 5


def test_shading_is_the_attention_of_the_query() -> None:
    layer = varied_layers()[-1]
    row, column, place = layer.locate((40, 30), (96, 128))
    figure = query_figure(noise(), layer, (40, 30), heads=[1])
    (cells,) = [c for c in figure.axes[1].collections if isinstance(c, PolyCollection)]
    weights = layer.weights[1, row, column, place]
    shades = np.asarray(cells.get_facecolor())[:, 3]
    np.testing.assert_allclose(shades / shades.max(), weights / weights.max(), atol=1e-6)
    centers = np.array([path.vertices[:4].mean(0) for path in cells.get_paths()])
    points = layer.to_image(layer.points[1, row, column], (96, 128))
    assert np.abs(centers[5] - points[5]).max() < np.abs(points[5] - points[0]).max()


def test_an_arrow_leads_from_the_default_to_the_learned_window() -> None:
    layer = varied_layers()[-1]
    row, column, _ = layer.locate((40, 30), (96, 128))
    figure = query_figure(noise(), layer, (40, 30), heads=[0])
    arrows = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
    assert len(arrows) == 2, 'one and its white outline'
    start = layer.outlines(layer.fixed[0, row, column], (96, 128)).mean(0)
    end = layer.outlines(layer.points[0, row, column], (96, 128)).mean(0)
    for arrow in arrows:
        np.testing.assert_allclose(arrow.xyann, start)
        np.testing.assert_allclose(arrow.xy, end)


def test_small_windows_are_shown_larger() -> None:
    """The first layer of an image of 192 x 256 has 12 x 16 windows."""
    layer = varied_layers(192, 256)[0]
    figure = query_figure(noise(192, 256), layer, (128, 96))
    (left, right), (bottom, top) = figure.axes[1].get_xlim(), figure.axes[1].get_ylim()
    assert right - left < 128 and left < 128 < right and top < 96 < bottom
    assert 'thin frame' in figure.axes[0].get_title()
    assert (
        'thin frame' not in query_figure(noise(), varied_layers()[-1], (9, 9)).axes[0].get_title()
    )


def test_query_outside() -> None:
    with pytest.raises(ValueError, match='outside'):
        query_figure(noise(), varied_layers()[0], (128, 0))
