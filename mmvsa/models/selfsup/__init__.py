"""Backbones that learn without labels, by methods of mmpretrain."""

from .mae_encoder import MAEEncoder

__all__ = ['MAEEncoder']
