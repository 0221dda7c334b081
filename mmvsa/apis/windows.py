"""What a model's windows do on an image: the model by name or config, its input, its windows."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmvsa.models import load_pretrained
from mmvsa.utils import UsageError, load_config
from mmvsa.utils.work_dir import check_checkpoint
from mmvsa.visualization.windows import AttentionWindows, collect_windows, displayed_image

from .model import collect_models, list_models, model_config
from .predictors import Predictor, build_predictor

_SHORT_EDGE = 224  # of an image for a model that is given by its name


@dataclass(frozen=True)
class WindowView:
    """What the network sees, and where it looks.

    Attributes:
        image: (H, W, 3) uint8 in RGB: the image after the test pipeline.
        layers: Of the forward pass, see :class:`mmvsa.visualization.AttentionWindows`.
    """

    image: np.ndarray
    layers: list[AttentionWindows]


class WindowViewer:
    """Looks at the windows of a model's backbone.

    Args:
        model: A config file, or a name of a classifier (:func:`mmvsa.list_models`), which sees
            images whole, 224 pixels high or wide.
        checkpoint: Of the model or of its backbone alone; None keeps random weights, whose windows
            are the default ones.
        device: A GPU where there is one by default.

    Raises:
        UsageError: There is no such model, config, checkpoint or device, or the model has no
            windows that are sampled.
        mmvsa.models.CheckpointError: The file is unreadable or another model's.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        checkpoint: str | os.PathLike | None = None,
        device: str | None = None,
    ) -> None:
        if checkpoint is not None:
            check_checkpoint(os.fsdecode(checkpoint))
        self.predictor: Predictor = build_predictor(_model_config(model), device)
        self.backbone: Any = self.predictor.model.backbone
        if not any(hasattr(module, 'window_points') for module in self.backbone.modules()):
            vsa = ', '.join(list_models('*s-vsa'))
            raise UsageError(f'{model} has no windows that are sampled; models such as {vsa} have')
        if checkpoint is not None:
            load_pretrained(self.backbone, checkpoint)

    def look(self, image: np.ndarray, *, weights: bool = True) -> WindowView:
        """Return the windows for an image, (H, W, 3) uint8 in BGR, with the attention in them."""
        return self.look_at_input(self.predictor.model_inputs([image]), weights=weights)

    @torch.no_grad()
    def look_at_input(self, inputs: Tensor, *, weights: bool = True) -> WindowView:
        """Return the windows for what the backbone gets, (1, 3, H, W), normalized."""
        layers = collect_windows(self.backbone, inputs, weights=weights)
        shown = displayed_image(inputs, self.predictor.model.data_preprocessor)
        return WindowView(shown, layers)


def _model_config(model: str | os.PathLike) -> Config:
    """Return the config of a file, or one around a classifier's name."""
    if os.fsdecode(model) not in collect_models():
        if os.fspath(model) in list_models() or not os.fsdecode(model).endswith('.py'):
            raise UsageError(
                f'{model} is neither a config file nor a classifier of mmvsa; '
                f'classifiers are {", ".join(list_models("*vsa*"))}, ...'
            )
        return load_config(model)
    resize = dict(type='ResizeEdge', scale=_SHORT_EDGE, edge='short', interpolation='bicubic')
    pipeline = [dict(type='LoadImageFromFile'), resize, dict(type='PackInputs')]
    return Config(
        dict(
            default_scope='mmpretrain',
            model=model_config(os.fsdecode(model)),
            data_preprocessor=dict(
                mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
            ),
            test_dataloader=dict(dataset=dict(type='ImageNet', pipeline=pipeline)),
        )
    )
