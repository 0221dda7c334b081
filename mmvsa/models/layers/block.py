"""The pre-norm block of every backbone."""

from typing import Any

import torch
from mmcv.cnn.bricks import DropPath as _DropPath
from torch import Tensor, nn

from mmvsa.models.checks import check_bool, check_int, check_number, check_rate

from .convolutions import to_nchw, to_nhwc
from .mlp import Mlp


class DropPath(_DropPath):
    """mmcv's, which reads its rate in training only.

    Blocks that differ in nothing but the rate then share what is compiled for inference.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop whole samples of a branch in training."""
        return super().forward(x) if self.training else x


class Block(nn.Module):
    """Attention and MLP with pre-norm shortcuts, and optionally convolutions.

    With x' = x + position_conv(x), where there is one::

        y = shortcut + drop_path(attention(norm1(x'))) + drop_path(convolution(x))
        z = y + drop_path(mlp(norm2(y)))

    The shortcut is x, as in ViTAEv2, or x', as in Swin-VSA and QFormer.

    Args:
        attention: An attention module that keeps the width.
        convolution: A convolution branch, (B, C, H, W) -> (B, C, H, W); tokens before the map,
            such as a class token, do not take part.
        position_kernel: Size of a depthwise position convolution; None has none.
        position_in_shortcut: The shortcut starts after the position convolution.
        mlp_ratio: Hidden channels of the MLP per channel.
        drop: Dropout rate in the MLP.
        drop_path: Drop-path rate of each branch.
        norm_eps: Epsilon of the layer norms.

    Raises:
        ValueError: An argument outside its range.
        TypeError: An argument of the wrong type.
    """

    def __init__(
        self,
        attention: nn.Module,
        *,
        convolution: nn.Module | None = None,
        position_kernel: int | None = None,
        position_in_shortcut: bool = False,
        mlp_ratio: float = 4.0,
        drop: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        in_dims, out_dims = _widths(attention)
        check_number('norm_eps', norm_eps, exclusive=True)
        self.norm1 = nn.LayerNorm(in_dims, eps=norm_eps)
        self.position_in_shortcut = check_bool('position_in_shortcut', position_in_shortcut)
        self.pos_conv: nn.Conv2d | None = None
        if position_kernel is not None:
            self.pos_conv = _position_convolution(in_dims, position_kernel)
        self.attn = attention
        self.drop_path = DropPath(check_rate('drop_path', drop_path))
        self.norm2 = nn.LayerNorm(out_dims, eps=norm_eps)
        hidden = int(out_dims * check_number('mlp_ratio', mlp_ratio, exclusive=True))
        if hidden < 1:
            raise ValueError(f'mlp_ratio={mlp_ratio} leaves no hidden channel of {out_dims}')
        self.mlp = Mlp(out_dims, hidden, drop=drop)
        if not isinstance(convolution, (nn.Module, type(None))):
            raise TypeError(f'convolution must be a module or None, got {convolution!r}')
        self.pcm = convolution

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        moved = self.add_position(x)
        shortcut = moved if self.position_in_shortcut else x
        out = shortcut + self.drop_path(self.attn(self.norm1(moved)))
        if self.pcm is not None:
            out = out + self.drop_path(to_nhwc(self.pcm(to_nchw(x))))
        return self.feed_forward(out)

    def add_position(self, x: Tensor) -> Tensor:
        """Add the position convolution to a (B, H, W, C) map, if there is one."""
        return x if self.pos_conv is None else x + to_nhwc(self.pos_conv(to_nchw(x)))

    def feed_forward(self, x: Tensor) -> Tensor:
        """Apply the MLP to (..., C) with its shortcut."""
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TokenBlock(Block):
    """A block of (B, E + H*W, C) tokens, of which the first E, such as a class token, are no map.

    Full attention sees them all. Attention in windows and the convolutions see the map alone:
    the other tokens pass these branches by.
    """

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """Map (B, E + H*W, C) tokens of a map of ``size`` (H, W) to the same shape."""
        extra = x.shape[1] - size[0] * size[1]
        image = x[:, extra:].unflatten(1, size)
        moved = self.add_position(image).flatten(1, 2)
        tokens = moved if not extra else torch.cat((x[:, :extra], moved), 1)
        shortcut = tokens if self.position_in_shortcut else x
        out = shortcut + self.drop_path(self._attend(tokens, extra, size))
        if self.pcm is not None:
            convolved = self.drop_path(to_nhwc(self.pcm(to_nchw(image))).flatten(1, 2))
            out = torch.cat((out[:, :extra], out[:, extra:] + convolved), 1)
        return self.feed_forward(out)

    def _attend(self, tokens: Tensor, extra: int, size: tuple[int, int]) -> Tensor:
        normed = self.norm1(tokens)
        if not extra:
            return self.attn(normed.unflatten(1, size)).flatten(1, 2)
        if not hasattr(self.attn, 'window_size'):
            return self.attn(normed.unsqueeze(1)).squeeze(1)
        attended = self.attn(normed[:, extra:].unflatten(1, size)).flatten(1, 2)
        return torch.cat((torch.zeros_like(tokens[:, :extra]), attended), 1)


def _widths(attention: Any) -> tuple[int, int]:
    try:
        return attention.embed_dims, attention.out_dims
    except AttributeError as error:
        raise TypeError(
            f'attention must be a module with embed_dims and out_dims, got {attention!r}'
        ) from error


def _position_convolution(dims: int, kernel: int) -> nn.Conv2d:
    check_int('position_kernel', kernel)
    if kernel % 2 == 0:
        raise ValueError(f'position_kernel must be odd, got {kernel}')
    return nn.Conv2d(dims, dims, kernel, padding=kernel // 2, groups=dims)
