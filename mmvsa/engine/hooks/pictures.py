"""Pictures at the end of a training, beside its checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor, nn

from mmvsa.registry import HOOKS

_HISTORY = 'mmvsa_val_history'


class PictureHook(Hook):
    """Base of hooks that draw after a training; a picture that fails does not fail the training."""

    priority = 'LOW'

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Draw, or warn of what went wrong."""
        try:
            self.draw_picture(runner)
        except Exception as error:
            runner.logger.warning(
                f'{type(self).__name__} has drawn nothing: {type(error).__name__}: {error}'
            )

    def draw_picture(self, runner: Runner) -> None:
        """Write the picture and log where it is."""
        raise TypeError(f'{type(self).__name__} must define draw_picture()')


@HOOKS.register_module()
class TrainingCurveHook(PictureHook):
    """Draw loss and validation metrics to ``<work_dir>/training_curve.png``.

    The curve of a resumed training has its first part too: it is kept in the checkpoint.

    Args:
        metrics: names of the validation metrics to draw.
        filename: of the picture.
        rule: whether the ``'greater'`` or the ``'less'`` value of the metrics is better.
    """

    def __init__(
        self,
        metrics: tuple[str, ...] = ('accuracy/top1',),
        filename: str = 'training_curve.png',
        *,
        rule: str = 'greater',
    ) -> None:
        if rule not in ('greater', 'less'):
            raise ValueError(f"rule must be 'greater' or 'less', got {rule!r}")
        self.rule = rule
        self.metrics = tuple(metrics)
        self.filename = filename

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remember the metrics under the number of epochs (or iterations) trained."""
        if not metrics or runner._train_loop is None:
            return
        history = runner.message_hub.runtime_info.get(_HISTORY, [])
        kept = {name: float(metrics[name]) for name in self.metrics if name in metrics}
        trained = runner.iter if _counts_iterations(runner) else runner.epoch
        runner.message_hub.update_info(_HISTORY, [*history, (trained, kept)])

    def draw_picture(self, runner: Runner) -> None:
        """Draw the curve into the work dir."""
        from mmvsa.visualization import draw_training_curve

        losses = runner.message_hub.log_scalars['train/loss'].data[0]
        pairs = runner.message_hub.runtime_info.get(_HISTORY, [])
        metrics = {
            name: [(epoch, values[name]) for epoch, values in pairs if name in values]
            for name in self.metrics
        }
        path = draw_training_curve(
            Path(runner.work_dir) / self.filename,
            losses,
            None if _counts_iterations(runner) else len(runner.train_dataloader),
            {name: values for name, values in metrics.items() if values},
            rule=self.rule,
            title=runner.experiment_name.rsplit('_', 2)[0],
        )
        runner.logger.info(f'training curve: {path}')


@HOOKS.register_module()
class WindowVisualizationHook(PictureHook):
    """Draw the learned windows over a validation image to ``<work_dir>/windows.png``.

    Args:
        image_index: of the image in the validation set.
        layers: name parts of the attention modules to draw; by default the last of each stage
            whose map has more than one window (the last of all where none has).
        max_heads: heads drawn per layer.
        max_windows: windows drawn per head.
        filename: of the picture.
    """

    def __init__(
        self,
        image_index: int = 0,
        layers: tuple[str, ...] | None = None,
        max_heads: int = 4,
        max_windows: int = 16,
        filename: str = 'windows.png',
    ) -> None:
        self.image_index = image_index
        self.layers = layers
        self.options = dict(max_heads=max_heads, max_windows=max_windows)
        self.filename = filename

    def draw_picture(self, runner: Runner) -> None:
        """Draw the windows over an image of the validation set."""
        from mmvsa.visualization import collect_windows, draw_windows

        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dataset = runner.val_dataloader.dataset if runner.val_loop else None
        if dataset is None:
            return
        data = pseudo_collate([dataset[self.image_index]])
        image = model.data_preprocessor(data, False)['inputs']
        layers = self._choose(collect_windows(model.backbone, image))
        if not layers:
            runner.logger.warning('no varied-size windows to draw in this model')
            return
        path = draw_windows(
            Path(runner.work_dir) / self.filename,
            displayed_image(image, model.data_preprocessor),
            layers,
            title='learned windows (dotted: the fixed windows they start from)',
            **self.options,
        )
        runner.logger.info(f'learned windows: {path}')

    def _choose(self, found: list[Any]) -> list[Any]:
        if self.layers is not None:
            return [layer for layer in found if any(part in layer.name for part in self.layers)]
        many = [layer for layer in found if layer.points.shape[1] * layer.points.shape[2] > 1]
        # 'stages.0.blocks.1.attn' -> stage '0'; a later layer of the stage replaces an earlier.
        last = {layer.name.split('.')[1]: layer for layer in many or found[-1:]}
        return list(last.values())


def _counts_iterations(runner: Runner) -> bool:
    """Return whether the training is counted in iterations: its epoch stays 0 then."""
    return isinstance(runner._train_loop, IterBasedTrainLoop)


def displayed_image(image: Tensor, preprocessor: nn.Module) -> np.ndarray:
    """Return (1, C, H, W), normalized, as (H, W, C) uint8."""
    mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
    pixels = image[0].float()
    if isinstance(mean, Tensor) and isinstance(std, Tensor):
        pixels = pixels * std.to(pixels) + mean.to(pixels)
    return pixels.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
