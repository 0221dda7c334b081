"""What a user calls in Python."""

from .model import get_model, list_models

__all__ = ['get_model', 'list_models']
