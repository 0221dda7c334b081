"""The Bitemporal Image Transformer (BIT, arXiv 2103.00208)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmvsa.registry import MODELS

from .layers import CROSS_ENTROPY, conv_norm_relu


class TokenAttention(nn.Module):
    """Attend from queries to tokens with heads that may be wider than their share.

    Args:
        dims: channels of queries and tokens.
        num_heads: number of heads.
        head_dims: channels of a head.
    """

    def __init__(self, dims: int, num_heads: int, head_dims: int) -> None:
        super().__init__()
        inner = num_heads * head_dims
        self.num_heads = num_heads
        # The official implementation scales by all channels, not by those of a head.
        self.scale = dims**-0.5
        self.qkv = nn.Linear(dims, 3 * inner, bias=False)
        self.proj = nn.Linear(inner, dims)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x: (N, L, dims); tokens: (N, T, dims). Returns (N, L, dims)."""
        q, k, v = (
            self._split_heads(F.linear(source, weight))
            for source, weight in zip((x, tokens, tokens), self.qkv.weight.chunk(3), strict=True)
        )
        out = F.scaled_dot_product_attention(q, k, v, scale=self.scale)  # (N, heads, L, d)
        return self.proj(out.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class TransformerLayer(nn.Module):
    """Pre-norm attention and MLP, each with a shortcut; one norm serves queries and memory.

    Args:
        dims: channels.
        num_heads: number of heads.
        head_dims: channels of a head.
        mlp_dims: hidden channels of the MLP.
    """

    def __init__(self, dims: int, num_heads: int, head_dims: int, *, mlp_dims: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attn = TokenAttention(dims, num_heads, head_dims)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = nn.Sequential(nn.Linear(dims, mlp_dims), nn.GELU(), nn.Linear(mlp_dims, dims))

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """x: (N, L, dims) attends to memory (N, T, dims), without one to itself."""
        query = self.norm1(x)
        x = x + self.attn(query, query if memory is None else self.norm1(memory))
        return x + self.mlp(self.norm2(x))


@MODELS.register_module()
class BITHead(BaseDecodeHead):
    """Compare two images through a few tokens of each.

    A map of each image is enlarged and projected to ``channels``. Spatial attention reduces it to
    tokens, a transformer encoder relates the tokens of both images, and a decoder writes them back
    into each map. The absolute difference of the maps is enlarged to the size of the images and
    classified. Source: ``models/networks.py`` of ViTAE-Transformer/RSP (``BASE_Transformer``).

    Args:
        in_channels: channels of the map of one image. The input has twice as many, see
            ``policy='concat'`` of :class:`~mmvsa.models.change_detection.FeatureFusionNeck`.
        channels: channels of maps and tokens.
        num_classes: 2, unchanged and changed.
        num_tokens: tokens per image.
        encoder_depth: layers of the encoder.
        decoder_depth: layers of the decoder.
        num_heads: heads of every attention.
        head_dims: channels of a head.
        mlp_ratio: hidden channels of the MLPs, relative to ``channels``.
        upscale: factor of the last, bilinear enlargement. The head enlarges by 4 before it, so
            that a map of stride s needs s / 4.
        in_index: which of the maps to use.
        norm_cfg: norm of the classifier.
        options: those of mmseg's ``BaseDecodeHead``, such as ``loss_decode``.

    Raises:
        ValueError: a count is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 32,
        num_classes: int = 2,
        *,
        num_tokens: int = 4,
        encoder_depth: int = 1,
        decoder_depth: int = 8,
        num_heads: int = 8,
        head_dims: int = 64,
        mlp_ratio: float = 2.0,
        upscale: int = 4,
        in_index: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        _check_positive(num_tokens=num_tokens, num_heads=num_heads, upscale=upscale)
        options = {'loss_decode': CROSS_ENTROPY, 'dropout_ratio': 0.0, **options}
        super().__init__(
            in_channels,
            channels,
            num_classes=num_classes,
            out_channels=num_classes,
            in_index=in_index,
            norm_cfg=norm_cfg or dict(type='BN'),
            init_cfg=init_cfg,
            **options,
        )
        self.num_tokens, self.upscale = num_tokens, upscale
        self.project = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.token_scores = nn.Conv2d(channels, num_tokens, 1, bias=False)
        self.token_position = nn.Parameter(torch.randn(1, 2 * num_tokens, channels))
        layer = dict(num_heads=num_heads, head_dims=head_dims, mlp_dims=int(channels * mlp_ratio))
        self.encoder = nn.ModuleList(
            TransformerLayer(channels, **layer) for _ in range(encoder_depth)
        )
        self.decoder = nn.ModuleList(
            TransformerLayer(channels, **layer) for _ in range(decoder_depth)
        )
        self.classifier = conv_norm_relu(channels, channels, self.norm_cfg)
        self.conv_seg = nn.Conv2d(channels, self.out_channels, 3, padding=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (N, 2 * in_channels, H, W), of which one is used -> logits.

        Returns:
            (N, num_classes, 4 * upscale * H, 4 * upscale * W).
        """
        pair = self._transform_inputs(inputs)
        maps = [self.project(self._enlarge(x)) for x in pair.chunk(2, dim=1)]
        tokens = self.encode_tokens([self.tokenize(x) for x in maps])
        first, second = (self.decode(x, t) for x, t in zip(maps, tokens, strict=True))
        difference = self._enlarge((first - second).abs())
        # align_corners=True here whatever ``align_corners`` says: the weights were trained so.
        difference = F.interpolate(
            difference, scale_factor=self.upscale, mode='bilinear', align_corners=True
        )
        return self.cls_seg(self.classifier(difference))

    @staticmethod
    def _enlarge(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode='nearest')

    def tokenize(self, x: Tensor) -> Tensor:
        """Average a map (N, C, H, W) with one spatial attention per token -> (N, tokens, C)."""
        weights = self.token_scores(x).flatten(2).softmax(dim=-1)  # (N, tokens, H*W)
        return weights @ x.flatten(2).transpose(1, 2)

    def encode_tokens(self, tokens: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Relate the tokens (N, tokens, C) of both images."""
        x = torch.cat(tuple(tokens), dim=1) + self.token_position
        for layer in self.encoder:
            x = layer(x)
        return x.chunk(2, dim=1)

    def decode(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Let every pixel of a map (N, C, H, W) attend to the tokens (N, tokens, C) of its image.

        Returns:
            (N, C, H, W).
        """
        pixels = x.flatten(2).transpose(1, 2)
        for layer in self.decoder:
            pixels = layer(pixels, tokens)
        return pixels.transpose(1, 2).unflatten(2, x.shape[2:])


def _check_positive(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
