"""Registries of mmvsa, children of MMEngine's roots with scope ``mmvsa``.

``import mmvsa`` (or ``custom_imports = dict(imports=['mmvsa'])`` in a config) registers every
module; ``type='mmvsa.ViTAEv2'`` then builds from any default scope.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mmengine import registry as _root

_SCOPE = 'mmvsa'


class Registry(_root.Registry):
    """A registry some of whose modules are imported only when they are asked for by name.

    For classes that build on a host package, such as mmseg, which ``import mmvsa`` shall not load.

    Args:
        lazy: name of a registered class -> the module that registers it.
        args, options: those of MMEngine's ``Registry``.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = dict(lazy or {})

    def get(self, key: str) -> Any:
        """Return the class of a name, importing its module first where that is put off."""
        scope, name = self.split_scope_key(key)
        if name in self.lazy and scope in (None, _SCOPE):
            import_module(self.lazy[name])
        return super().get(key)


def _child(
    name: str, parent: _root.Registry, *locations: str, lazy: Mapping[str, str] | None = None
) -> Registry:
    return Registry(name, parent=parent, scope=_SCOPE, locations=list(locations), lazy=lazy)


_CHANGE_MODELS = 'mmvsa.models.change_detection'
_CHANGE_DATASETS = 'mmvsa.datasets.change_detection'
_CHANGE_TRANSFORMS = 'mmvsa.datasets.change_transforms'

MODELS = _child(
    'model',
    _root.MODELS,
    'mmvsa.models',
    lazy={
        'BITHead': _CHANGE_MODELS,
        'FeatureFusionNeck': _CHANGE_MODELS,
        'PairDataPreprocessor': _CHANGE_MODELS,
        'SiamEncoderDecoder': _CHANGE_MODELS,
        'UNetHead': _CHANGE_MODELS,
    },
)
DATASETS = _child(
    'dataset',
    _root.DATASETS,
    'mmvsa.datasets',
    lazy={
        'ChangeDetectionDataset': _CHANGE_DATASETS,
        'PhotoPairs': 'mmvsa.datasets.photo_pairs',
    },
)
TRANSFORMS = _child(
    'transform',
    _root.TRANSFORMS,
    'mmvsa.datasets',
    lazy={
        'EachImage': _CHANGE_TRANSFORMS,
        'LoadChangeMap': _CHANGE_TRANSFORMS,
        'LoadImagePair': _CHANGE_TRANSFORMS,
        'PackPairInputs': _CHANGE_TRANSFORMS,
        'RandomRotate90': _CHANGE_TRANSFORMS,
        'RandomSwapImages': _CHANGE_TRANSFORMS,
    },
)
HOOKS = _child('hook', _root.HOOKS, 'mmvsa.engine')
OPTIM_WRAPPERS = _child('optim_wrapper', _root.OPTIM_WRAPPERS, 'mmvsa.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', _root.OPTIM_WRAPPER_CONSTRUCTORS, 'mmvsa.engine'
)
RUNNERS = _child('runner', _root.RUNNERS, 'mmvsa.engine')
STRATEGIES = _child('strategy', _root.STRATEGIES, 'mmvsa.engine')
METRICS = _child(
    'metric',
    _root.METRICS,
    'mmvsa.evaluation',
    lazy={'ChangeMetric': 'mmvsa.evaluation.change_detection'},
)
VISUALIZERS = _child(
    'visualizer',
    _root.VISUALIZERS,
    'mmvsa.visualization',
    lazy={'ChangeVisualizer': 'mmvsa.visualization.change_detection'},
)
ATTENTIONS = _root.Registry('attention', scope=_SCOPE, locations=['mmvsa.models.layers'])
WINDOW_TRANSFORMS = _root.Registry(
    'window transform', scope=_SCOPE, locations=['mmvsa.models.layers']
)
