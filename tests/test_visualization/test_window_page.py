"""The page: what is in it, and that it works in a browser."""

import base64
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import needs_browser, run_in_browser
from helpers.windows import noise, varied_layers

from mmvsa.visualization.window_page import write_page

START = dict(query=(40, 30), stage=1, block=0, head=1)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(
        tmp_path / 'new/page.html', noise(), varied_layers(), **START, title='a </script> b'
    )


def read_data(page: Path) -> dict:
    text = page.read_text()
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.S)[1])


def test_everything_is_in_the_page(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r'(src|href)\s*=\s*["\']|https?:|@import|fetch\(|XMLHttp', text)
    data = read_data(page)
    assert data['title'] == 'a </script> b' and data['start']['query'] == [40, 30]
    assert data['image'].startswith('data:image/png;base64,')
    assert (data['width'], data['height']) == (128, 96)


def test_arrays_are_those_of_the_layers(page: Path) -> None:
    layers = varied_layers()
    stored = read_data(page)['layers']
    assert [layer['name'] for layer in stored] == [layer.title for layer in layers]
    for layer, found in zip(layers, stored, strict=True):
        points = np.frombuffer(base64.b64decode(found['points']), '<f4')
        np.testing.assert_array_equal(points.reshape(layer.points.shape), layer.points)
        rows = np.frombuffer(base64.b64decode(found['weights']), np.uint8)
        rows = rows.reshape(layer.weights.shape).astype(float)
        np.testing.assert_allclose(rows / rows.sum(-1, keepdims=True), layer.weights, atol=0.003)
        assert found['values'] is None, 'those of the keys'


# What the page says of its state, and a number that changes when the drawing does.
LOOK = """
const look = () => ({
  hash: location.hash,
  readout: document.getElementById('readout').textContent,
  heads: document.querySelectorAll('#heads button').length,
  pressed: [...document.querySelectorAll('#heads button')]
    .findIndex(button => button.getAttribute('aria-pressed') === 'true'),
  drawn: document.getElementById('main').toDataURL(),
});
const slide = (id, value) => {
  const slider = document.getElementById(id);
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
};
"""


def said(layer, head: int, query: tuple[int, int]) -> str:
    """What the readout must say, from the same arrays in Python."""
    row, column, place = layer.locate(query, (96, 128))
    shapes = layer.shapes()
    x, y = shapes.offset[head, row, column] * layer.scale((96, 128))
    width, height = shapes.size[head, row, column]
    off_map = 100 * shapes.off_map[head, row, column] + 1e-6  # a half is rounded up in the page
    return (
        f'{layer.title}, head {head}, query {query[0]}, {query[1]}: the window has moved '
        f'{abs(x):.1f} px {"left" if x < 0 else "right"} and {abs(y):.1f} px '
        f'{"up" if y < 0 else "down"}, is {width:.2f} x {height:.2f} of its default size, '
        f'turned by {shapes.angle[head, row, column]:.0f}°; '
        f'{off_map:.0f} % of its points are off the map. The '
        f'strongest weight is {100 * layer.weights[head, row, column, place].max():.0f} %'
    )


@needs_browser
def test_sliders_and_clicks(page: Path) -> None:
    """Start, each slider, a click on the image, one beside it, and the arrow keys."""
    script = (
        LOOK
        + """
    const views = [look()];
    slide('stage', 2); views.push(look());
    slide('block', 0); views.push(look());
    slide('head', 3); views.push(look());
    const canvas = document.getElementById('main'), box = canvas.getBoundingClientRect();
    const click = (x, y) => canvas.dispatchEvent(new MouseEvent('click', {
      bubbles: true,
      clientX: box.left + (x - frame.x) * box.width / frame.width,
      clientY: box.top + (y - frame.y) * box.height / frame.height,
    }));
    click(100.5, 70.5); views.push(look());
    click(-3, 5); views.push(look());
    canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp' })); views.push(look());
    document.querySelectorAll('#heads button')[1].click(); views.push(look());
    return views;
    """
    )
    views = run_in_browser(page, script)
    stages = {stage: [x for x in varied_layers() if x.stage == stage] for stage in (1, 2)}
    expected = [
        (stages[1][0], 1, (40, 30), 0),
        (stages[2][0], 1, (40, 30), 0),
        (stages[2][0], 1, (40, 30), 0),
        (stages[2][0], 3, (40, 30), 0),
        (stages[2][0], 3, (100, 70), 0),
        (stages[2][0], 3, (100, 70), 0),
        (stages[2][0], 3, (100, 54), 0),  # one pixel of the map is 16 of the image
        (stages[2][0], 1, (100, 54), 0),
    ]
    for view, (layer, head, query, block) in zip(views, expected, strict=True):
        assert view['readout'].startswith(said(layer, head, query))
        assert (
            view['hash']
            == f'#stage={layer.stage}&block={block}&head={head}&query={query[0]},{query[1]}'
        )
        assert (view['heads'], view['pressed']) == (layer.num_heads, head)
    drawings = [view['drawn'] for view in views]
    same = [a == b for a, b in pairwise(drawings)]
    assert same == [False, True, False, False, True, False, False]


@needs_browser
def test_a_view_can_be_shared_by_its_address(page: Path) -> None:
    view = run_in_browser(page, LOOK + 'return look();', fragment='stage=0&block=0&query=3,4')
    expected = said(varied_layers()[0], 0, (3, 4))
    assert view['readout'][: len(expected)] == expected
    # What is not there falls back to what is.
    view = run_in_browser(page, LOOK + 'return look();', fragment='stage=9&head=7&query=900,x')
    assert view['hash'] == '#stage=0&block=0&head=0&query=40,30'


@needs_browser
def test_the_drawing_shows_the_image_and_the_query(tmp_path: Path) -> None:
    """Colors at the query (white), and of the image far from all windows."""
    image = np.full((96, 128, 3), (200, 100, 0), np.uint8)
    page = write_page(tmp_path / 'page.html', image, varied_layers(), **START)
    script = """
    const at = (x, y) => {
      const canvas = document.getElementById('main'), scale = canvas.width / frame.width;
      const pixel = canvas.getContext('2d').getImageData(
        (x + 0.5 - frame.x) * scale, (y + 0.5 - frame.y) * scale, 1, 1);
      return [...pixel.data];
    };
    return [at(40, 30), at(127, 95)];
    """
    query, corner = run_in_browser(page, script, fragment='stage=0&block=0&head=0&query=40,30')
    assert query == [255, 255, 255, 255]
    np.testing.assert_allclose(corner[:3], 255 - 0.85 * (255 - image[0, 0].astype(float)), atol=2)
