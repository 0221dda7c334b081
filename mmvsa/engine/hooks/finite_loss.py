"""A loss that is no number ends a training, or its batch is left out."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmvsa.registry import HOOKS
from mmvsa.utils.errors import UsageError

_SHOWN = 5  # images in a message


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at a loss of NaN or Inf, and before a checkpoint of such weights is written.

    Args:
        skip: Leave the batch out instead: no backward pass, no step.
        max_skips: Batches in a row that may be left out.

    Raises:
        UsageError: The loss or a weight is not finite; says where, and what is left to use.
    """

    # Before hooks that log, validate or save.
    priority = 'VERY_HIGH'

    def __init__(self, *, skip: bool = False, max_skips: int = 10) -> None:
        self.skip, self.max_skips = skip, max_skips
        self._skips = 0
        self._was_skipped = False

    def before_train(self, runner: Runner) -> None:
        """Put the check before the backward pass if batches are to be skipped."""
        if self.skip:
            wrapper = runner.optim_wrapper
            wrapper.update_params = self._checked(wrapper.update_params)

    def _checked(self, update: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(update)
        def update_if_finite(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            # Processes must agree: gradients are averaged over them.
            finite = torch.isfinite(loss.detach()).all().float()
            all_reduce(finite, 'min')
            self._was_skipped = not finite.item()
            if not self._was_skipped:
                update(loss, *args, **kwargs)

        return update_if_finite

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check the loss of the iteration."""
        loss = _number((outputs or {}).get('loss', 0.0))
        if math.isfinite(loss) and not self._was_skipped:
            self._skips = 0
            return
        what = (
            f'loss {loss} at iteration {runner.iter + 1} (epoch {runner.epoch + 1}, learning rate '
            f'{_learning_rates(runner)}), batch {_image_names(data_batch)}'
        )
        if self._was_skipped and self._skips < self.max_skips:
            self._skips += 1
            runner.logger.warning(f'{what}: left out')
            return
        raise UsageError(f'{what}: training stopped; {_advice(runner)}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse to write weights that are not finite over good ones."""
        state = checkpoint.get('state_dict', {})
        bad = [name for name, value in state.items() if not _is_finite(value)]
        if bad:
            raise UsageError(
                f'{len(bad)} of {len(state)} weights are not finite (first {bad[0]}) after '
                f'iteration {runner.iter}, learning rate {_learning_rates(runner)}: no checkpoint '
                f'is written; {_advice(runner)}'
            )


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _is_finite(value: Any) -> bool:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return True
    return bool(torch.isfinite(value).all())


def _advice(runner: Runner) -> str:
    last = runner.message_hub.runtime_info.get('last_ckpt')
    kept = f'last good checkpoint: {last}' if last else 'no checkpoint was written before'
    return (
        f'{kept}; lower the learning rate, clip gradients (optim_wrapper.clip_grad.max_norm=1), or '
        'leave such batches out with --skip-nan'
    )


def _learning_rates(runner: Runner) -> str:
    rates = {rate for rates in runner.optim_wrapper.get_lr().values() for rate in rates}
    return ' - '.join(f'{rate:.3g}' for rate in sorted({min(rates), max(rates)}))


def _first(sample: Any, *keys: str) -> Any:
    """Return the first of the values that a sample has; those in memory have no path."""
    values = (getattr(sample, key, None) for key in keys)
    return next((value for value in values if value is not None), '?')


def _image_names(data_batch: Any) -> str:
    """Return the files of a batch, as far as its samples know them."""
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    names = [str(_first(s, 'img_path', 'sample_idx', 'img_id')) for s in samples]
    if not names:
        return 'of unknown images'
    return ', '.join(names[:_SHOWN]) + (f' and {len(names) - _SHOWN} more' if names[5:] else '')
