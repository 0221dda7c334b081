"""From loaded pairs of images to a batch."""

from collections.abc import Sequence
from typing import Any

from mmseg.models import SegDataPreProcessor

from mmvsa.registry import MODELS

# Channels of both images in reverse order, image by image.
_REVERSED = [2, 1, 0, 5, 4, 3]


@MODELS.register_module()
class PairDataPreprocessor(SegDataPreProcessor):
    """mmseg's preprocessor for pairs: images of six channels, the first image's first.

    Args:
        mean: of the three channels of an image, or None to keep the values as they are.
        std: likewise.
        bgr_to_rgb: reverse the channels of each image.
        options: those of :class:`mmseg.models.SegDataPreProcessor`. Without ``size`` and
            ``size_divisor`` a training batch is padded to its largest pair.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        bgr_to_rgb: bool = False,
        **options: Any,
    ) -> None:
        if options.get('size') is None and options.get('size_divisor') is None:
            options['size_divisor'] = 1
        super().__init__(mean, std, bgr_to_rgb=bgr_to_rgb, **options)
        if self._enable_normalize:
            for name in ('mean', 'std'):
                self.register_buffer(name, getattr(self, name).repeat(2, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Reverse channels, normalize, pad and stack. Each of ``data['inputs']``: (6, H, W)."""
        for image in data['inputs']:
            if image.dim() != 3 or image.shape[0] != len(_REVERSED):
                raise ValueError(
                    'a pair of images has shape (6, H, W), the channels of the first image first; '
                    f'got {tuple(image.shape)}'
                )
        if self._channel_conversion:
            data = {**data, 'inputs': [image[_REVERSED] for image in data['inputs']]}
        return super().forward(data, training)
