"""Attention of every backbone: over the whole map, inside windows, and to sampled windows.

An attention is named in configs by a preset (a key of :data:`PRESETS`) or a dict whose ``type`` is
a preset or a registered class; see :func:`build_attention`.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmvsa.models.checks import (
    check_bool,
    check_choice,
    check_divides,
    check_int,
    check_number,
    check_rate,
)
from mmvsa.ops import (
    AUTO,
    PADDINGS,
    AttentionSpec,
    WindowGeometry,
    attend,
    check_backend,
    select_backend,
    window_merge,
    window_partition,
)
from mmvsa.ops.torch_sampling import sample_torch
from mmvsa.registry import ATTENTIONS
from mmvsa.suggestions import did_you_mean

from .mlp import linear
from .position import DecomposedPosition, relative_position_index
from .window_transforms import WindowTransform, build_window_transform

POSITIONS = ('table', 'decomposed')
PADDING_TOKENS = ('zero', 'projected')

# Name in configs -> what it stands for. Sampled windows differ by their transform.
PRESETS: dict[str, dict[str, Any]] = {
    'full': dict(type='FullAttention'),
    'window': dict(type='WindowAttention'),
    'vsa': dict(type='SampledWindowAttention', transform=dict(type='VariedSizeWindow')),
    'rvsa': dict(type='SampledWindowAttention', transform=dict(type='RotatedVariedSizeWindow')),
    'quadrangle': dict(type='SampledWindowAttention', transform=dict(type='Quadrangle')),
}


class Attention(nn.Module):
    """Base of the attentions: projections and heads.

    ``qkv`` has its rows in Swin's order: all heads of q, then of k, then of v.

    Args:
        embed_dims: Input channels C.
        num_heads: Attention heads.
        out_dims: Output channels; C by default.
        qkv_bias: Add a bias to the projections of q, k and v.
        qk_scale: Factor of q k^T, ``head_dims ** -0.5`` by default.
        attn_drop: Dropout rate of the attention weights.
        proj_drop: Dropout rate of the output.

    Raises:
        ValueError: Heads that do not divide the width, an argument outside its range or choices.
        TypeError: An argument of the wrong type.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        out_dims: int | None = None,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed_dims = check_int('embed_dims', embed_dims)
        self.num_heads = check_int('num_heads', num_heads)
        self.out_dims = embed_dims if out_dims is None else check_int('out_dims', out_dims)
        check_divides('num_heads', num_heads, 'out_dims', self.out_dims)
        self.head_dims = self.out_dims // num_heads
        self.scale = self.head_dims**-0.5
        if qk_scale is not None:
            self.scale = check_number('qk_scale', qk_scale, exclusive=True)
        self.attn_drop = check_rate('attn_drop', attn_drop)
        self.qkv = linear(embed_dims, 3 * self.out_dims, bias=check_bool('qkv_bias', qkv_bias))
        self.proj = linear(self.out_dims, self.out_dims)
        self.proj_drop = nn.Dropout(check_rate('proj_drop', proj_drop))

    def project(self, x: Tensor) -> Tensor:
        """Project (B, H, W, C) to q, k and v, (B, H, W, 3, heads, d)."""
        return self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dims))

    @property
    def dropout(self) -> float:
        """Rate at which attention weights are dropped now."""
        return self.attn_drop if self.training else 0.0


