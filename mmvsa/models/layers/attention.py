"""Attention of every backbone: inside windows (fixed or varied) and over the whole map."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.ops.backends import AUTO, Backend, check_backend_name, choose_backend

from .linear import linear
from .recompute import Repeating, recompute
from .window_transforms import WindowTransform, build_window_transform
from .windows import (
    PADDINGS,
    WindowGeometry,
    relative_position_index,
    window_merge,
    window_partition,
)

# Keys up to which training on a CPU writes the scores down, see `attend`.
PLAIN_ATTENTION_KEYS = 256


def attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float, dropout: float
) -> Tensor:
    """softmax(q k^T * scale + bias) v for (B, heads, N, d) tensors.

    Args:
        bias: (1, heads, N, N) or (B, heads, N, N), or None.
        dropout: of the attention weights; 0 where none is wanted.
    """
    if bias is not None:
        bias = bias.to(q.dtype)
        trained = bias.requires_grad and q.device.type == 'cpu'
        if trained and k.shape[-2] <= PLAIN_ATTENTION_KEYS:
            return _attend_plainly(q, k, v, bias, scale, dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, scale=scale)


def _attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float, dropout: float
) -> Tensor:
    """As two batched products: torch's CPU kernel has no gradient of a bias, this is faster than
    what it does instead."""
    batch = q.shape[:2]
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))  # (B*heads, N, d)
    bias = bias.expand(*batch, -1, -1).flatten(0, 1)
    weights = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale).softmax(-1)
    if dropout:
        weights = F.dropout(weights, dropout)
    return torch.bmm(weights, v).unflatten(0, batch)


class DecomposedPosition(nn.Module):
    """Relative position as a height and a width term, each a product with the queries.

    bias(query, key) = q . rel_pos_h[rows apart] + q . rel_pos_w[columns apart] (MViTv2, arXiv
    2112.01526). On a map of another size than ``size`` the embeddings are interpolated.

    Args:
        size: (H, W) of the window or map.
        head_dims: channels d of a head.
    """

    def __init__(self, size: tuple[int, int], head_dims: int) -> None:
        super().__init__()
        height, width = size
        tables = (torch.zeros(2 * length - 1, head_dims) for length in (height, width))
        self.rel_pos_h, self.rel_pos_w = (
            nn.Parameter(nn.init.trunc_normal_(table, std=0.02)) for table in tables
        )

    def forward(self, q: Tensor, size: tuple[int, int]) -> Tensor:
        """q (B, heads, H*W, d) -> bias (B, heads, H*W, H*W)."""
        height, width = size
        by_row = _by_distance(self.rel_pos_h, height).to(q.dtype)  # H, H, d
        by_column = _by_distance(self.rel_pos_w, width).to(q.dtype)  # W, W, d
        q = q.unflatten(2, size)
        rows = torch.einsum('bnhwd,hkd->bnhwk', q, by_row)
        columns = torch.einsum('bnhwd,wkd->bnhwk', q, by_column)
        return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(4).flatten(2, 3)


def _by_distance(table: Tensor, length: int) -> Tensor:
    """(2 n - 1, d) -> (length, length, d), the row of ``query - key``."""
    if table.shape[0] != 2 * length - 1:
        line = table.T.unsqueeze(0).float()
        line = F.interpolate(line, size=2 * length - 1, mode='linear', align_corners=True)
        table = line[0].T.to(table.dtype)
    position = torch.arange(length, device=table.device)
    return table[position[:, None] - position + length - 1]


class _Attention(Repeating):
    """Projections that every attention has.

    ``qkv`` has the rows of Swin and of the authors: all heads of q, then of k, then of v.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        out_dims: int | None,
        qkv_bias: bool,
        qk_scale: float | None,
        attn_drop: float,
        proj_drop: float,
    ) -> None:
        super().__init__()
        out_dims = out_dims or embed_dims
        if num_heads < 1 or out_dims % num_heads:
            raise ValueError(
                f'num_heads={num_heads} does not divide the width {out_dims}; '
                'choose heads that divide it'
            )
        self.embed_dims, self.out_dims, self.num_heads = embed_dims, out_dims, num_heads
        self.head_dims = out_dims // num_heads
        self.scale = self.head_dims**-0.5 if qk_scale is None else qk_scale
        self.qkv = linear(embed_dims, 3 * out_dims, bias=qkv_bias)
        self.attn_drop = attn_drop
        self.proj = linear(out_dims, out_dims)
        self.proj_drop = nn.Dropout(proj_drop)

    @property
    def _dropout(self) -> float:
        return self.attn_drop if self.training else 0.0


