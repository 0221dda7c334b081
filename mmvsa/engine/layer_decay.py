"""Learning rates that shrink from the head to the patch embedding."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvsa.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay (BEiT, arXiv 2106.08254) in models with a backbone of mmvsa.

    mmpretrain's constructor takes classifiers alone, mmseg's knows backbones by their class names.
    Here the model's ``backbone`` says by ``get_layer_depth`` how deep a parameter is. All options
    of MMEngine's constructor work, and ``paramwise_cfg`` has one more, ``layer_decay_rate``: the
    rate of a layer is that of the next one times this number.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add a group for every parameter of ``module``; see MMEngine's constructor."""
        super().add_params(params, module, prefix, **kwargs)
        if prefix:  # a child: the groups are scaled once, when all are there
            return
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        rate = self.paramwise_cfg.get('layer_decay_rate', 1.0)
        backbone: Any = module.backbone
        for group in params:
            depth, layers = backbone.get_layer_depth(names[id(group['params'][0])], 'backbone.')
            group['lr'] = group.get('lr', self.base_lr) * rate ** (layers - 1 - depth)
