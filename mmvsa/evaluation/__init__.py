"""Metrics."""

from .real_labels import ReaLAccuracy

__all__ = ['ReaLAccuracy']
