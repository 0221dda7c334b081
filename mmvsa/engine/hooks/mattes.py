"""Mattes at the end of a training, and of every tested image."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmvsa.datasets.images import write_image
from mmvsa.registry import HOOKS
from mmvsa.utils.drawing import UniqueFiles

from .pictures import PictureHook


@HOOKS.register_module()
class MatteVisualizationHook(PictureHook):
    """Draw mattes of validation images to ``<work_dir>/mattes.png``; in a test, every image.

    Each row has the image, the target, the alpha and the cut-out over a checkerboard.

    Args:
        num_images: Of the validation set that are drawn after training, evenly spread.
        draw: Write every ``interval``-th tested image to ``test_out_dir``.
        interval: Between the images that are written.
        test_out_dir: Folder of these images.
    """

    def __init__(
        self,
        num_images: int = 4,
        *,
        draw: bool = False,
        interval: int = 1,
        test_out_dir: str | None = None,
    ) -> None:
        self.num_images, self.draw = num_images, draw
        self.interval, self.test_out_dir = interval, test_out_dir
        self._files = UniqueFiles()

    def draw_picture(self, runner: Runner) -> None:
        """Draw some validation images below each other."""
        dataset = runner.val_dataloader.dataset if runner.val_loop else None
        if not dataset or not self.num_images:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        rows = []
        for index in np.linspace(0, len(dataset) - 1, min(self.num_images, len(dataset))):
            data = dataset[int(index)]
            with torch.no_grad():
                (sample,) = model.val_step(pseudo_collate([data]))
            rows.append(_draw(data['inputs'], sample))
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        path = Path(runner.work_dir) / 'mattes.png'
        write_image(path, np.vstack(rows))
        runner.logger.info(f'mattes: {path}')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write the images of a batch."""
        if not self.draw or self.test_out_dir is None or batch_idx % self.interval:
            return
        folder = Path(self.test_out_dir)
        for image, sample in zip(data_batch['inputs'], outputs, strict=True):
            path = self._files.choose(folder / f'{Path(sample.img_path).stem}.png', sample.img_path)
            write_image(path, _draw(image, sample))


def _draw(image: torch.Tensor, sample: BaseDataElement) -> np.ndarray:
    """(3, H, W) uint8 in BGR and its sample -> a row of images."""
    from mmvsa.visualization import draw_matte

    target = sample.gt_alpha[0].cpu().numpy() / 255 if 'gt_alpha' in sample else None
    alpha = sample.pred_alpha[0].cpu().numpy()
    return draw_matte(image.permute(1, 2, 0).cpu().numpy(), alpha, target)
