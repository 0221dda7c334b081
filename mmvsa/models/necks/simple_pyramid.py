"""Four levels from the maps of a plain transformer (ViTDet, arXiv 2203.16527)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvsa.models.checks import check_int
from mmvsa.models.layers import to_nchw, to_nhwc
from mmvsa.registry import MODELS


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of an NCHW map."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W)."""
        return to_nchw(super().forward(to_nhwc(x)))


@MODELS.register_module()
class SimplePyramid(BaseModule):
    """Maps of 4, 2, 1 and 1/2 times the size of one map, or each from a map of its own.

    Args:
        in_channels: Channels C of every map, kept at every level.
        init_cfg: MMEngine's.
    """

    def __init__(self, in_channels: int, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        dims = check_int('in_channels', in_channels)
        self.up4 = nn.Sequential(
            nn.ConvTranspose2d(dims, dims, 2, stride=2),
            ChannelNorm(dims, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(dims, dims, 2, stride=2),
        )
        self.up2 = nn.ConvTranspose2d(dims, dims, 2, stride=2)
        # An odd map is halved upwards: a map of one pixel stays one.
        self.down2 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.out_channels = (dims,) * 4

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Make four levels, largest first.

        maps: One (B, C, H, W) map, or one for each level.

        Raises:
            ValueError: Another number of maps.
        """
        if len(maps) not in (1, 4):
            raise ValueError(f'SimplePyramid takes one map or four, got {len(maps)}')
        first, second, third, fourth = maps if len(maps) == 4 else [maps[0]] * 4
        return self.up4(first), self.up2(second), third, self.down2(fourth)
