"""The U-Net decoder of MTP's change detection."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmvsa.registry import MODELS

from .layers import CROSS_ENTROPY, conv_norm_relu


class UNetBlock(nn.Module):
    """Enlarge a map by 2, join it with a finer one, and convolve twice.

    Args:
        in_channels: channels of the map.
        skip_channels: channels of the finer map; 0 if there is none.
        out_channels: channels of the result.
        norm_cfg: norm after each convolution.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        norm_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        self.conv1 = conv_norm_relu(in_channels + skip_channels, out_channels, norm_cfg)
        self.conv2 = conv_norm_relu(out_channels, out_channels, norm_cfg)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """x: (N, in_channels, H, W); skip: (N, skip_channels, about 2 * H, about 2 * W).

        Returns:
            (N, out_channels, 2 * H, 2 * W).
        """
        x = F.interpolate(x, scale_factor=2, mode='nearest')
        if skip is not None:
            skip = F.interpolate(skip, size=x.shape[2:], mode='bilinear', align_corners=False)
            x = torch.cat((x, skip), dim=1)
        return self.conv2(self.conv1(x))


@MODELS.register_module()
class UNetHead(BaseDecodeHead):
    """Decode four maps of a pyramid or of one size, from the last one to the first.

    With ``policy='abs_diff'`` of :class:`~mmvsa.models.change_detection.FeatureFusionNeck` this is
    the difference head of MTP (``RS_Tasks_Finetune/Change_Detection/opencd/models/decode_heads/
    unet_head.py`` of ViTAE-Transformer/MTP), which gives it four maps of stride 16; the key names
    are its own.

    Args:
        in_channels: channels of the maps, from the finest to the coarsest.
        channels: channels before the classifier, those of the last block.
        decoder_channels: channels of the blocks, one for each map.
        norm_cfg: norm of the blocks.
        in_index: which maps to use; all by default.
        options: those of mmseg's ``BaseDecodeHead``, such as ``num_classes``.

    Raises:
        ValueError: not one block per map, or the last one is not ``channels`` wide.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        decoder_channels: Sequence[int] = (512, 256, 128, 64),
        *,
        norm_cfg: dict[str, Any] | None = None,
        in_index: Sequence[int] | None = None,
        num_classes: int = 2,
        **options: Any,
    ) -> None:
        if len(decoder_channels) != len(in_channels) or decoder_channels[-1] != channels:
            raise ValueError(
                f'decoder_channels needs one entry for each of the {len(in_channels)} maps, the '
                f'last one equal to channels={channels}; got {tuple(decoder_channels)}'
            )
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            out_channels=num_classes,
            norm_cfg=norm_cfg or dict(type='BN'),
            in_index=list(in_index or range(len(in_channels))),
            input_transform='multiple_select',
            **{'loss_decode': CROSS_ENTROPY, **options},
        )
        coarsest, *skips = reversed(self.in_channels)
        inputs = (coarsest, *decoder_channels[:-1])
        self.blocks = nn.ModuleList(
            UNetBlock(*widths, norm_cfg=self.norm_cfg)
            for widths in zip(inputs, (*skips, 0), decoder_channels, strict=True)
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, H_i, W_i), each about half as large as the one before it or as large.

        Earlier maps are resized to that of the block that joins them.

        Returns:
            (N, num_classes, H, W) of 2 ** (blocks + 1) times the size of the last map.
        """
        x, *skips = reversed(self._transform_inputs(inputs))
        for block, skip in zip(self.blocks, (*skips, None), strict=True):
            x = block(x, skip)
        x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        return self.cls_seg(x)
