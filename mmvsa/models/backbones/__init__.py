"""Backbones, registered in ``mmvsa.registry.MODELS``."""

from .base import Backbone
from .vitaev2 import ViTAEv2

__all__ = ['Backbone', 'ViTAEv2']
