"""Hooks, optimizer wrappers and their constructors, and what sharded training needs."""

from .hooks import (
    CheckpointGuardHook,
    CheckpointHook,
    FiniteLossHook,
    MatteVisualizationHook,
    NextStepsHook,
    RandomStateHook,
    SkippedImagesHook,
    TrainingCurveHook,
    WindowVisualizationHook,
)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .optimizers import CpuAmpOptimWrapper
from .runner import FlexibleRunner
from .strategies import FSDPStrategy

__all__ = [
    'CheckpointGuardHook',
    'CheckpointHook',
    'CpuAmpOptimWrapper',
    'FSDPStrategy',
    'FiniteLossHook',
    'FlexibleRunner',
    'LayerDecayOptimWrapperConstructor',
    'MatteVisualizationHook',
    'NextStepsHook',
    'RandomStateHook',
    'SkippedImagesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