@ATTENTIONS.register_module()
class FullAttention(Attention):
    """Multi-head attention over the whole map.

    Args:
        embed_dims: Input channels C.
        num_heads: Attention heads.
        value_skip: Add the values to the output, as the reduction cells of ViTAEv2 do (the
            token transformer of T2T, arXiv 2101.11986).
        position: ``'decomposed'`` adds :class:`DecomposedPosition`, of the scaled queries (RVSA).
        map_size: (H, W) of the map for which it keeps embeddings; others get interpolated ones.
        options: Those of :class:`Attention`.

    Raises:
        ValueError: As :class:`Attention`; a decomposed position without a map size.
        TypeError: As :class:`Attention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        value_skip: bool = False,
        position: str | None = None,
        map_size: tuple[int, int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, **options)
        self.value_skip = check_bool('value_skip', value_skip)
        check_choice('position', position, ('decomposed', None))
        if (position is None) != (map_size is None):
            raise ValueError(
                f"position='decomposed' and map_size go together, got {position!r} and {map_size}"
            )
        self.position: DecomposedPosition | None = None
        if map_size is not None:
            self.position = DecomposedPosition(map_size, self.head_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, out_dims)."""
        size = (x.shape[1], x.shape[2])
        q, k, v = self.project(x).flatten(1, 2).permute(2, 0, 3, 1, 4)  # each (B, heads, HW, d)
        bias = self.position(q * self.scale, size) if self.position else None
        out = attend(q, k, v, scale=self.scale, bias=bias, dropout=self.dropout)
        out = self.proj_drop(self.proj(self._merge(out, size)))
        return out + self._merge(v, size) if self.value_skip else out

    @staticmethod
    def _merge(x: Tensor, size: tuple[int, int]) -> Tensor:
        """Join heads: (B, heads, HW, d) -> (B, H, W, heads*d)."""
        return x.transpose(1, 2).contiguous().flatten(2).unflatten(1, size)


