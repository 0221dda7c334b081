"""Pictures at the end of a training, beside its checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner

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
    """Draw the learned windows over a validation image, and say how they differ from default ones.

    ``<work_dir>/windows.png`` is drawn after training. With ``interval``, the picture and the
    statistics of each stage's layer also go to the backends of the visualizer during training:
    ``LocalVisBackend``, ``TensorboardVisBackend`` or any other in ``vis_backends``.

    Args:
        image_index: Of the image in the validation set.
        layers: Name parts of the attention modules to draw; by default the last of each stage
            whose map has more than one window (the last of all where none has).
        max_heads: Heads drawn per layer.
        max_windows: Windows drawn per head.
        filename: Of the picture.
        interval: Validations from one picture in the backends to the next; None sends none.
    """

    def __init__(
        self,
        image_index: int = 0,
        layers: tuple[str, ...] | None = None,
        max_heads: int = 4,
        max_windows: int = 16,
        filename: str = 'windows.png',
        *,
        interval: int | None = None,
    ) -> None:
        if interval is not None and interval < 1:
            raise ValueError(f'interval must be at least 1 or None, got {interval!r}')
        self.image_index = image_index
        self.layers = layers
        self.options: dict[str, Any] = dict(
            max_heads=max_heads,
            max_windows=max_windows,
            title='learned windows (dotted: the fixed windows they start from)',
        )
        self.filename = filename
        self.interval = interval
        self._validations = 0

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Send the picture and the statistics to the visualizer's backends."""
        self._validations += 1
        # A test of the weights alone (`val` without `train`) has no step to draw at.
        if not self.interval or self._validations % self.interval or runner._train_loop is None:
            return
        from mmvsa.visualization.figure import to_array
        from mmvsa.visualization.window_pictures import windows_figure

        image, layers = self._look(runner)
        if not layers:
            return
        picture = to_array(windows_figure(image, layers, **self.options))
        runner.visualizer.add_image('windows', picture, step=runner.iter)
        runner.visualizer.add_scalars(_scalars(layers, image.shape[:2]), step=runner.iter)

    def draw_picture(self, runner: Runner) -> None:
        """Draw the picture to a file."""
        from mmvsa.visualization import draw_windows

        if runner.val_loop is None:
            return
        image, layers = self._look(runner)
        if not layers:
            runner.logger.warning('no varied-size windows to draw in this model')
            return
        path = draw_windows(Path(runner.work_dir) / self.filename, image, layers, **self.options)
        runner.logger.info(f'learned windows: {path}')

    def _look(self, runner: Runner) -> tuple[np.ndarray, list[Any]]:
        """Return the image as the network sees it, and the layers to draw."""
        from mmvsa.visualization.windows import collect_windows, displayed_image

        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        data = pseudo_collate([runner.val_dataloader.dataset[self.image_index]])
        inputs = model.data_preprocessor(data, False)['inputs']
        layers = collect_windows(model.backbone, inputs)
        return displayed_image(inputs, model.data_preprocessor), self._choose(layers)

    def _choose(self, found: list[Any]) -> list[Any]:
        from mmvsa.visualization.windows import representative_layers

        if self.layers is None:
            return representative_layers(found)
        return [layer for layer in found if any(part in layer.name for part in self.layers)]


def _counts_iterations(runner: Runner) -> bool:
    """Return whether the training is counted in iterations: its epoch stays 0 then."""
    return isinstance(runner._train_loop, IterBasedTrainLoop)


def _scalars(layers: list[Any], image_size: tuple[int, int]) -> dict[str, float]:
    """Return the mean over the heads of each quantity of each layer, by name."""
    from mmvsa.visualization.window_statistics import layer_statistics

    found = {layer.title: layer_statistics(layer, image_size) for layer in layers}
    return {
        f'windows/{name}/{title}': float(values.mean())
        for title, quantities in found.items()
        for name, values in quantities.items()
        if not np.isnan(values).any()  # the attention distance needs weights
    }
