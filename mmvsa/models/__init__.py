"""Models: attention, backbones, checkpoints."""

from .backbones import RVSA, QFormer, SwinVSA, ViTAE, ViTAEv2
from .checkpoints import (
    CheckpointError,
    LoadReport,
    load_pretrained,
    read_state_dict,
)
from .conversions import convert_vitaev2
from .layers import (
    FixedWindow,
    FullAttention,
    Quadrangle,
    RotatedVariedSizeWindow,
    VariedSizeWindow,
    WindowedAttention,
    WindowTransform,
)

__all__ = [
    'RVSA',
    'CheckpointError',
    'FixedWindow',
    'FullAttention',
    'LoadReport',
    'QFormer',
    'Quadrangle',
    'RotatedVariedSizeWindow',
    'SwinVSA',
    'VariedSizeWindow',
    'ViTAE',
    'ViTAEv2',
    'WindowTransform',
    'WindowedAttention',
    'convert_vitaev2',
    'load_pretrained',
    'read_state_dict',
]
