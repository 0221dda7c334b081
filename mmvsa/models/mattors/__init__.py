"""Image matting."""

from .heads import MatteOutputs, P3MHead, UNetMattingHead
from .mattor import MattingDataPreprocessor, Mattor

# Whole models by name, for get_model.
MODELS_BY_NAME = {
    'p3m-net_vitae-s': dict(
        type='mmvsa.Mattor',
        backbone=dict(type='mmvsa.PoolingViTAE', arch='s'),
        decode_head=dict(type='mmvsa.P3MHead'),
        data_preprocessor=dict(
            type='mmvsa.MattingDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
        ),
    ),
}

__all__ = [
    'MODELS_BY_NAME',
    'MatteOutputs',
    'MattingDataPreprocessor',
    'Mattor',
    'P3MHead',
    'UNetMattingHead',
]
