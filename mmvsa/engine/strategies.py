"""Sharded training: MMEngine's FSDP strategy, made to train as the unsharded model does."""

import copy
import os
from typing import Any

import torch
from mmengine._strategy import FSDPStrategy as _FSDPStrategy
from mmengine.device import get_device
from mmengine.optim import BaseOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.nn.utils import clip_grad_norm_

from mmvsa.models.layers import Block
from mmvsa.registry import STRATEGIES

# What wrappers put into the names of parameters.
_WRAPPERS = ('_fsdp_wrapped_module.', '_checkpoint_wrapped_module.')


@STRATEGIES.register_module()
class FSDPStrategy(_FSDPStrategy):
    """Parameters, gradients and optimizer states are split over the processes, cell by cell.

    For ``runner_type='FlexibleRunner'``. What it adds to MMEngine's strategy:

    - It also runs on CPUs (gloo).
    - Rules of ``paramwise_cfg`` see whole parameters. A shard is flat, so that MMEngine's would
      take every weight for a bias (``flat_decay_mult``).
    - ``clip_grad`` clips the norm of the whole gradient, not that of each process's share.
    - The state of the optimizer is saved right on CPUs, and loads with current PyTorch, whose
      function for it takes its arguments in another order.

    Args:
        model_wrapper: options of MMEngine's ``MMFullyShardedDataParallel``, such as
            ``sharding_strategy='SHARD_GRAD_OP'`` or ``mixed_precision=dict(param_dtype='bfloat16',
            reduce_dtype='float32')``. By default every cell of the backbones is a unit.
        activation_checkpointing: recompute every cell in the backward pass (use this rather than
            the backbones' ``with_cp``), or MMEngine's dict with ``check_fn``.
        state_dict_cfg: by default ``'full'``: one checkpoint like that of other runs, whose
            weights load without sharding.
        kwargs: those of MMEngine's strategy.

    Attributes:
        whole_model: The model before it was sharded, on the meta device.
    """

    whole_model: nn.Module
    model_wrapper: dict[str, Any] | None

    def __init__(
        self,
        *,
        model_wrapper: dict[str, Any] | None = None,
        activation_checkpointing: bool | dict[str, Any] = False,
        state_dict_cfg: str | dict[str, Any] = 'full',
        **kwargs: Any,
    ) -> None:
        if activation_checkpointing is True:
            activation_checkpointing = dict(check_fn=is_cell)
        super().__init__(
            model_wrapper=model_wrapper,
            activation_checkpointing=activation_checkpointing or None,
            state_dict_cfg=state_dict_cfg,
            **kwargs,
        )
        self._optim_config: dict[str, Any] | None = None
        if get_device() == 'cpu':
            # PyTorch gathers means and squares into the same memory and takes copies; instead of
            # them it moves to the CPU if told so, which copies nothing that is there already.
            self.optim_state_dict_config.offload_to_cpu = False

    def prepare(self, model: nn.Module | dict, *, optim_wrapper: Any = None, **kwargs: Any) -> Any:
        """Build, shard and initialize the model and what trains it, as MMEngine's does."""
        self._optim_config = optim_wrapper
        return super().prepare(model, optim_wrapper=optim_wrapper, **kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        self.whole_model = _without_values(model)
        if self._optim_config is not None:
            self._build_whole_optimizer(model, self._optim_config)
        defaults = dict(
            type='MMFullyShardedDataParallel',
            use_orig_params=True,
            auto_wrap_policy=ModuleWrapPolicy({Block}),
            device_id=_own_device(),
        )
        self.model_wrapper = {**defaults, **(self.model_wrapper or {})}
        return super()._wrap_model(model)

    def _build_whole_optimizer(self, model: nn.Module, config: dict[str, Any]) -> None:
        """The optimizer of the whole parameters, and the names of those in each group."""
        if config.get('type') == 'AmpOptimWrapper':
            config['use_fsdp'] = True
        self._whole: OptimWrapper = build_optim_wrapper(model, config)
        names = {parameter: name for name, parameter in model.named_parameters()}
        groups = self._whole.optimizer.param_groups
        self._groups = [[names[parameter] for parameter in group['params']] for group in groups]

    def build_optim_wrapper(
        self, optim_wrapper: Any, model: nn.Module | None = None
    ) -> BaseOptimWrapper:
        """The optimizer of the whole parameters with their shards in the same groups."""
        assert isinstance(model, FullyShardedDataParallel)
        shards = {_plain_name(name): shard for name, shard in model.named_parameters()}
        for group, names in zip(self._whole.optimizer.param_groups, self._groups, strict=True):
            group['params'] = [shards[name] for name in names]
        if self._whole.clip_grad_kwargs and self._whole.clip_func is clip_grad_norm_:
            self._whole.clip_func = _clip_whole_norm(model)
        return self._whole

    def whole_parameters(self) -> list[list[Tensor]]:
        """Return the parameters of each group of the optimizer, whole and without values."""
        whole = dict(self.whole_model.named_parameters())
        return [[whole[name] for name in names] for names in self._groups]

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Each process takes its share of a checkpoint's optimizer state."""
        shard = FullyShardedDataParallel.optim_state_dict_to_load(
            self.model, self.optim_wrapper.optimizer, state_dict
        )
        self.optim_wrapper.load_state_dict(shard)


def is_cell(module: nn.Module) -> bool:
    """Whether a module is a cell (or block) of one of the backbones."""
    return isinstance(module, Block)


def _without_values(model: nn.Module) -> nn.Module:
    """Return a copy of a model on the meta device: names, shapes and types of its tensors."""
    tensors: dict[int, Tensor] = {id(buffer): buffer.to('meta') for buffer in model.buffers()}
    for p in model.parameters():
        tensors[id(p)] = nn.Parameter(p.to('meta'), p.requires_grad)
    return copy.deepcopy(model, tensors)


def _own_device() -> torch.device:
    name = get_device()
    return (
        torch.device(name) if name == 'cpu' else torch.device(name, int(os.environ['LOCAL_RANK']))
    )


def _plain_name(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, '')
    return name


def _clip_whole_norm(model: FullyShardedDataParallel) -> Any:
    def clip(shards: list[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
        return model.clip_grad_norm_(max_norm, norm_type)

    return clip
