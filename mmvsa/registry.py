"""Registries of mmvsa, children of MMEngine's roots with scope ``mmvsa``.

``import mmvsa`` (or ``custom_imports = dict(imports=['mmvsa'])`` in a config) registers every
module; ``type='mmvsa.ViTAEv2'`` then builds from any default scope.
"""

from mmengine import registry as _root

_SCOPE = 'mmvsa'


def _child(name: str, parent: _root.Registry, *locations: str) -> _root.Registry:
    return _root.Registry(name, parent=parent, scope=_SCOPE, locations=list(locations))


MODELS = _child('model', _root.MODELS, 'mmvsa.models')
DATASETS = _child('dataset', _root.DATASETS, 'mmvsa.datasets')
TRANSFORMS = _child('transform', _root.TRANSFORMS, 'mmvsa.datasets')
HOOKS = _child('hook', _root.HOOKS, 'mmvsa.engine')
OPTIM_WRAPPERS = _child('optim_wrapper', _root.OPTIM_WRAPPERS, 'mmvsa.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', _root.OPTIM_WRAPPER_CONSTRUCTORS, 'mmvsa.engine'
)
RUNNERS = _child('runner', _root.RUNNERS, 'mmvsa.engine')
STRATEGIES = _child('strategy', _root.STRATEGIES, 'mmvsa.engine')
METRICS = _child('metric', _root.METRICS, 'mmvsa.evaluation')
VISUALIZERS = _child('visualizer', _root.VISUALIZERS, 'mmvsa.visualization')
ATTENTIONS = _root.Registry('attention', scope=_SCOPE, locations=['mmvsa.models.layers'])
WINDOW_TRANSFORMS = _root.Registry(
    'window transform', scope=_SCOPE, locations=['mmvsa.models.layers']
)