class WindowedAttention(Attention):
    """Base of the attentions whose queries stay in windows of ``ws x ws`` pixels.

    Args:
        embed_dims: Input channels C.
        num_heads: Attention heads.
        window_size: ``ws``, in pixels.
        position: ``'table'`` adds a learned relative position bias (Swin's), ``'decomposed'`` adds
            :class:`DecomposedPosition` of the unscaled queries; a tuple of both adds both, None
            neither.
        padding: Where a map that is no multiple of ``ws`` is padded: ``'end'`` or ``'center'``.
        options: Those of :class:`Attention`.

    Raises:
        ValueError: As :class:`Attention`.
        TypeError: As :class:`Attention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int = 7,
        *,
        position: str | Sequence[str] | None = 'table',
        padding: str = 'end',
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, **options)
        self.window_size = check_int('window_size', window_size)
        self.padding = check_choice('padding', padding, PADDINGS)
        terms = _check_position(position)
        self.position: DecomposedPosition | None = None
        if 'decomposed' in terms:
            self.position = DecomposedPosition((window_size, window_size), self.head_dims)
        self.relative_position_bias_table: nn.Parameter | None = None
        self.relative_position_index: Tensor
        if 'table' in terms:
            table = torch.zeros((2 * window_size - 1) ** 2, num_heads)
            self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
            index = relative_position_index(window_size)
            self.register_buffer('relative_position_index', index, persistent=False)

    def geometry(self, x: Tensor) -> WindowGeometry:
        """Return the windows of a (B, H, W, C) map."""
        return WindowGeometry.of((x.shape[1], x.shape[2]), self.window_size, self.padding)

    def relative_position_bias(self) -> Tensor | None:
        """Look up the position table: (1, heads, ws*ws, ws*ws), or None without a table."""
        table = self.relative_position_bias_table
        if table is None:
            return None
        return table[self.relative_position_index].permute(2, 0, 1).unsqueeze(0)

    def query_bias(self, q: Tensor) -> Tensor:
        """Return the bias where it depends on the queries.

        q: (B*nH*nW, heads, ws*ws, d). Returns (B*nH*nW, heads, ws*ws, ws*ws).
        """
        assert self.position is not None
        decomposed = self.position(q, (self.window_size, self.window_size))
        bias = self.relative_position_bias()
        return decomposed if bias is None else decomposed + bias

    def extra_repr(self) -> str:
        """Describe the windows for ``print(model)``."""
        return f'heads={self.num_heads}, window_size={self.window_size}, padding={self.padding!r}'


def _check_position(position: str | Sequence[str] | None) -> tuple[str, ...]:
    terms = () if position is None else (position,) if isinstance(position, str) else position
    if not isinstance(terms, Sequence) or len(set(map(str, terms))) != len(terms):
        raise TypeError(f'position must be None, one of {POSITIONS} or both, got {position!r}')
    return tuple(check_choice('position', term, POSITIONS) for term in terms)


@ATTENTIONS.register_module()
class WindowAttention(WindowedAttention):
    """Multi-head attention inside the windows of a partition (W-MSA, arXiv 2103.14030).

    Args:
        embed_dims: Input channels C.
        num_heads: Attention heads.
        window_size: ``ws``, in pixels.
        padding_token: ``'zero'``: padded keys and values are zero; ``'projected'``: padded pixels
            are zero and pass the projection, so keys and values are its bias (ViTAEv2).
        options: Those of :class:`WindowedAttention` and :class:`Attention`.

    Raises:
        ValueError: As :class:`Attention`.
        TypeError: As :class:`Attention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int = 7,
        *,
        padding_token: str = 'zero',
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, window_size, **options)
        self.padding_token = check_choice('padding_token', padding_token, PADDING_TOKENS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, out_dims)."""
        geometry = self.geometry(x)
        if self.padding_token == 'projected':
            qkv = self.project(geometry.pad(x))
        else:
            qkv = geometry.pad(self.project(x))
        q, k, v = window_partition(qkv, self.window_size)
        bias = self.query_bias(q) if self.position else self.relative_position_bias()
        out = attend(q, k, v, scale=self.scale, bias=bias, dropout=self.dropout)
        out = geometry.crop(window_merge(out, self.window_size, geometry.grid))
        return self.proj_drop(self.proj(out))


@ATTENTIONS.register_module()
class SampledWindowAttention(WindowedAttention):
    """Multi-head attention inside windows to keys and values sampled in other windows.

    Queries stay in their window; keys and values are sampled bilinearly at the points that the
    window transform predicts for every head and window. What lies outside the map reads zero.

    Args:
        embed_dims: Input channels C.
        num_heads: Attention heads.
        window_size: ``ws``, in pixels.
        transform: A registered window transform: its name, or a dict with ``type``.
        separate_windows: Predict one window for keys and another for values (the "kvdiff" of
            RVSA); the transform then has twice the heads, those of the keys first.
        backend: ``'auto'`` or a backend's name, see :mod:`mmvsa.ops.backends`.
        options: Those of :class:`WindowedAttention` and :class:`Attention`.

    Raises:
        ValueError: As :class:`Attention`; a backend that cannot do what is asked for.
        TypeError: As :class:`Attention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int = 7,
        *,
        transform: str | dict[str, Any] = 'VariedSizeWindow',
        separate_windows: bool = False,
        backend: str = AUTO,
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, window_size, **options)
        windows = 2 * num_heads if check_bool('separate_windows', separate_windows) else num_heads
        self.transform: WindowTransform = build_window_transform(transform, embed_dims, windows)
        self.spec = AttentionSpec(
            num_heads=num_heads,
            head_dims=self.head_dims,
            window_size=window_size,
            scale=self.scale,
            attn_drop=self.attn_drop,
            decomposed_position=self.position is not None,
            separate_windows=separate_windows,
            homography=self.transform.has_homography,
        )
        self.backend = check_backend(backend, self.spec)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, out_dims)."""
        backend = select_backend(self.backend, x.device, self.spec, x.dtype)
        windows = self.transform(x, self.geometry(x))
        bias = self.query_bias if self.position else self.relative_position_bias()
        out = backend.attend(
            self.project(x), windows, spec=self.spec, bias=bias, training=self.training
        )
        return self.proj_drop(self.proj(out))

    def window_points(self, x: Tensor) -> Tensor:
        """Return the sampling points of a (B, H, W, C) map, (B, heads, nH, nW, ws*ws, 2).

        They are (x, y) in pixels of the map.
        """
        return self.transform(x, self.geometry(x)).points.permute(0, 3, 1, 2, 4, 5)

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return what every query pays to every sampled key of a (B, H, W, C) map.

        (B, heads, nH, nW, ws*ws, ws*ws): queries, then keys. For looking at a model: backends do
        not keep the weights.
        """
        geometry = self.geometry(x)
        q, k, _ = self.project(x).unbind(3)  # each (B, H, W, heads, d)
        q = window_partition(geometry.pad(q), self.window_size)
        # With separate windows, those of the keys come first.
        points = self.transform(x, geometry).points[:, :, :, : self.num_heads]
        k = sample_torch(k, points).flatten(0, 2)  # B*nH*nW, heads, ws*ws, d
        scores = q @ k.transpose(-2, -1) * self.scale
        bias = self.query_bias(q) if self.position else self.relative_position_bias()
        weights = (scores if bias is None else scores + bias).softmax(-1)
        return weights.unflatten(0, (-1, *geometry.grid)).permute(0, 3, 1, 2, 4, 5)


