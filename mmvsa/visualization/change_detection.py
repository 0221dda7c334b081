"""The four panels of a change detection: before, after, truth, prediction."""

from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmseg.visualization import SegLocalVisualizer

from mmvsa.datasets.images import write_image
from mmvsa.registry import VISUALIZERS

_GAP = 4  # pixels of white between panels


@VISUALIZERS.register_module()
class ChangeVisualizer(SegLocalVisualizer):
    """Draw pairs for mmseg's ``SegVisualizationHook``, which ``--show-dir`` switches on.

    Changed pixels are white in the maps of truth and prediction.
    """

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: Any = None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        **options: Any,
    ) -> None:
        """Draw a pair and write it to ``out_file``, or to the folder of the backends.

        Args:
            name: of the window and of the file.
            image: the first image, (H, W, 3) uint8, RGB.
            data_sample: mmseg's ``SegDataSample`` with ``img_path2``, ``gt_sem_seg`` and
                ``pred_sem_seg``; a panel whose source is missing is left out.
            draw_gt: draw the truth.
            draw_pred: draw the prediction.
            show: open a window instead of writing a file.
            wait_time: seconds until it closes; 0 waits for a key.
            out_file: path of the file.
            step: number in the names of the backends' files.
            options: those of ``SegLocalVisualizer`` that have no meaning here.
        """
        maps = [('gt_sem_seg', draw_gt), ('pred_sem_seg', draw_pred)]
        wanted = [key for key, draws in maps if draws]
        drawn = draw_panels(image, data_sample, wanted)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        elif out_file is not None:
            write_image(out_file, drawn[..., ::-1])
        else:
            self.add_image(name, drawn, step)


def draw_panels(image: np.ndarray, data_sample: Any, maps: list[str]) -> np.ndarray:
    """Put the images of a pair and its maps side by side.

    Args:
        image: the first image, (H, W, 3) uint8, RGB.
        data_sample: mmseg's ``SegDataSample``.
        maps: names of the maps to draw, such as ``'pred_sem_seg'``.

    Returns:
        (H, W', 3) uint8, RGB: panels of the size of ``image``, with gaps between them.
    """
    height, width = image.shape[:2]
    panels = [image]
    if data_sample is not None and 'img_path2' in data_sample:
        second = mmcv.imread(data_sample.img_path2, channel_order='rgb')
        panels.append(cv2.resize(second, (width, height)))
    for name in maps:
        if data_sample is not None and name in data_sample:
            labels = data_sample.get(name).data.squeeze().cpu().numpy().astype(np.uint8)
            labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
            panels.append(np.repeat((labels == 1)[..., None] * np.uint8(255), 3, axis=2))
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    joined = [panels[0]]
    for panel in panels[1:]:
        joined += [gap, panel]
    return np.concatenate(joined, axis=1)
