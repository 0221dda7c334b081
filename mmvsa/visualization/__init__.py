"""Drawings: training curves, learned windows, mattes."""

from .curves import draw_training_curve
from .mattes import GREEN, checkerboard, compose, draw_matte
from .windows import AttentionWindows, collect_windows, draw_windows

__all__ = [
    'GREEN',
    'AttentionWindows',
    'checkerboard',
    'collect_windows',
    'compose',
    'draw_matte',
    'draw_training_curve',
    'draw_windows',
]
