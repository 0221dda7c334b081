"""Metrics."""

from .matting import MattingMetric
from .real_labels import ReaLAccuracy

__all__ = ['MattingMetric', 'ReaLAccuracy']
