"""Matplotlib without a display and without its global state."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = '#33383d'
PALE = '#c9ced3'
BLUE = '#2f6fb2'
ORANGE = '#d9772b'


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """A figure of ``width`` x ``height`` inches that no window manager knows."""
    figure = Figure(figsize=(width, height), layout='constrained', **options)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a PNG, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor='white')
    return path


def to_array(figure: Figure) -> np.ndarray:
    """Return a figure as (H, W, 3) uint8 in RGB."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
