"""mmvsa: varied-size window attention and its backbones for OpenMMLab.

Importing this package registers everything under the scope ``mmvsa``.
"""

from . import datasets, engine, models
from .models import get_model, list_models
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'get_model', 'list_models', 'models']