class WindowedAttention(_Attention):
    """Multi-head attention inside windows whose keys and values come from varied windows.

    Queries stay in their window; keys and values are sampled bilinearly at the points that the
    window transform gives, and what lies outside the map reads zero. A static transform needs
    no sampling: keys and values are the window's own.

    Args:
        embed_dims: input channels C.
        num_heads: attention heads.
        window_size: ``ws``, in pixels.
        out_dims: output channels; C by default.
        transform: config of a registered window transform; None is the fixed window.
        qkv_bias: bias of the projections of q, k and v.
        qk_scale: factor of q k^T, ``head_dims ** -0.5`` by default.
        attn_drop: dropout of the attention weights.
        proj_drop: dropout of the output.
        relative_position: add a learned relative position bias (Swin's).
        decomposed_position: add :class:`DecomposedPosition`, of the unscaled queries.
        separate_windows: regress one window for keys and another for values (the "kvdiff" of
            RVSA); the transform then has twice the heads, those of the keys first.
        padding: where a map that is no multiple of ``ws`` is padded: ``'end'`` or ``'center'``.
        padding_token: ``'zero'``: padded keys and values are zero (VSA); ``'projected'``: padded
            pixels are zero and pass the projection, so keys and values are its bias (ViTAEv2's
            plain window attention). Only a static transform can have the second.
        backend: sampling backend, see :mod:`mmvsa.ops.backends`.

    Raises:
        ValueError: heads that do not divide the width, an unknown option.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int = 7,
        out_dims: int | None = None,
        transform: str | dict | None = 'VariedSizeWindow',
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        relative_position: bool = True,
        padding: str = 'end',
        padding_token: str = 'zero',
        backend: str = AUTO,
        decomposed_position: bool = False,
        separate_windows: bool = False,
    ) -> None:
        super().__init__(embed_dims, num_heads, out_dims, qkv_bias, qk_scale, attn_drop, proj_drop)
        if window_size < 1:
            raise ValueError(f'window_size must be at least 1, got {window_size}')
        if padding not in PADDINGS:
            raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
        self.window_size, self.padding, self.padding_token = window_size, padding, padding_token
        self.backend = check_backend_name(backend)
        self.separate_windows = separate_windows
        windows = 2 * num_heads if separate_windows else num_heads
        self.transform: WindowTransform = build_window_transform(transform, embed_dims, windows)
        self._check_padding_token()
        self.position: DecomposedPosition | None = None
        if decomposed_position:
            self.position = DecomposedPosition((window_size, window_size), self.head_dims)
        self.relative_position_bias_table: nn.Parameter | None = None
        self.relative_position_index: Tensor
        if relative_position:
            table = torch.zeros((2 * window_size - 1) ** 2, num_heads)
            self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
            index = relative_position_index(window_size)
            self.register_buffer('relative_position_index', index, persistent=False)

    def _check_padding_token(self) -> None:
        if self.padding_token not in ('zero', 'projected'):
            raise ValueError(
                f"padding_token must be 'zero' or 'projected', got {self.padding_token!r}"
            )
        if self.padding_token == 'projected' and not self.transform.is_static:
            raise ValueError(
                "padding_token='projected' needs a fixed window: a sampled map is never padded"
            )

    def forward(self, x: Tensor, backend: str | None = None) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims)."""
        geometry = self.geometry(x)
        if self.transform.is_static:
            out = self._fixed(x, geometry)
        else:
            chosen = choose_backend(x.device, backend, self.backend)
            attend_varied = self._fused if chosen.attend else self._sampled
            out = attend_varied(x, geometry, chosen)
        return self.proj_drop(self.proj(out))

    def _attend_windows(
        self,
        geometry: WindowGeometry,
        q: Tensor,
        keys_values: Callable[..., tuple[Tensor, Tensor]],
        *source: Tensor,
    ) -> Tensor:
        """(B, H, W, out_dims) of q (B*nH*nW, heads, ws*ws, d) and the k and v alike that
        ``keys_values(*source)`` gives.

        On a CPU training keeps q and the source alone: to sample and to weigh again takes 2% of a
        step, and the weights and samples are a sixth of its memory. A GPU's attention kernels
        keep no weights; there it is not measured.
        """

        def attention(q: Tensor, *source: Tensor) -> Tensor:
            k, v = keys_values(*source)
            return attend(q, k, v, self._bias(q), self.scale, self._dropout)

        if q.device.type == 'cpu':
            random, keep = self._dropout > 0, self.keep_activations
            out = recompute(attention, q, *source, random=random, keep=keep)
        else:
            out = attention(q, *source)
        return geometry.crop(window_merge(out, self.window_size, geometry.grid))

    def geometry(self, x: Tensor) -> WindowGeometry:
        """Windows of a (B, H, W, C) map."""
        return WindowGeometry.of((x.shape[1], x.shape[2]), self.window_size, self.padding)

    def relative_position_bias(self) -> Tensor | None:
        """(1, heads, ws*ws, ws*ws), or None without a table."""
        table = self.relative_position_bias_table
        if table is None:
            return None
        return table[self.relative_position_index].permute(2, 0, 1).unsqueeze(0)

    def _bias(self, q: Tensor) -> Tensor | None:
        """Bias of the scores of q (B*nH*nW, heads, ws*ws, d), or None."""
        bias = self.relative_position_bias()
        if self.position is None:
            return bias
        decomposed = self.position(q, (self.window_size, self.window_size))
        return decomposed if bias is None else decomposed + bias

    def window_points(self, x: Tensor) -> Tensor:
        """Sampling points of a map, (B, heads, nH, nW, ws*ws, 2), (x, y) in its pixels."""
        geometry = self.geometry(x)
        points = self.transform.points(self.transform.predict(x, geometry), geometry)
        return points.permute(0, 3, 1, 2, 4, 5)

    def _fixed(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims) with keys and values of the windows themselves."""
        if self.padding_token == 'projected':
            qkv = self.qkv(geometry.pad(x))
        else:
            qkv = geometry.pad(self.qkv(x))
        q, k, v = window_partition(qkv.unflatten(-1, (3, -1)), self.window_size, self.num_heads)
        return self._attend_windows(geometry, q, lambda k, v: (k, v), k, v)

    def _fused(self, x: Tensor, geometry: WindowGeometry, chosen: Backend) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims) by a backend that samples inside attention."""
        assert chosen.attend is not None
        self._check_fused(chosen)
        q, kv = self._project(x)
        points = self.transform.points(self.transform.predict(x, geometry), geometry)
        bias = self.relative_position_bias()
        out = chosen.attend(
            q.unflatten(-1, (self.num_heads, self.head_dims)),
            kv,
            points,
            None if bias is None else bias[0],
            self.scale,
            self.window_size,
            geometry.top,
            geometry.left,
        )
        return out.flatten(-2)

    def _check_fused(self, backend: Backend) -> None:
        """Raise ValueError for what only separate sampling and attention can do."""
        problems = {
            'dropout of the attention weights (attn_drop)': self._dropout > 0,
            'decomposed_position': self.position is not None,
            'separate_windows': self.separate_windows,
        }
        found = [problem for problem, present in problems.items() if present]
        if found:
            raise ValueError(f'backend {backend.name!r} has no {", ".join(found)}')

    def _sampled(self, x: Tensor, geometry: WindowGeometry, chosen: Backend) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims) by sampling, then attention."""
        q, kv = self._project(x)
        points = self.transform.points(self.transform.predict(x, geometry), geometry)
        q = window_partition(geometry.pad(q), self.window_size, self.num_heads)
        sample = functools.partial(self._sample, chosen)
        return self._attend_windows(geometry, q, sample, kv, points)

    def _sample(self, chosen: Backend, kv: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """k and v, each (B*nH*nW, heads, ws*ws, d)."""
        samples = chosen.sample(kv, points).flatten(0, 2)
        if self.separate_windows:
            k, v = samples.chunk(2, 1)
        else:
            k, v = samples.split(self.head_dims, -1)
        return k, v

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) -> q (B, H, W, heads*d) and kv (B, H, W, heads, 2d).

        The rows of the weight are reordered, not its product: k and v of a head lie side by side
        without a copy of the map. With separate windows kv is (B, H, W, 2*heads, d): heads of k,
        then of v.
        """
        split = (self.out_dims, 2 * self.out_dims)
        weight_q, weight_kv = self.qkv.weight.split(split)
        bias_q, bias_kv = (None, None) if self.qkv.bias is None else self.qkv.bias.split(split)
        bias_kv = None if bias_kv is None else self._heads_first(bias_kv)
        kv = F.linear(x, self._heads_first(weight_kv), bias_kv)
        q = F.linear(x, weight_q, bias_q)
        width = self.head_dims if self.separate_windows else 2 * self.head_dims
        return q, kv.unflatten(-1, (-1, width))

    def _heads_first(self, rows: Tensor) -> Tensor:
        """Rows ordered (k/v, heads, d) -> (heads, k/v, d), as they are for separate windows."""
        if self.separate_windows:
            return rows
        by_head = rows.unflatten(0, (2, self.num_heads, self.head_dims)).transpose(0, 1)
        return by_head.flatten(0, 2)

    def extra_repr(self) -> str:
        return f'window_size={self.window_size}, padding={self.padding!r}, heads={self.num_heads}'


