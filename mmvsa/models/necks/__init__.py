"""Necks, registered in ``mmvsa.registry.MODELS``."""

from .simple_pyramid import SimplePyramid

__all__ = ['SimplePyramid']
