"""Functions on tensors: windows of a map, attention, and backends that sample keys and values.

Needs PyTorch only; mmcv's op and Triton are imported when they are first used.
"""

from .attention import attend
from .backends import (
    AUTO,
    BACKENDS,
    AttentionSpec,
    Backend,
    SamplingBackend,
    backend_table,
    check_backend,
    select_backend,
    set_backend,
)
from .windows import PADDINGS, WindowGeometry, window_merge, window_partition

__all__ = [
    'AUTO',
    'BACKENDS',
    'PADDINGS',
    'AttentionSpec',
    'Backend',
    'SamplingBackend',
    'WindowGeometry',
    'attend',
    'backend_table',
    'check_backend',
    'select_backend',
    'set_backend',
    'window_merge',
    'window_partition',
]
