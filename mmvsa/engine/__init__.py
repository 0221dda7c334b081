"""Hooks, optimizer wrappers and their constructors, and what sharded training needs."""

from .hooks import (
    CheckpointGuardHook,
    CheckpointHook,
    MatteVisualizationHook,
    NextStepsHook,
    RandomStateHook,
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
    'FlexibleRunner',
    'LayerDecayOptimWrapperConstructor',
    'MatteVisualizationHook',
    'NextStepsHook',
    'RandomStateHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
