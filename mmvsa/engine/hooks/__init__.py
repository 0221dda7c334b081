"""Hooks."""

from .next_steps import NextStepsHook
from .pictures import TrainingCurveHook, WindowVisualizationHook

__all__ = ['NextStepsHook', 'TrainingCurveHook', 'WindowVisualizationHook']
