"""Hooks, optimizers with their wrappers and constructors, and what sharded training needs."""

from .digit_scenes import PrepareDigitScenesHook
from .hooks import MatteVisualizationHook, NextStepsHook, TrainingCurveHook, WindowVisualizationHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .merged_groups import MergedGroupsOptimWrapperConstructor
from .muon import Muon
from .optimizers import CpuAmpOptimWrapper
from .runner import FlexibleRunner
from .strategies import FSDPStrategy

__all__ = [
    'CpuAmpOptimWrapper',
    'FSDPStrategy',
    'FlexibleRunner',
    'LayerDecayOptimWrapperConstructor',
    'MergedGroupsOptimWrapperConstructor',
    'MatteVisualizationHook',
    'Muon',
    'NextStepsHook',
    'PrepareDigitScenesHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
