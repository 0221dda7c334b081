"""Hooks, optimizer wrappers and their constructors."""

from .digit_scenes import PrepareDigitScenesHook
from .hooks import NextStepsHook, TrainingCurveHook, WindowVisualizationHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .optimizers import CpuAmpOptimWrapper

__all__ = [
    'CpuAmpOptimWrapper',
    'LayerDecayOptimWrapperConstructor',
    'NextStepsHook',
    'PrepareDigitScenesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
