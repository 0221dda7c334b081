"""What belongs to an image of a matting dataset."""

from mmengine.structures import BaseDataElement


class MattingSample(BaseDataElement):
    """Tensors of shape (C, H, W) that belong to an image.

    From a dataset, uint8: ``gt_alpha`` and ``gt_trimap`` with C = 1, ``gt_foreground`` and
    ``gt_background`` with C = 3. From a model, float32 in 0 ... 1: ``pred_alpha`` with C = 1.
    """
