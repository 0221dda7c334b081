"""Key names of other code and ours: pure functions on state dicts.

Key names (files of ViTAE-Transformer/ViTAE-VSA and ViTAE-Transformer/ViTAE-Transformer):

=======================================  ==============================================
authors'                                 mmvsa's
=======================================  ==============================================
``layers.0.RC.PRM.convs.1.0.*``          ``stages.0.reduction.prm.convs.1.0.*``
``layers.0.RC.PCM.*``                    ``stages.0.reduction.pcm.*``
``layers.0.RC.attn.attn.*``              ``stages.0.reduction.attn.*``  (window, full)
``layers.0.RC.attn.{norm1,norm2,mlp}``   ``stages.0.reduction.{norm1,norm2,mlp}``
``layers.0.RC.{norm1,pos,attn,...}``     ``stages.0.reduction.{norm1,pos_conv,attn}``  (VSA)
``layers.0.NC.1.*``                      ``stages.0.blocks.1.*``
``*.sampling_offsets.2``, ``_scales.2``  ``*.transform.regressor``  (joined)
``head.*``                               ``head.fc.*``  (classifier)
=======================================  ==============================================
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

StateDict = dict[str, Tensor]

# Buffers of the authors' files that are computed here.
_DERIVED = re.compile(r'(^|\.)(relative_position_index|attn_mask|base_coords|coords)$')


def is_authors_vitaev2(state_dict: Mapping[str, Any]) -> bool:
    """True for keys of the authors' ViTAEv2 and ViTAEv2-VSA."""
    return any(re.match(r'layers\.\d+\.(RC|NC)\.', key) for key in state_dict)


def convert_vitaev2(state_dict: Mapping[str, Tensor]) -> StateDict:
    """The authors' ViTAEv2 or ViTAEv2-VSA state dict with the names and shapes used here.

    A pure function: the input stays as it is. Weights of 1x1 convolutions become those of linear
    layers; the two window regressors become one. Keys that are not the authors' pass through.
    """
    converted: StateDict = {}
    for key, value in state_dict.items():
        if _DERIVED.search(key) or '.sampling_scales.' in key:
            continue
        if '.sampling_offsets.' in key:
            scales = state_dict[key.replace('sampling_offsets', 'sampling_scales')]
            key = key.replace('sampling_offsets.2', 'transform.regressor')
            value = _join_regressors(value, scales)
        if re.search(r'attn\.(qkv|proj)\.weight$', key):
            value = value.flatten(1)
        converted[_rename_vitaev2(key)] = value
    return converted


def _rename_vitaev2(key: str) -> str:
    key = re.sub(r'^layers\.(\d+)\.RC\.', r'stages.\1.reduction.', key)
    key = re.sub(r'^layers\.(\d+)\.NC\.', r'stages.\1.blocks.', key)
    key = re.sub(r'\.attn\.(attn|norm1|norm2|mlp)\.', _flatten_block, key)
    key = key.replace('.PRM.', '.prm.').replace('.PCM.', '.pcm.').replace('.pos.', '.pos_conv.')
    return re.sub(r'^head\.(weight|bias)$', r'head.fc.\1', key)


def _flatten_block(match: re.Match) -> str:
    name = match.group(1)
    return '.attn.' if name == 'attn' else f'.{name}.'


def _join_regressors(offsets: Tensor, scales: Tensor) -> Tensor:
    """Two (2 * heads, ...) of (x, y) -> (4 * heads, ...) of (offset x, y, scale x, y)."""
    pair = (offsets.flatten(1), scales.flatten(1)) if offsets.dim() > 1 else (offsets, scales)
    by_head = [value.unflatten(0, (-1, 2)) for value in pair]
    return torch.cat(by_head, 1).flatten(0, 1)


# (is the state dict of this kind, its converter); the first that says yes converts.
CONVERTERS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Tensor]], StateDict]], ...
] = ((is_authors_vitaev2, convert_vitaev2),)


def is_foreign(state_dict: Mapping[str, Any]) -> bool:
    """True if the keys are those of other code that a converter knows."""
    return any(is_kind(state_dict) for is_kind, _ in CONVERTERS)


def adapt_state_dict(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Any known state dict with our names; one with our names already comes back equal."""
    for is_kind, convert in CONVERTERS:
        if is_kind(state_dict):
            return convert(state_dict)
    return dict(state_dict)
