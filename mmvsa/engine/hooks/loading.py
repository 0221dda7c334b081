"""Checks of a checkpoint before anything of it reaches the model or the optimizer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn

from mmvsa.engine.strategies import FSDPStrategy
from mmvsa.models.checkpoints import check_plain, fit_weights
from mmvsa.models.conversions import CheckpointError
from mmvsa.registry import HOOKS

_OTHER_MODEL = 'the config must be the one that it was trained with'
# States of Adafactor, which are smaller than the parameter.
_FACTORS = ('row_var', 'col_var', 'exp_avg_sq_row', 'exp_avg_sq_col')


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Hold every checkpoint that a runner loads to the rules of ``load_pretrained``.

    - ``load_from`` of a training takes what fits, at least half of the model.
    - A test takes a checkpoint whose weights are those of the model, no fewer and no others.
    - A training resumes from a checkpoint whose weights have the shapes of the model, and whose
      optimizer has a state for each of the parameters, in its shape. (Fused optimizers of PyTorch
      read beyond a state that is smaller.)

    Raises:
        CheckpointError: nothing has been loaded then.
    """

    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, and leave in it what fits."""
        source = runner._load_from or 'the checkpoint'
        is_training = isinstance(runner._train_loop, BaseLoop)
        model = _plain_model(runner)
        if is_training and runner._resume:
            _check_resumed(runner, model, checkpoint, source)
            return
        weights, report = fit_weights(model, checkpoint, source, exact=not is_training)
        runner.logger.info(f'{source}: {report}')
        if weights.keys() != checkpoint.get('state_dict', {}).keys():
            # EMAHook swaps the two, name by name.
            checkpoint.pop('ema_state_dict', None)
        checkpoint['state_dict'] = weights


def _plain_model(runner: Runner) -> nn.Module:
    """Return the model without wrappers; of a sharded one, its whole form without values."""
    strategy = getattr(runner, 'strategy', None)
    if isinstance(strategy, FSDPStrategy):
        return strategy.whole_model
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def _check_resumed(
    runner: Runner, model: nn.Module, checkpoint: dict[str, Any], source: str
) -> None:
    weights, report = fit_weights(model, checkpoint, source, exact=True)
    if report.resized:
        raise CheckpointError(f'{source}: {report.resized[0]} (resized); {_OTHER_MODEL}')
    if weights.keys() == checkpoint.setdefault('state_dict', weights).keys():
        averaged = checkpoint.get('ema_state_dict', {})
        inner = {key.removeprefix('module.'): value for key, value in averaged.items()}
        inner.pop('steps', None)
        if inner:
            fit_weights(model, inner, f'{source} (ema_state_dict)', exact=True)
    for name, wrapper in _wrappers(runner.optim_wrapper):
        saved = checkpoint['optimizer']
        check_optimizer_state(saved[name] if name else saved, _parameters(runner, wrapper), source)


def _wrappers(wrapper: OptimWrapper | OptimWrapperDict) -> Iterator[tuple[str, OptimWrapper]]:
    if isinstance(wrapper, OptimWrapperDict):
        yield from wrapper.items()
    else:
        yield '', wrapper


def _parameters(runner: Runner, wrapper: OptimWrapper) -> list[list[Tensor]]:
    """Return the whole parameters of each group."""
    strategy = getattr(runner, 'strategy', None)
    if isinstance(strategy, FSDPStrategy):
        return strategy.whole_parameters()
    return [group['params'] for group in wrapper.optimizer.param_groups]


def check_optimizer_state(
    saved: Mapping[str, Any], groups: Sequence[Sequence[Tensor]], source: str
) -> None:
    """Raise CheckpointError unless the state of an optimizer belongs to the parameters.

    Args:
        saved: state dict of the optimizer.
        groups: the parameters of each group.
        source: the checkpoint, for messages.
    """
    sizes = [len(group['params']) for group in saved['param_groups']]
    wanted = [len(group) for group in groups]
    if sizes != wanted:
        raise CheckpointError(
            f'{source}: its optimizer has {sum(sizes)} parameters in {len(sizes)} groups, that of '
            f'the config {sum(wanted)} in {len(wanted)}; {_OTHER_MODEL}'
        )
    for saved_group, group in zip(saved['param_groups'], groups, strict=True):
        for key, parameter in zip(saved_group['params'], group, strict=True):
            _check_state(saved['state'].get(key, {}), parameter, f'{source}: optimizer of {key}')


def _check_state(state: Mapping[str, Any], parameter: Tensor, what: str) -> None:
    for name, value in state.items():
        if not isinstance(value, Tensor) or name in _FACTORS:
            continue
        check_plain(name, value, what)
        expected = torch.Size() if name == 'step' else parameter.shape
        if value.shape != expected:
            raise CheckpointError(
                f'{what}: {name} is {tuple(value.shape)} in the checkpoint, and must be '
                f'{tuple(expected)} here; {_OTHER_MODEL}'
            )
