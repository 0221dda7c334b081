"""Hooks and optimizer wrappers."""

from .digit_scenes import PrepareDigitScenesHook
from .hooks import NextStepsHook, TrainingCurveHook, WindowVisualizationHook
from .optimizers import CpuAmpOptimWrapper

__all__ = [
    'CpuAmpOptimWrapper',
    'NextStepsHook',
    'PrepareDigitScenesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
