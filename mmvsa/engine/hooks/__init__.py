"""Hooks."""

from .mattes import MatteVisualizationHook
from .next_steps import NextStepsHook
from .pictures import TrainingCurveHook, WindowVisualizationHook

__all__ = [
    'MatteVisualizationHook',
    'NextStepsHook',
    'TrainingCurveHook',
    'WindowVisualizationHook',
]
