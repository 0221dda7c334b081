"""What several heads are made of."""

from typing import Any

from mmcv.cnn import build_norm_layer
from torch import nn

# ``torch.nn.CrossEntropyLoss``: the mean over the pixels that are not ignored.
CROSS_ENTROPY = dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True)


def conv_norm_relu(in_channels: int, out_channels: int, norm_cfg: dict[str, Any]) -> nn.Sequential:
    """Build a 3x3 convolution without bias, a norm and a ReLU.

    Not mmcv's ``ConvModule``, which has other key names and initial values than the official code.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        build_norm_layer(norm_cfg, out_channels)[1],
        nn.ReLU(inplace=True),
    )
