"""What every backbone shares: input checks, freezing, checkpointing, layer ids, weights."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmvsa.models.checkpoints import load_pretrained, resize_to_model
from mmvsa.models.checks import check_bool, check_int, check_rate
from mmvsa.models.conversions import adapt_state_dict
from mmvsa.models.layers import WindowTransform, checkpointed


class Backbone(BaseModule):
    """Base of the backbones.

    A subclass keeps its stages in :attr:`stages` (or overrides :meth:`stage_modules`), calls their
    cells through :meth:`run_cell`, and ends its constructor with :meth:`freeze_stages`.

    Args:
        num_stages: Number of stages.
        out_indices: Stages whose maps are returned; negative ones count from the end. Stages after
            the last of them are not built.
        in_channels: Channels of the image.
        frozen_stages: Number of first stages (with what precedes them) that do not train;
            -1 or 0 freezes nothing.
        norm_eval: Keep batch norms in evaluation mode while training.
        with_cp: Activation checkpointing, cell by cell: less memory, more time.
        init_cfg: MMEngine's; ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``
            takes files of mmvsa and of the official implementations.

    Raises:
        ValueError: An argument out of range.
        TypeError: An argument of the wrong type.
    """

    _is_init: bool  # MMEngine's mark of initialized weights
    stages: Any  # ModuleList of stages
    out_channels: tuple[int, ...]

    def __init__(
        self,
        num_stages: int,
        out_indices: int | Sequence[int],
        *,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        if not isinstance(init_cfg, (dict, list, type(None))):
            raise TypeError(f'init_cfg must be a dict, a list or None, got {init_cfg!r}')
        super().__init__(init_cfg)
        self.num_stages = num_stages
        self.out_indices = _check_out_indices(out_indices, num_stages)
        built = self.out_indices[-1] + 1
        self.frozen_stages = check_int('frozen_stages', frozen_stages, minimum=-1, maximum=built)
        self.norm_eval = check_bool('norm_eval', norm_eval)
        self.with_cp = check_bool('with_cp', with_cp)
        self.in_channels = check_int('in_channels', in_channels)
        self._register_load_state_dict_pre_hook(self._adapt_state_dict)

    @property
    def num_built_stages(self) -> int:
        """Number of stages that the outputs need."""
        return self.out_indices[-1] + 1

    def stem_modules(self) -> list[nn.Module]:
        """Return the modules before the first stage; they are frozen with it."""
        return []

    def stage_modules(self, index: int) -> list[nn.Module]:
        """Return the modules of a stage, for freezing."""
        return [self.stages[index]]

    def layer_modules(self) -> list[nn.Module]:
        """Return the modules that count as one layer each, in the order of the forward pass."""
        raise TypeError(f'{type(self).__name__} must define layer_modules()')

    def freeze_stages(self) -> None:
        """Stop the frozen stages from training."""
        if self.frozen_stages < 1:
            return
        frozen = self.stem_modules()
        for index in range(self.frozen_stages):
            frozen += self.stage_modules(index)
        for module in frozen:
            module.eval()
            module.requires_grad_(False)
        for parameter in self.parameters(recurse=False):  # tokens and positions
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> 'Backbone':
        """Set the training mode of all but frozen stages and, with ``norm_eval``, batch norms."""
        super().train(mode)
        self.freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Load the weights that ``init_cfg`` names, or apply MMEngine's other initializations."""
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
        """Return the layer id of a parameter, for layer-wise learning-rate decay.

        mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` calls it.

        Args:
            param_name: Its name in the whole model.
            prefix: Of the backbone's names there.

        Returns:
            The layer (0 is the first; every reduction and normal cell, block, patch embedding and
            patch merging is one; the head is the last) and the number of layers, head included.
        """
        head = len(self.layer_modules())
        if not param_name.startswith(prefix):
            return head, head + 1
        name = param_name[len(prefix) :]
        # Norms of outputs and the like belong to no layer: they learn with the head.
        return self._layer_ids.get(name, head), head + 1

    @functools.cached_property
    def _layer_ids(self) -> dict[str, int]:
        """Name of a parameter -> number of its layer."""
        layers = {id(p): 0 for p in self.parameters(recurse=False)}
        for number, layer in enumerate(self.layer_modules()):
            layers.update({id(p): number for p in layer.parameters()})
        return {n: layers[id(p)] for n, p in self.named_parameters() if id(p) in layers}

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

    def run_cell(self, cell: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """Call a cell, recomputing it in the backward pass if ``with_cp``."""
        if self.with_cp and self.training:
            return checkpointed(cell, *inputs)
        return cell(*inputs)

    def _adapt_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Convert foreign key names and resize position tables before loading.

        Weights of stages that this model does not build are left out.
        """
        own = {k: v for k, v in state_dict.items() if k.startswith(prefix)}
        plain = {k[len(prefix) :]: v for k, v in own.items()}
        adapted = resize_to_model(adapt_state_dict(plain), self)
        adapted = {k: v for k, v in adapted.items() if not self.is_unbuilt(k)}
        if adapted.keys() == plain.keys() and all(adapted[k] is plain[k] for k in plain):
            return
        for key in own:
            del state_dict[key]
        state_dict.update({prefix + k: v for k, v in adapted.items()})

    def is_unbuilt(self, key: str) -> bool:
        """Return whether a key of a state dict belongs to a stage that the outputs do not need."""
        part, _, rest = key.partition('.')
        number = rest.partition('.')[0]
        if part not in ('stages', 'blocks') or not number.isdigit():
            return False
        return self.num_built_stages <= int(number) < self.num_stages


def attention_options(*, qkv_bias: bool, drop_rate: float, attn_drop_rate: float) -> dict[str, Any]:
    """Return the options of every attention that a backbone takes as its own, checked."""
    return dict(
        qkv_bias=check_bool('qkv_bias', qkv_bias),
        attn_drop=check_rate('attn_drop_rate', attn_drop_rate),
        proj_drop=check_rate('drop_rate', drop_rate),
    )


def _check_out_indices(out_indices: int | Sequence[int], num_stages: int) -> tuple[int, ...]:
    indices = (out_indices,) if isinstance(out_indices, int) else out_indices
    if isinstance(indices, (str, bytes)) or not isinstance(indices, Sequence):
        raise TypeError(f'out_indices must be integers, got {out_indices!r}')
    for index in indices:
        check_int('out_indices', index, minimum=-num_stages, maximum=num_stages - 1)
    if not indices:
        raise ValueError('out_indices must name at least one stage')
    return tuple(sorted({index % num_stages for index in indices}))
