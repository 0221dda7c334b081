"""An encoder-decoder for pairs of images."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mmvsa.registry import MODELS


@MODELS.register_module()
class SiamEncoderDecoder(EncoderDecoder):
    """Detect changes between two images that share one backbone.

    The backbone sees each image on its own, the neck fuses the two lists of feature maps into one,
    and any decode head of mmseg classifies every pixel as unchanged (0) or changed (1). The rest
    (losses, sliding windows, predictions) is :class:`mmseg.models.EncoderDecoder`'s. A pair is one
    tensor (N, 2 * C, H, W) with the channels of the first image first, or a tuple of two
    (N, C, H, W).

    Args:
        backbone: config of any registered backbone.
        decode_head: config of a decode head.
        neck: config of what fuses the maps of both images.
        test_cfg: ``dict(mode='whole')`` or mmseg's options of sliding windows.
        options: those of :class:`mmseg.models.EncoderDecoder`.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decode_head: dict[str, Any],
        neck: dict[str, Any],
        *,
        test_cfg: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        # mmseg reads its options as attributes.
        cfg = ConfigDict(test_cfg or dict(mode='whole'))
        super().__init__(backbone, decode_head, neck, test_cfg=cfg, **options)

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[Any] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the model on pairs of images.

        Args:
            inputs: a tensor (N, 2 * C, H, W), or the two images of every pair, (N, C, H, W) each.
            data_samples: one mmseg ``SegDataSample`` per pair; needed for ``'loss'``.
            mode: ``'tensor'``, ``'predict'`` or ``'loss'``.

        Returns:
            Logits (N, num_classes, H, W), a list of ``SegDataSample``, or a dict of losses.

        Raises:
            ValueError: the images of a pair differ in shape, or the channels cannot be halved.
        """
        return super().forward(join_pair(inputs), data_samples, mode)

    def extract_feat(self, inputs: Tensor) -> Any:
        """Fuse the feature maps of both images. inputs: (N, 2 * C, H, W)."""
        # One call per image, as in the official implementation: the statistics of a batch norm
        # are those of one date.
        before, after = inputs.chunk(2, dim=1)
        return self.neck(self.backbone(before), self.backbone(after))

    def _forward(self, inputs: Tensor, data_samples: list[Any] | None = None) -> Tensor:
        return self.encode_decode(inputs, [dict(img_shape=inputs.shape[2:])])


def join_pair(inputs: Tensor | Sequence[Tensor]) -> Tensor:
    """Join two images (N, C, H, W) into (N, 2 * C, H, W); a joined pair is only checked."""
    if not isinstance(inputs, Tensor):
        shapes = [tuple(image.shape) for image in inputs]
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise ValueError(f'a pair is two images of one shape (N, C, H, W), got {shapes}')
        inputs = torch.cat(tuple(inputs), dim=1)
    if inputs.dim() != 4 or inputs.shape[1] % 2:
        raise ValueError(
            'a pair of images is a tensor (N, 2 * C, H, W) or a tuple of two (N, C, H, W), '
            f'got a tensor of shape {tuple(inputs.shape)}'
        )
    return inputs
