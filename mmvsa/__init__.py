"""mmvsa: varied-size window attention and its backbones for OpenMMLab.

Importing this package registers everything under the scope ``mmvsa``; its configs with
MMEngine, so that ``mmvsa::`` (and ``mmseg::``, which MMEngine misses under the onedl packages)
work in ``_base_``; and its classifiers with mmpretrain's model hub.
"""

from . import datasets, engine, evaluation, models
from .apis.config import register_config_packages
from .hub import register_models
from .models import get_model, list_models
from .version import __version__

__all__ = [
    '__version__',
    'datasets',
    'engine',
    'evaluation',
    'get_model',
    'list_models',
    'models',
]

register_config_packages()
register_models()
