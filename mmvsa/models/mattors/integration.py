"""Integration modules, unpooling and fusion of P3M-Net (arXiv 2104.14222, 2203.16828)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def unpool(x: Tensor, indices: Tensor) -> Tensor:
    """Undo a 2x2 max pooling: each value goes to its index, zeros elsewhere.

    A scatter, where ``F.max_unpool2d`` has no deterministic mode and no bfloat16 on a CPU.

    Args:
        x: (B, C, H, W).
        indices: Of the same shape, into 2H * 2W.

    Returns:
        (B, C, 2H, 2W).
    """
    batch, channels, height, width = x.shape
    out = x.new_zeros(batch, channels, 4 * height * width)
    out = out.scatter(2, indices.flatten(2), x.flatten(2))
    return out.view(batch, channels, 2 * height, 2 * width)


def upsample(x: Tensor, factor: int) -> Tensor:
    """Enlarge (B, C, H, W) bilinearly, corners not aligned."""
    return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)


def fuse(glance: Tensor, focus: Tensor) -> Tensor:
    """Return 0 and 1 where the glance says background and foreground, else the focus alpha.

    Args:
        glance: Logits (B, 3, H, W) of background, transition and foreground.
        focus: Alpha (B, 1, H, W).
    """
    classes = glance.argmax(1, keepdim=True)
    return torch.where(classes == 1, focus, (classes == 2).to(focus.dtype))


def _conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)


class TripartiteIntegration(nn.Module):
    """TFI: the maps of glance decoder, focus decoder and encoder become one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform = _conv(channels, channels // 2, 1)
        self.conv = _conv(channels // 2 * 3, channels, 3)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, glance: Tensor, focus: Tensor, encoder: Tensor) -> Tensor:
        """Three (B, C, H, W) -> (B, C, H, W)."""
        parts = [self.transform(part) for part in (glance, focus, encoder)]
        return F.relu(self.norm(self.conv(torch.cat(parts, 1))))


class _BipartiteIntegration(nn.Module):
    """BFI: add to a map of the decoder what one of the encoder says.

    Args:
        channels: Of the decoder's map.
        encoder_channels: Of the encoder's map.
        stride: Of the decoder's map.
    """

    def __init__(self, channels: int, encoder_channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.transform = _conv(channels, channels // 2, 1)
        self.transform_encoder = _conv(encoder_channels, channels // 2, 1)
        self.conv = _conv(channels // 2 * 2, channels, 3)
        self.norm = nn.BatchNorm2d(channels)

    def integrate(self, x: Tensor, encoder: Tensor) -> Tensor:
        """(B, C, H, W) and transformed (B, C / 2, H, W) -> (B, C, H, W)."""
        parts = torch.cat((self.transform(x), encoder), 1)
        return F.relu(self.norm(self.conv(parts))) + x


class ShallowIntegration(_BipartiteIntegration):
    """sBFI: details, from the encoder's first map."""

    def forward(self, x: Tensor, shallow: Tensor) -> Tensor:
        """(B, C, H, W) and (B, L, stride * H, stride * W) -> (B, C, H, W)."""
        shallow = F.max_pool2d(shallow, 2, self.stride)  # a window of 2 x 2 at every stride
        return self.integrate(x, self.transform_encoder(shallow))


class DeepIntegration(_BipartiteIntegration):
    """dBFI: the scene, from the encoder's last map, of stride 32; with a side output."""

    def __init__(self, channels: int, encoder_channels: int, *, stride: int) -> None:
        super().__init__(channels, encoder_channels, stride=stride)
        self.side = _conv(channels, 3, 3)

    def forward(self, x: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, C, H, W) and the logits (B, 3, stride * H, stride * W)."""
        deep = upsample(self.transform_encoder(deep), 32 // self.stride)
        out = self.integrate(x, deep)
        return out, upsample(self.side(out), self.stride)