class FullAttention(_Attention):
    """Multi-head attention over the whole map.

    Args:
        value_skip: add the values to the output, as the reduction cells of ViTAEv2 do (the
            token transformer of T2T, arXiv 2101.11986).
        position_size: add :class:`DecomposedPosition` for a map of this (H, W), of the scaled
            queries (RVSA); maps of another size get interpolated embeddings.

    The other arguments are those of :class:`WindowedAttention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        out_dims: int | None = None,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        value_skip: bool = False,
        position_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(embed_dims, num_heads, out_dims, qkv_bias, qk_scale, attn_drop, proj_drop)
        self.value_skip = value_skip
        self.position: DecomposedPosition | None = None
        if position_size is not None:
            self.position = DecomposedPosition(position_size, self.head_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, out_dims)."""
        batch, height, width, _ = x.shape
        qkv = self.qkv(x).view(batch, height * width, 3, self.num_heads, self.head_dims)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, HW, d)
        bias = self.position(q * self.scale, (height, width)) if self.position else None
        out = attend(q, k, v, bias, self.scale, self._dropout)
        out = self.proj_drop(self.proj(self._merge(out, height, width)))
        return out + self._merge(v, height, width) if self.value_skip else out

    @staticmethod
    def _merge(x: Tensor, height: int, width: int) -> Tensor:
        """(B, heads, HW, d) -> (B, H, W, heads*d)."""
        return x.transpose(1, 2).flatten(2).unflatten(1, (height, width))
