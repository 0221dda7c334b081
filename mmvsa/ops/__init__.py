"""Sampling of keys and values at the points of varied windows, alone or inside attention."""

from .backends import (
    BACKENDS,
    Backend,
    backend_table,
    choose_backend,
    sample_windows,
    select_backend,
    use_backend,
)

__all__ = [
    'BACKENDS',
    'Backend',
    'backend_table',
    'choose_backend',
    'sample_windows',
    'select_backend',
    'use_backend',
]
