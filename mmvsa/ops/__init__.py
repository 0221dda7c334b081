"""Sampling of keys and values at the points of varied windows."""

from .backends import BACKENDS, Backend, backend_table, sample_windows, select_backend, use_backend

__all__ = [
    'BACKENDS',
    'Backend',
    'backend_table',
    'sample_windows',
    'select_backend',
    'use_backend',
]
