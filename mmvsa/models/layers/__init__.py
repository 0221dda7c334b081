"""Building blocks shared by every backbone."""

from mmvsa.ops.windows import WindowGeometry, window_merge, window_partition

from .attention import (
    Attention,
    FullAttention,
    SampledWindowAttention,
    WindowAttention,
    WindowedAttention,
    build_attention,
)
from .block import Block, TokenBlock
from .checkpointing import checkpointed
from .convolutions import (
    ParallelConvolution,
    PyramidReduction,
    pad_to_multiple,
    to_nchw,
    to_nhwc,
)
from .mlp import Mlp, linear
from .performer import PerformerAttention
from .position import DecomposedPosition, resize_position, sincos_position
from .reduction import (
    PatchMerging,
    PatchReduction,
    PyramidOnly,
    ReductionCell,
    Stage,
    split_stride,
)
from .window_transforms import (
    Quadrangle,
    RotatedVariedSizeWindow,
    SampledWindows,
    VariedSizeWindow,
    WindowTransform,
    build_window_transform,
)

__all__ = [
    'Attention',
    'Block',
    'DecomposedPosition',
    'FullAttention',
    'Mlp',
    'ParallelConvolution',
    'PatchMerging',
    'PatchReduction',
    'PerformerAttention',
    'PyramidOnly',
    'PyramidReduction',
    'Quadrangle',
    'ReductionCell',
    'RotatedVariedSizeWindow',
    'SampledWindowAttention',
    'SampledWindows',
    'Stage',
    'TokenBlock',
    'VariedSizeWindow',
    'WindowAttention',
    'WindowGeometry',
    'WindowTransform',
    'WindowedAttention',
    'build_attention',
    'build_window_transform',
    'checkpointed',
    'linear',
    'pad_to_multiple',
    'resize_position',
    'sincos_position',
    'split_stride',
    'to_nchw',
    'to_nhwc',
    'window_merge',
    'window_partition',
]
