"""Registries of mmvsa, children of MMEngine's roots with scope ``mmvsa``.

``import mmvsa`` (or ``custom_imports = dict(imports=['mmvsa'])`` in a config) registers every
module; ``type='mmvsa.ViTAEv2'`` then builds from any default scope.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mmengine import registry as _root

_SCOPE = 'mmvsa'


class Registry(_root.Registry):
    """A registry that imports what builds on a host package only for names found nowhere else.

    Args:
        args: Those of MMEngine's ``Registry``.
        host_locations: Modules that need a host package, such as mmseg.
        options: Those of MMEngine's ``Registry``.
    """

    def __init__(self, *args: Any, host_locations: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._host_locations = tuple(host_locations)

    def get(self, key: str) -> Any:
        """Return the class of a name, or None."""
        found = super().get(key)
        scope, _ = self.split_scope_key(key)
        if found is None and self._host_locations and scope in (None, _SCOPE):
            locations, self._host_locations = self._host_locations, ()
            for location in locations:
                import_module(location)
            found = super().get(key)
        return found


def _child(
    name: str, parent: _root.Registry, *locations: str, host_locations: Sequence[str] = ()
) -> Registry:
    return Registry(
        name,
        parent=parent,
        scope=_SCOPE,
        locations=list(locations),
        host_locations=host_locations,
    )


MODELS = _child(
    'model', _root.MODELS, 'mmvsa.models', host_locations=['mmvsa.models.change_detection']
)
DATASETS = _child(
    'dataset',
    _root.DATASETS,
    'mmvsa.datasets',
    host_locations=['mmvsa.datasets.change_detection', 'mmvsa.datasets.photo_pairs'],
)
TRANSFORMS = _child(
    'transform',
    _root.TRANSFORMS,
    'mmvsa.datasets',
    host_locations=['mmvsa.datasets.change_transforms'],
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
    host_locations=['mmvsa.evaluation.change_detection'],
)
VISUALIZERS = _child(
    'visualizer',
    _root.VISUALIZERS,
    'mmvsa.visualization',
    host_locations=['mmvsa.visualization.change_detection'],
)
ATTENTIONS = _root.Registry('attention', scope=_SCOPE, locations=['mmvsa.models.layers'])
WINDOW_TRANSFORMS = _root.Registry(
    'window transform', scope=_SCOPE, locations=['mmvsa.models.layers']
)
