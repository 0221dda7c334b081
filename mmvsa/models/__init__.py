"""Models: attention, backbones, necks, checkpoints."""

from .backbones import RVSA, PoolingViTAE, QFormer, SwinVSA, ViTAE, ViTAEv2
from .checkpoints import (
    CheckpointError,
    LoadReport,
    load_complete,
    load_pretrained,
    read_state_dict,
)
from .conversions import convert_vitaev2
from .layers import (
    FullAttention,
    Quadrangle,
    RotatedVariedSizeWindow,
    SampledWindowAttention,
    VariedSizeWindow,
    WindowAttention,
    WindowTransform,
)
from .mattors import MatteOutputs, Mattor
from .necks import SimplePyramid
from .safe_loading import install_safe_loading, read_checkpoint
from .selfsup import MAEEncoder

__all__ = [
    'RVSA',
    'CheckpointError',
    'FullAttention',
    'LoadReport',
    'MAEEncoder',
    'MatteOutputs',
    'Mattor',
    'PoolingViTAE',
    'QFormer',
    'Quadrangle',
    'RotatedVariedSizeWindow',
    'SampledWindowAttention',
    'SimplePyramid',
    'SwinVSA',
    'VariedSizeWindow',
    'ViTAE',
    'ViTAEv2',
    'WindowAttention',
    'WindowTransform',
    'convert_vitaev2',
    'install_safe_loading',
    'load_complete',
    'load_pretrained',
    'read_checkpoint',
    'read_state_dict',
]