def expand_attention(config: str | dict[str, Any]) -> dict[str, Any]:
    """Return the full config of a preset, a class name, or a dict with one of them as ``type``.

    Options of a dict are merged into those of its preset, ``transform`` key by key.

    Raises:
        ValueError: An unknown name, or an option that the attention does not have.
        TypeError: ``config`` is neither a string nor a dict with ``type``.
    """
    options = dict(type=config) if isinstance(config, str) else config
    if not isinstance(options, dict) or not isinstance(options.get('type'), str):
        raise TypeError(f'attention must be a name or a dict with type, got {config!r}')
    name = options['type'].removeprefix('mmvsa.')
    known = [*PRESETS, *ATTENTIONS.module_dict]
    if name not in known:
        raise ValueError(
            f'unknown attention {name!r}; choose one of {known}{did_you_mean(name, known)}'
        )
    given = {key: value for key, value in options.items() if key != 'type'}
    return merge_attention(PRESETS.get(name, dict(type=name)), given)


def merge_attention(config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Merge options into the full config of an attention, ``transform`` key by key.

    A transform with another ``type`` replaces the one there.

    Raises:
        ValueError: An option that the attention does not have.
    """
    known = attention_options(config)
    for key in options:
        if key not in known:
            raise ValueError(
                f'{config["type"]} has no option {key!r}{did_you_mean(key, known)}; '
                f'it has {sorted(known)}'
            )
    merged = {**config, **options}
    if isinstance(options.get('transform'), str):
        merged['transform'] = dict(type=options['transform'])
    elif 'transform' in options:
        old, new = config.get('transform') or {}, options['transform']
        same = new.get('type', old.get('type')) == old.get('type')
        merged['transform'] = {**old, **new} if same else dict(new)
    return merged


def attention_options(config: dict[str, Any]) -> set[str]:
    """Return the options that users may set for the attention of a full config."""
    options: set[str] = set()
    for cls in ATTENTIONS.get(config['type']).__mro__:
        if issubclass(cls, Attention):
            options.update(inspect.signature(cls.__init__).parameters)
    # The backbone gives these: they follow from its sizes and its own arguments.
    return options - {'self', 'embed_dims', 'num_heads', 'out_dims', 'map_size', 'options'}


def build_attention(
    config: dict[str, Any],
    embed_dims: int,
    num_heads: int,
    *,
    window_size: int,
    map_size: tuple[int, int] | None = None,
    **options: Any,
) -> Attention:
    """Build an attention from its full config, see :func:`expand_attention`.

    Args:
        config: What :func:`expand_attention` returns.
        embed_dims: Input channels.
        num_heads: Attention heads.
        window_size: ``ws`` of the stage, unless the config has its own; full attention has none.
        map_size: (H, W) of the map for which full attention keeps decomposed positions.
        options: Defaults of what the config leaves out, such as ``out_dims``.
    """
    settings = {**options, **config}
    cls = ATTENTIONS.get(settings.pop('type'))
    if issubclass(cls, WindowedAttention):
        settings.setdefault('window_size', window_size)
    elif settings.get('position') == 'decomposed':
        settings['map_size'] = map_size
    return cls(embed_dims, num_heads, **settings)
