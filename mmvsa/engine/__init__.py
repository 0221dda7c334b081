"""Hooks, optimizer wrappers and their constructors, the runner and strategy of sharded training."""

from .digit_scenes import PrepareDigitScenesHook
from .hooks import NextStepsHook, TrainingCurveHook, WindowVisualizationHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .merged_groups import MergedGroupsOptimWrapperConstructor
from .optimizers import CpuAmpOptimWrapper
from .runner import FlexibleRunner
from .strategies import FSDPStrategy

__all__ = [
    'CpuAmpOptimWrapper',
    'FSDPStrategy',
    'FlexibleRunner',
    'LayerDecayOptimWrapperConstructor',
    'MergedGroupsOptimWrapperConstructor',
    'NextStepsHook',
    'PrepareDigitScenesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
