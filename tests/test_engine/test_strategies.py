"""Sharded training by two processes on the CPU: as one process trains, and resumable."""

import socket
from pathlib import Path

import pytest
import torch
from helpers.cli import run_command, run_tool, tiny_config

from mmvsa.engine.strategies import _without_values

# Nothing is random. Decay and epsilon are large, so that faults in decay or clipping show and
# gradients of rounding errors alone do not.
SHARDED = """
plain = [dict(type='Resize', scale=(32, 32)), dict(type='PackInputs')]
train_dataloader.update(batch_size=8, sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader['dataset'].update(pipeline=plain)
val_dataloader['dataset'].update(indices=16)
model['backbone'].update(norm_eval=True, drop_path_rate=0.0)
model['init_cfg'] = dict(type='Kaiming', layer=['Conv2d', 'Linear'])
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.01, eps=1e-3, weight_decay=1.0),
    clip_grad=dict(max_norm=0.1),
)
param_scheduler = [dict(type='ConstantLR', factor=1.0)]
custom_hooks = []
runner_type = 'mmvsa.FlexibleRunner'
strategy = dict(type='mmvsa.FSDPStrategy', activation_checkpointing=True)
"""


def load(path: Path) -> dict:
    return torch.load(path, map_location='cpu', weights_only=False)


def train_sharded(config: Path, work_dir: Path, *options: str) -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    args = (config, 2, '--work-dir', work_dir, *options)
    return run_command('bash', 'tools/dist_train.sh', *args, PORT=port)


def test_the_whole_model_is_kept_without_values() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model[0].weight.requires_grad_(False)
    kept = _without_values(model)
    assert [key for key, _ in kept.named_parameters()] == [k for k, _ in model.named_parameters()]
    assert not kept[0].weight.requires_grad and kept[0].bias.requires_grad
    for key, value in model.state_dict().items():
        other = kept.state_dict()[key]
        assert not value.is_meta and other.is_meta
        assert (other.shape, other.dtype) == (value.shape, value.dtype)


@pytest.mark.slow
def test_trains_saves_and_resumes_as_one_process(tmp_path: Path) -> None:
    """Two processes stop after an epoch, resume, and end where one process does without a stop.

    Their checkpoint tests in one process, without sharding.
    """
    config = tiny_config(tmp_path, epochs=2, extra=SHARDED)
    one, two = tmp_path / 'one', tmp_path / 'two'
    run_tool('train', config, '--work-dir', one, '--cfg-options', 'train_dataloader.batch_size=16')
    train_sharded(config, two, '--cfg-options', 'train_cfg.max_epochs=1')
    assert 'resumed epoch: 1, iter: 4' in train_sharded(config, two, '--resume')
    expected, found = load(one / 'epoch_2.pth'), load(two / 'epoch_2.pth')
    start = load(one / 'epoch_1.pth')['state_dict']
    assert found['meta']['epoch'] == 2
    assert expected['state_dict'].keys() == found['state_dict'].keys()
    for name, value in expected['state_dict'].items():
        torch.testing.assert_close(found['state_dict'][name], value, rtol=0, atol=2e-5, msg=name)
    moved = (expected['state_dict']['head.fc.weight'] - start['head.fc.weight']).abs().max()
    assert moved > 1e-3  # a step is far larger than the tolerance
    assert_same_optimizer(expected['optimizer'], found['optimizer'])
    run_tool('test', config, two / 'epoch_2.pth', '--work-dir', one)


def assert_same_optimizer(whole: dict, sharded: dict) -> None:
    """Groups and their parameters in the same order; a sharded run knows them by name."""
    for left, right in zip(whole['param_groups'], sharded['param_groups'], strict=True):
        assert (left['lr'], left['weight_decay']) == (right['lr'], right['weight_decay'])
        for number, name in zip(left['params'], right['params'], strict=True):
            assert_same_state(whole['state'][number], sharded['state'][name], name)


def assert_same_state(whole: dict, sharded: dict, name: str) -> None:
    for kind in ('step', 'exp_avg', 'exp_avg_sq'):
        scale = max(float(whole[kind].abs().max()), 1e-12)
        torch.testing.assert_close(
            sharded[kind] / scale, whole[kind] / scale, rtol=0, atol=0.02, msg=name
        )
