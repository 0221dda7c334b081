"""Models: attention, backbones, checkpoints."""

from .backbones import RVSA, PoolingViTAE, QFormer, SwinVSA, ViTAE, ViTAEv2
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
from .mattors import MatteOutputs, Mattor
from .safe_loading import install_safe_loading, read_checkpoint
from .zoo import get_model, list_models

__all__ = [
    'RVSA',
    'CheckpointError',
    'FixedWindow',
    'FullAttention',
    'LoadReport',
    'MatteOutputs',
    'Mattor',
    'PoolingViTAE',
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
    'get_model',
    'install_safe_loading',
    'list_models',
    'load_pretrained',
    'read_checkpoint',
    'read_state_dict',
]
