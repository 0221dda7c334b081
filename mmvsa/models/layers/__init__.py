"""Building blocks shared by every backbone."""

from .attention import FullAttention, WindowedAttention, attend
from .convolutions import (
    ParallelConvolution,
    PyramidReduction,
    pad_to_multiple,
    to_nchw,
    to_nhwc,
)
from .linear import Mlp, linear
from .window_transforms import (
    FixedWindow,
    Quadrangle,
    RotatedVariedSizeWindow,
    VariedSizeWindow,
    WindowTransform,
    build_window_transform,
)
from .windows import (
    WindowGeometry,
    relative_position_index,
    window_merge,
    window_partition,
)

__all__ = [
    'FixedWindow',
    'FullAttention',
    'Mlp',
    'ParallelConvolution',
    'PyramidReduction',
    'Quadrangle',
    'RotatedVariedSizeWindow',
    'VariedSizeWindow',
    'WindowGeometry',
    'WindowTransform',
    'WindowedAttention',
    'attend',
    'build_window_transform',
    'linear',
    'pad_to_multiple',
    'relative_position_index',
    'to_nchw',
    'to_nhwc',
    'window_merge',
    'window_partition',
]
