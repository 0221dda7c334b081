"""The hooks that draw, without a training."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch
from helpers.archs import build, with_regressors
from helpers.runners import fake_runner
from mmengine.logging import MessageHub
from mmengine.runner import IterBasedTrainLoop
from mmengine.visualization import Visualizer
from torch import nn

from mmvsa.engine import TrainingCurveHook, WindowVisualizationHook


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
    WindowVisualizationHook().after_train(fake_runner(hub, tmp_path, val_loop=object()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("TrainingCurveHook has drawn nothing: KeyError: 'train/loss'")
    assert lines[1].startswith('WindowVisualizationHook has drawn nothing: AttributeError')


def test_a_loss_of_nan_is_drawn(hub: MessageHub, tmp_path: Path) -> None:
    for loss in (1.0, float('nan'), float('inf')):
        hub.update_scalar('train/loss', loss)
    TrainingCurveHook().after_train(fake_runner(hub, tmp_path))
    assert (tmp_path / 'training_curve.png').stat().st_size > 1000


class _Model(nn.Module):
    """What the hook looks at: a backbone with windows, and a preprocessor."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = with_regressors(build('qformer'))

    def data_preprocessor(self, data: dict, training: bool) -> dict:
        return dict(inputs=torch.stack(data['inputs']))


def window_runner(hub: MessageHub, work_dir: Path, **attributes: object) -> SimpleNamespace:
    loader = SimpleNamespace(dataset=[dict(inputs=torch.randn(3, 96, 64))])
    defaults = dict(model=_Model(), val_loop=object(), val_dataloader=loader, iter=7)
    return fake_runner(hub, work_dir, **{**defaults, **attributes})


def test_windows_after_training(hub: MessageHub, tmp_path: Path) -> None:
    WindowVisualizationHook().after_train(window_runner(hub, tmp_path))
    assert (tmp_path / 'windows.png').stat().st_size > 10_000
    WindowVisualizationHook(filename='none.png').after_train(
        window_runner(hub, tmp_path, val_loop=None)
    )
    assert not (tmp_path / 'none.png').exists()


def test_layers_by_name(hub: MessageHub, tmp_path: Path) -> None:
    _, layers = WindowVisualizationHook()._look(window_runner(hub, tmp_path))
    assert [layer.title for layer in layers] == [
        'stages.0.blocks.0', 'stages.1.blocks.1', 'stages.2.blocks.0'
    ]  # fmt: skip
    hook = WindowVisualizationHook(layers=('stages.1', 'stages.2'))
    _, layers = hook._look(window_runner(hub, tmp_path))
    assert [layer.title for layer in layers] == [
        'stages.1.blocks.0', 'stages.1.blocks.1', 'stages.2.blocks.0'
    ]  # fmt: skip


def visualizer(tmp_path: Path, backend: str) -> Visualizer:
    return Visualizer(vis_backends=[dict(type=backend)], save_dir=str(tmp_path))


def test_windows_during_training(hub: MessageHub, tmp_path: Path) -> None:
    """The picture and the scalars of every second validation, by MMEngine's own backend."""
    hook = WindowVisualizationHook(interval=2)
    shown = visualizer(tmp_path, 'LocalVisBackend')
    for step in (1, 2, 3, 4):
        hook.after_val_epoch(window_runner(hub, tmp_path, visualizer=shown, iter=step))
    hook.after_val_epoch(window_runner(hub, tmp_path, visualizer=shown, _train_loop=None))
    names = sorted(path.name for path in (tmp_path / 'vis_data/vis_image').glob('*'))
    assert names == ['windows_2.png', 'windows_4.png']
    picture = cv2.imread(str(tmp_path / 'vis_data/vis_image/windows_2.png'))
    assert picture.std() > 20
    (first, second) = map(json.loads, (tmp_path / 'vis_data/scalars.json').read_text().splitlines())
    assert (first['step'], second['step']) == (2, 4)
    quantities = {key.split('/')[1] for key in first if key != 'step'}
    assert quantities == {'size', 'offset', 'angle', 'off_map'}
    assert first['windows/size/stages.1.blocks.1'] > 0
    assert not WindowVisualizationHook().interval, 'nothing is sent by default'


def test_windows_in_tensorboard(hub: MessageHub, tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='tensorboard is not installed: pip install tensorboard',
    )
    shown = visualizer(tmp_path, 'TensorboardVisBackend')
    runner = window_runner(hub, tmp_path, visualizer=shown, iter=5)
    WindowVisualizationHook(interval=1).after_val_epoch(runner)
    shown.close()
    events = accumulator.EventAccumulator(str(tmp_path / 'vis_data'))
    events.Reload()
    assert [event.step for event in events.Images('windows')] == [5]
    assert events.Scalars('windows/offset/stages.0.blocks.0')[0].value > 0


def test_wrong_interval() -> None:
    with pytest.raises(ValueError, match='interval must be at least 1 or None, got 0'):
        WindowVisualizationHook(interval=0)
