"""What training a detector holds in memory, with and without activation checkpointing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope

from ..utils import load_config
from ..utils.errors import UsageError
from .memory import PeakMemory, peak_memory


@dataclass(frozen=True)
class DetectorStep:
    """Forward and backward of a detector of a config on made images; picklable.

    Attributes:
        config: path of a config of mmdet.
        options: as of ``--cfg-options``.
        size: (h, w) of the images in pixels.
        batch_size: images of a step.
        objects: boxes and masks on every image.
        device: ``'cpu'``, ``'cuda'``.
    """

    config: str
    options: dict[str, Any]
    size: tuple[int, int]
    batch_size: int
    objects: int
    device: str


def compare_checkpointing(step: DetectorStep) -> dict[bool, PeakMemory]:
    """Peak memory with ``with_cp`` of the backbone off and on, each in a process of its own.

    Raises:
        UsageError: the config is no detector.
    """
    model = load_config(step.config, step.options).get('model', {})
    if 'bbox_head' not in model and 'rpn_head' not in model:
        raise UsageError(f'{step.config} is no config of a detector: its model has no box head')
    device = torch.device(step.device)
    return {
        with_cp: peak_memory(device, build_step, (step, with_cp), import_packages)
        for with_cp in (False, True)
    }


def import_packages(*_: object) -> None:
    """What a process imports before its memory is compared."""
    import mmdet.testing  # noqa: F401

    import mmvsa  # noqa: F401


def build_step(step: DetectorStep, with_cp: bool) -> Callable[[], None]:
    """A function of one step. The weights are random: nothing is loaded."""
    torch.manual_seed(0)
    cfg = load_config(step.config, step.options)
    cfg.model.backbone.update(with_cp=with_cp, init_cfg=None)
    init_default_scope('mmdet')
    # One process has nobody to synchronise batch norms with, and a CPU cannot.
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(step.device).train()
    inputs = _made_batch(step)

    def call() -> None:
        data = model.data_preprocessor(inputs, True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        model.zero_grad()

    return call


def _made_batch(step: DetectorStep) -> dict[str, Any]:
    from mmdet.testing import demo_mm_inputs

    return demo_mm_inputs(
        batch_size=step.batch_size,
        image_shapes=(3, *step.size),
        num_items=[step.objects] * step.batch_size,
        with_mask=True,
        device=step.device,
    )
