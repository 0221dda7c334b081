"""Hooks, optimizer wrappers and their constructors, and what sharded training needs."""

from .hooks import MatteVisualizationHook, NextStepsHook, TrainingCurveHook, WindowVisualizationHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .optimizers import CpuAmpOptimWrapper
from .runner import FlexibleRunner
from .strategies import FSDPStrategy

__all__ = [
    'CpuAmpOptimWrapper',
    'FSDPStrategy',
    'FlexibleRunner',
    'LayerDecayOptimWrapperConstructor',
    'MatteVisualizationHook',
    'NextStepsHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
