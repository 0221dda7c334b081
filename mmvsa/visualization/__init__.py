"""Drawings: training curves, learned windows, mattes."""

from .curves import draw_training_curve
from .mattes import GREEN, checkerboard, compose, draw_matte
from .window_pictures import draw_query, draw_windows
from .windows import AttentionWindows, WindowShapes, collect_windows

__all__ = [
    'GREEN',
    'AttentionWindows',
    'WindowShapes',
    'checkerboard',
    'collect_windows',
    'compose',
    'draw_matte',
    'draw_query',
    'draw_training_curve',
    'draw_windows',
]
