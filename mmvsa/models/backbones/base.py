"""What every backbone of mmvsa shares: input checks, freezing, checkpointing, weights."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmvsa.models.checkpoints import load_pretrained, resize_to_model
from mmvsa.models.conversions import adapt_state_dict
from mmvsa.models.layers import Repeating, WindowTransform, recompute

# Modules that count as one layer where learning rates decay layer by layer. Tokens and positions
# go with the first, what belongs to none (norms of outputs, pyramids) with the head.
_LAYER = re.compile(r'patch_embed|stages\.\d+\.(reduction|downsample)|(stages\.\d+\.)?blocks\.\d+')
_FIRST = ('cls_token', 'pos_embed')


class Backbone(BaseModule):
    """Base of the backbones.

    Args:
        num_stages: number of stages.
        out_indices: stages whose maps are returned; negative ones count from the end.
        in_channels: channels of the image.
        frozen_stages: number of first stages (with their reduction cells) that do not train;
            -1 or 0 freezes nothing.
        norm_eval: keep batch norms in evaluation mode while training.
        with_cp: activation checkpointing, cell by cell: less memory, more time.
        keep_activations: keep norms, activations and attention weights for the backward pass
            instead of repeating them: more memory, less time; with small maps much less.
        init_cfg: MMEngine's; ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``
            takes files of mmvsa and of the authors.
    """

    _is_init: bool  # MMEngine's mark of initialised weights

    def __init__(
        self,
        num_stages: int,
        out_indices: Sequence[int],
        *,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        keep_activations: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = _check_out_indices(out_indices, num_stages)
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages must be from -1 to {num_stages}, got {frozen_stages}')
        self.frozen_stages, self.norm_eval, self.with_cp = frozen_stages, norm_eval, with_cp
        self.keep_activations, self._layers_keep = keep_activations, False
        self.in_channels = in_channels
        self._register_load_state_dict_pre_hook(self._adapt_state_dict)

    def frozen_modules(self) -> list[nn.Module]:
        """The modules that ``frozen_stages`` freezes."""
        return list(self.stages[: max(self.frozen_stages, 0)])  # type: ignore[index]

    def train(self, mode: bool = True) -> 'Backbone':
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
            module.requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Load the weights that ``init_cfg`` names, or MMEngine's other initialisations."""
        if isinstance(self.init_cfg, dict) and self.init_cfg.get('type') == 'Pretrained':
            if not self._is_init:
                prefix = self.init_cfg.get('prefix', '')
                load_pretrained(self, self.init_cfg['checkpoint'], prefix=prefix)
                self._is_init = True
            return
        fresh = not self._is_init
        super().init_weights()
        if fresh:
            # A rule for linear layers, here or in the model around, is not meant for these.
            for module in self.modules():
                if isinstance(module, WindowTransform):
                    module.init_regressor()

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Where a parameter stands between image and head, for layer-wise learning rates.

        mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` asks for it.

        Args:
            param_name: its name in the whole model.
            prefix: of the backbone's names there.

        Returns:
            The layer (0: the first; every reduction and normal cell, block, patch embedding and
            patch merging is one; the head is the last) and the number of layers, head included.
        """
        head = len(self._layers)
        if not param_name.startswith(prefix):
            return head, head + 1
        name = param_name[len(prefix) :]
        if name in _FIRST:
            return 0, head + 1
        layer = _LAYER.match(name)
        return (self._layers[layer[0]] if layer else head), head + 1

    @functools.cached_property
    def _layers(self) -> dict[str, int]:
        """Name -> number of every layer, in the order of the forward pass."""
        names = [name for name, _ in self.named_modules() if _LAYER.fullmatch(name)]
        return {name: number for number, name in enumerate(names)}

    def check_input(self, x: Tensor) -> None:
        """Raise ValueError unless ``x`` is a non-empty batch of images of the right channels."""
        shape = tuple(x.shape)
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__} takes images of shape (B, {self.in_channels}, H, W), '
                f'got {shape}'
            )
        if 0 in shape:
            raise ValueError(f'{type(self).__name__} got an empty batch of shape {shape}')

    def run_cell(self, cell: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Call a cell, recomputing it in the backward pass if ``with_cp``."""
        if self.keep_activations and not (self._layers_keep or torch.compiler.is_compiling()):
            self._make_layers_keep()
        if self.with_cp and torch.is_grad_enabled() and self.training:
            if torch.compiler.is_compiling():
                return checkpoint(cell, x, use_reentrant=False)
            module = cell.func if isinstance(cell, functools.partial) else cell
            assert isinstance(module, nn.Module)
            return recompute(cell, x, norms=list(module.modules()), random=True)
        return cell(x)

    def _make_layers_keep(self) -> None:
        # Marked on the layers: a cell may be called again from outside, by FSDP's checkpointing.
        for module in self.modules():
            if isinstance(module, Repeating):
                module.keep_activations = True
        self._layers_keep = True

    def _adapt_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Before loading: the authors' keys become ours, tables get this model's size."""
        own = {k: v for k, v in state_dict.items() if k.startswith(prefix)}
        plain = {k[len(prefix) :]: v for k, v in own.items()}
        adapted = resize_to_model(adapt_state_dict(plain), self)
        if adapted.keys() == plain.keys() and all(adapted[k] is plain[k] for k in plain):
            return
        for key in own:
            del state_dict[key]
        state_dict.update({prefix + k: v for k, v in adapted.items()})


def _check_out_indices(out_indices: Sequence[int], num_stages: int) -> tuple[int, ...]:
    indices = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    for index in indices:
        if not -num_stages <= index < num_stages:
            raise ValueError(f'out_indices {indices} are not all within {num_stages} stages')
    if not indices:
        raise ValueError('out_indices must name at least one stage')
    return tuple(sorted({index % num_stages for index in indices}))
