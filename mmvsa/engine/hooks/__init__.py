"""Hooks."""

from .checkpoint import CheckpointHook
from .loading import CheckpointGuardHook
from .mattes import MatteVisualizationHook
from .next_steps import NextStepsHook
from .pictures import TrainingCurveHook, WindowVisualizationHook
from .random_state import RandomStateHook

__all__ = [
    'CheckpointGuardHook',
    'CheckpointHook',
    'MatteVisualizationHook',
    'NextStepsHook',
    'RandomStateHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
