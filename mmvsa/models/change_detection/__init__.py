"""Change detection on mmseg: import this package, or ask the registry for one of its names.

``import mmvsa`` leaves it out, because it imports mmseg.
"""

from .bit_head import BITHead
from .data_preprocessor import PairDataPreprocessor
from .feature_fusion import FeatureFusionNeck
from .siamese import SiamEncoderDecoder
from .unet_head import UNetHead

__all__ = [
    'BITHead',
    'FeatureFusionNeck',
    'PairDataPreprocessor',
    'SiamEncoderDecoder',
    'UNetHead',
]
