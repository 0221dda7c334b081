"""One self-contained HTML page in which the windows of an image can be explored."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from .windows import AttentionWindows

_TEMPLATE = Path(__file__).with_suffix('.html')


def write_page(
    path: str | Path,
    image: np.ndarray,
    layers: Sequence[AttentionWindows],
    *,
    query: tuple[float, float],
    stage: int,
    block: int,
    head: int = 0,
    title: str = 'Learned windows',
) -> Path:
    """Write a page with sliders for stage, block and head; a click chooses the query.

    It loads nothing: the image and all windows are in it.

    Args:
        path: HTML file.
        image: (H, W, 3) RGB, uint8.
        layers: With their weights, see :func:`~mmvsa.visualization.collect_windows`.
        query: (x, y) in pixels of the image, at first.
        stage: Shown at first.
        block: Number among the layers of the stage, at first.
        head: Shown at first.
        title: Of the page.
    """
    height, width = image.shape[:2]
    png = cv2.imencode('.png', image[..., ::-1])[1]
    colors = mpl.colormaps['tab10'].colors  # type: ignore[attr-defined]
    data = dict(
        title=title,
        image=f'data:image/png;base64,{_text(png)}',
        width=width,
        height=height,
        colors=[to_hex(color) for color in colors],
        start=dict(stage=stage, block=block, head=head, query=list(query)),
        layers=[_layer(layer) for layer in layers],
    )
    # A title could end the script element.
    text = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = _TEMPLATE.read_text(encoding='utf-8').replace('__DATA__', text)
    path.write_text(page, encoding='utf-8')
    return path


def _layer(layer: AttentionWindows) -> dict[str, Any]:
    """Return a layer as the page reads it; ``fixed`` follows from its first pixel."""
    assert layer.weights is not None
    # Each row sums to 1, so that bytes relative to its largest weight are enough.
    largest = layer.weights.max(-1, keepdims=True)
    return dict(
        name=layer.title,
        stage=layer.stage,
        window=layer.window_size,
        grid=layer.grid,
        map=layer.map_size,
        heads=layer.num_heads,
        first=layer.fixed[0, 0, 0, 0].round().astype(int).tolist(),
        points=_text(layer.points.astype('<f4')),
        values=None if layer.values is None else _text(layer.values.astype('<f4')),
        weights=_text(np.rint(255 * layer.weights / largest).astype(np.uint8)),
    )


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode('ascii')
