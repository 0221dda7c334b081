"""Data structures that travel from a dataset through a model to its metrics."""

from .matting_sample import MattingSample

__all__ = ['MattingSample']
