"""Image matting."""

from .heads import MatteOutputs, P3MHead, UNetMattingHead
from .mattor import MattingDataPreprocessor, Mattor

__all__ = ['MatteOutputs', 'MattingDataPreprocessor', 'Mattor', 'P3MHead', 'UNetMattingHead']
