"""Drawings: training curves, learned windows."""

from .curves import draw_training_curve
from .windows import AttentionWindows, collect_windows, draw_windows

__all__ = ['AttentionWindows', 'collect_windows', 'draw_training_curve', 'draw_windows']
