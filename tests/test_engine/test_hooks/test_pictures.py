"""The hooks that draw, without a training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.runners import fake_runner
from mmengine.logging import MessageHub
from mmengine.runner import IterBasedTrainLoop

from mmvsa.engine import TrainingCurveHook, WindowVisualizationHook
from mmvsa.engine.hooks.pictures import displayed_image


def test_training_curve(hub: MessageHub, tmp_path: Path) -> None:
    hook = TrainingCurveHook()
    for epoch in (1, 2):
        for _ in range(4):
            hub.update_scalar('train/loss', 1 / epoch)
        runner = fake_runner(hub, tmp_path, epoch=epoch)
        hook.after_val_epoch(runner, {'accuracy/top1': 50.0 * epoch, 'other': 1.0})
    history = hub.runtime_info['mmvsa_val_history']
    assert history == [(1, {'accuracy/top1': 50.0}), (2, {'accuracy/top1': 100.0})]
    hook.after_train(runner)
    assert (tmp_path / 'training_curve.png').stat().st_size > 1000


def test_curve_survives_a_resume(hub: MessageHub, tmp_path: Path) -> None:
    hook = TrainingCurveHook()
    hook.after_val_epoch(fake_runner(hub, tmp_path, epoch=1), {'accuracy/top1': 1.0})
    saved = hub.state_dict()
    resumed = MessageHub.get_instance('resumed')
    resumed.load_state_dict(saved)
    hook.after_val_epoch(fake_runner(resumed, tmp_path, epoch=2), {'accuracy/top1': 2.0})
    assert [epoch for epoch, _ in resumed.runtime_info['mmvsa_val_history']] == [1, 2]


def test_curve_without_validation(hub: MessageHub, tmp_path: Path) -> None:
    hub.update_scalar('train/loss', 1.0)
    TrainingCurveHook().after_train(fake_runner(hub, tmp_path))
    assert (tmp_path / 'training_curve.png').exists()


def test_curve_of_iterations(hub: MessageHub, tmp_path: Path, monkeypatch) -> None:
    """An iteration-based training has its iterations, not epoch 0."""
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    drawn = {}
    monkeypatch.setattr(
        'mmvsa.visualization.draw_training_curve',
        lambda path, losses, per_epoch, metrics, **_: drawn.update(per_epoch=per_epoch, **metrics),
    )
    hook = TrainingCurveHook()
    for iteration in (4, 8):
        hub.update_scalar('train/loss', 1.0)
        runner = fake_runner(hub, tmp_path, iter=iteration, _train_loop=loop)
        hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    hook.after_train(runner)
    assert drawn == {'per_epoch': None, 'accuracy/top1': [(4, 50.0), (8, 50.0)]}


def test_a_picture_that_fails_does_not_fail_the_training(
    hub: MessageHub, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """There is no loss, and no model."""
    TrainingCurveHook().after_train(fake_runner(hub, tmp_path))
    WindowVisualizationHook().after_train(fake_runner(hub, tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("TrainingCurveHook has drawn nothing: KeyError: 'train/loss'")
    assert lines[1].startswith('WindowVisualizationHook has drawn nothing: AttributeError')


def test_a_loss_of_nan_is_drawn(hub: MessageHub, tmp_path: Path) -> None:
    for loss in (1.0, float('nan'), float('inf')):
        hub.update_scalar('train/loss', loss)
    TrainingCurveHook().after_train(fake_runner(hub, tmp_path))
    assert (tmp_path / 'training_curve.png').stat().st_size > 1000


def layer(name: str, windows: int) -> SimpleNamespace:
    return SimpleNamespace(name=name, points=np.zeros((2, windows, 1, 4, 2)))


def test_default_layers_are_the_last_of_each_stage_with_several_windows() -> None:
    found = [layer('stages.0.a', 4), layer('stages.0.b', 4), layer('stages.1.a', 1)]
    assert [x.name for x in WindowVisualizationHook()._choose(found)] == ['stages.0.b']
    assert [x.name for x in WindowVisualizationHook()._choose(found[2:])] == ['stages.1.a']
    chosen = WindowVisualizationHook(layers=('stages.0.a', 'stages.1'))._choose(found)
    assert [x.name for x in chosen] == ['stages.0.a', 'stages.1.a']


def test_displayed_image_undoes_normalisation() -> None:
    preprocessor = torch.nn.Module()
    preprocessor.mean = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1)
    preprocessor.std = torch.tensor([2.0, 2.0, 2.0]).view(3, 1, 1)
    image = displayed_image(torch.ones(1, 3, 2, 4), preprocessor)
    assert image.shape == (2, 4, 3) and image[0, 0].tolist() == [12, 22, 32]
