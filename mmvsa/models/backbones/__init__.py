"""Backbones, registered in ``mmvsa.registry.MODELS``."""

from .base import Backbone
from .pooling_vitae import PoolingViTAE
from .rvsa import RVSA
from .swin_vsa import QFormer, SwinVSA
from .vitae import ViTAE
from .vitaev2 import ViTAEv2

__all__ = ['RVSA', 'Backbone', 'PoolingViTAE', 'QFormer', 'SwinVSA', 'ViTAE', 'ViTAEv2']
