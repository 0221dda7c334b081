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
from .performer import PerformerAttention
from .position import resize_position
from .recompute import Repeating, recompute
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
    'PerformerAttention',
    'PyramidReduction',
    'Quadrangle',
    'Repeating',
    'RotatedVariedSizeWindow',
    'VariedSizeWindow',
    'WindowGeometry',
    'WindowTransform',
    'WindowedAttention',
    'attend',
    'build_window_transform',
    'linear',
    'pad_to_multiple',
    'recompute',
    'relative_position_index',
    'resize_position',
    'to_nchw',
    'to_nhwc',
    'window_merge',
    'window_partition',
]
