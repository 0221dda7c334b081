"""Hooks."""

from .checkpoint import CheckpointHook
from .finite_loss import FiniteLossHook
from .loading import CheckpointGuardHook
from .mattes import MatteVisualizationHook
from .next_steps import NextStepsHook
from .pictures import TrainingCurveHook, WindowVisualizationHook
from .random_state import RandomStateHook
from .skipped_images import SkippedImagesHook

__all__ = [
    'CheckpointGuardHook',
    'CheckpointHook',
    'FiniteLossHook',
    'MatteVisualizationHook',
    'NextStepsHook',
    'RandomStateHook',
    'SkippedImagesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
