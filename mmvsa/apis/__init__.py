"""What a user calls in Python."""

from .model import get_model, list_models
from .predict import extract_features, inference

__all__ = ['extract_features', 'get_model', 'inference', 'list_models']
