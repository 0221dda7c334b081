"""Trimap-free matting networks: an RGB image in, its alpha out."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvsa.models.layers import pad_to_multiple
from mmvsa.registry import MODELS

from .heads import MatteOutputs

STRIDE = 32
TEST_MODES = ('resize', 'hybrid', 'whole')


@MODELS.register_module()
class MattingDataPreprocessor(ImgDataPreprocessor):
    """Normalize the images and, with them, the foregrounds and backgrounds of the samples."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the data with ``inputs`` stacked to (B, 3, H, W)."""
        data = super().forward(data, training)
        for sample in data.get('data_samples') or []:
            for key in ('gt_foreground', 'gt_background'):
                if key in sample:
                    sample.set_data({key: self._normalize(sample.get(key))})
        return data

    def _normalize(self, image: Tensor) -> Tensor:
        image = (image[[2, 1, 0]] if self._channel_conversion else image).float()
        return (image - self.mean) / self.std if self._enable_normalize else image


@MODELS.register_module()
class Mattor(BaseModel):
    """A backbone and a matting head, such as P3M-Net (arXiv 2104.14222, 2203.16828).

    Args:
        backbone: For ``mmvsa.P3MHead`` one that has ``encode`` (``mmvsa.PoolingViTAE``); for
            ``mmvsa.UNetMattingHead`` any that returns maps.
        decode_head: One of these heads.
        data_preprocessor: By default images are taken as they are.
        test_cfg: ``mode`` and ``max_size`` (default 1600) of :meth:`predict`. ``'resize'``
            (default) runs on the image at half its size and ``'hybrid'`` takes the classes from
            there and the alpha of the transition from the full size; both as in the official
            implementation, on sides that are multiples of 32. ``'whole'`` runs once on the
            padded image. Images are shrunk so that no side is longer than ``max_size``.
        init_cfg: MMEngine's.

    Raises:
        ValueError: An unknown test mode, a ``max_size`` below 32, or a head that the backbone
            does not suit.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decode_head: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        *,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build(decode_head)
        if self.decode_head.pooled and not hasattr(self.backbone, 'encode'):
            raise ValueError(
                f'{type(self.decode_head).__name__} needs a backbone that keeps the indices of its '
                f'poolings (PoolingViTAE), got {type(self.backbone).__name__}; use UNetMattingHead'
            )
        self.test_cfg = {'mode': 'resize', 'max_size': 1600, **(test_cfg or {})}
        if self.test_cfg['mode'] not in TEST_MODES:
            raise ValueError(
                f'test_cfg.mode must be one of {TEST_MODES}, got {self.test_cfg["mode"]!r}'
            )
        if self.test_cfg['max_size'] < STRIDE:
            raise ValueError(
                f'test_cfg.max_size must be at least {STRIDE}, got {self.test_cfg["max_size"]}'
            )

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run on normalized images (B, 3, H, W) of any size.

        Args:
            inputs: The images.
            data_samples: One for each image; needed by ``'loss'``.
            mode: ``'tensor'`` returns :class:`MatteOutputs`, ``'loss'`` a dict of losses,
                ``'predict'`` the samples with ``pred_alpha`` (1, H, W) in their ``ori_shape``.

        Raises:
            ValueError: An unknown mode.
        """
        if mode == 'tensor':
            return self._forward(inputs)
        if mode == 'loss':
            return self.decode_head.loss(self._forward(inputs), inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")

    def _forward(self, images: Tensor) -> MatteOutputs:
        padded = pad_to_multiple(images, STRIDE)
        encode = self.backbone.encode if self.decode_head.pooled else self.backbone
        return self.decode_head(padded, encode(padded)).crop(*images.shape[-2:])

    def predict(
        self, images: Tensor, data_samples: Sequence[BaseDataElement] | None = None
    ) -> list[BaseDataElement]:
        """Return the samples with ``pred_alpha`` by the strategy of ``test_cfg``."""
        samples = data_samples or [BaseDataElement() for _ in images]
        for image, sample in zip(images, samples, strict=True):
            # Images of a batch are padded to the largest.
            height, width = sample.get('img_shape', sample.get('ori_shape', image.shape[-2:]))
            alpha = self.infer(image[None, :, :height, :width])
            sample.pred_alpha = _resize(alpha, sample.get('ori_shape', (height, width)))[0]
        return list(samples)

    def infer(self, image: Tensor) -> Tensor:
        """Return the alpha (1, 1, H, W) of one normalized image (1, 3, H, W)."""
        size = height, width = image.shape[-2:]
        if self.test_cfg['mode'] == 'whole':
            scale = min(1, self.test_cfg['max_size'] / max(size))
            scaled = tuple(max(1, int(length * scale)) for length in size)
            return _resize(self._forward(_resize(image, scaled)).fused, size)
        half = self._forward(_resize(image, self._fit(height // 2, width // 2)))
        if self.test_cfg['mode'] == 'resize':
            return _resize(half.fused, size)
        focus = _resize(self._forward(_resize(image, self._fit(height, width))).focus, size)
        classes = half.glance.argmax(1, keepdim=True)
        # The seams between classes count as transition.
        background, foreground = (
            _resize((classes == i).to(focus), size) > 1 - 1e-6 for i in (0, 2)
        )
        return torch.where(foreground, 1.0, focus.masked_fill(background, 0.0))

    def _fit(self, *size: int) -> tuple[int, ...]:
        """Return the multiples of 32 that fit into each side and into ``max_size``."""
        largest = self.test_cfg['max_size']
        lengths = (min(length, largest) // STRIDE * STRIDE for length in size)
        return tuple(max(STRIDE, length) for length in lengths)


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize without smoothing, as scikit-image 0.14 and the official implementation do."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode='bilinear', align_corners=False)
