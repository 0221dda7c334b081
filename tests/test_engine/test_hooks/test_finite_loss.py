"""A loss or a weight that is no number."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.runners import fake_runner
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from mmvsa.engine import FiniteLossHook
from mmvsa.utils import UsageError

BATCH = dict(data_samples=[SimpleNamespace(img_path=f'{i}.png') for i in range(7)])


def runner_of(hub: MessageHub, folder: Path) -> SimpleNamespace:
    weight = torch.nn.Parameter(torch.ones(2))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.5))
    return fake_runner(hub, folder, optim_wrapper=wrapper, iter=4, weight=weight)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_training_stops_and_says_where(hub: MessageHub, tmp_path: Path, value: float) -> None:
    hook, runner = FiniteLossHook(), runner_of(hub, tmp_path)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0, BATCH, dict(loss=torch.tensor(1.0, requires_grad=True)))
    expected = rf'loss {value} at iteration 5 \(epoch 1, learning rate 0.5\), batch 0.png, .*2 more'
    with pytest.raises(UsageError, match=f'{expected}.*no checkpoint was written'):
        hook.after_train_iter(runner, 0, BATCH, dict(loss=torch.tensor(value)))
    hub.update_info('last_ckpt', 'epoch_1.pth')
    with pytest.raises(UsageError, match='last good checkpoint: epoch_1.pth; lower the learning'):
        hook.after_train_iter(runner, 0, None, dict(loss=value))


def test_batches_are_left_out_on_demand(hub: MessageHub, tmp_path: Path) -> None:
    """The step is not taken; too many in a row stop the training."""
    hook, runner = FiniteLossHook(skip=True, max_skips=2), runner_of(hub, tmp_path)
    hook.before_train(runner)
    weight = runner.weight

    def step(factor: float) -> None:
        loss = (weight * factor).sum()
        runner.optim_wrapper.update_params(loss)
        hook.after_train_iter(runner, 0, BATCH, dict(loss=loss))

    step(float('nan'))
    assert weight.tolist() == [1.0, 1.0]
    step(1.0)
    assert weight.tolist() == [0.5, 0.5]
    step(float('nan'))
    step(float('inf'))
    with pytest.raises(UsageError, match='training stopped'):
        step(float('nan'))
    assert weight.tolist() == [0.5, 0.5]


def test_no_checkpoint_of_weights_that_are_not_finite(hub: MessageHub, tmp_path: Path) -> None:
    hook, runner = FiniteLossHook(), runner_of(hub, tmp_path)
    state = dict(a=torch.ones(2), count=torch.tensor(3))
    hook.before_save_checkpoint(runner, dict(state_dict=state))
    state['b'] = torch.tensor([1.0, float('nan')])
    with pytest.raises(UsageError, match=r'1 of 3 weights are not finite \(first b\)'):
        hook.before_save_checkpoint(runner, dict(state_dict=state))
