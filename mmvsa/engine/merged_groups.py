"""Few parameter groups in place of one for each parameter."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvsa.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MergedGroupsOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Puts parameters of equal options into one group; else as MMEngine's constructor.

    With ``paramwise_cfg``, MMEngine's gives every parameter a group of its own, so that the
    ``fused`` and ``foreach`` versions of PyTorch's optimizers work on one tensor at a time. The
    training is the same. The state of an optimizer built by the one cannot be loaded by the other.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add the parameters of ``module`` to ``params``; see MMEngine's constructor."""
        super().add_params(params, module, prefix, **kwargs)
        if not prefix:  # else a child: the groups are merged once, when all are there
            params[:] = _merge(params)


def _merge(groups: list[dict]) -> list[dict]:
    """Groups of equal options as one, in the order of their first parameters."""
    merged: list[dict] = []
    for group in groups:
        options = _options(group)
        same = next((other for other in merged if _options(other) == options), None)
        if same is None:
            merged.append({**group, 'params': list(group['params'])})
        else:
            same['params'].extend(group['params'])
    return merged


def _options(group: dict) -> dict:
    return {name: value for name, value in group.items() if name != 'params'}
