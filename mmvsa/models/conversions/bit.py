"""Key names of the official BIT change detector.

Source: ``Change Detection/models/networks.py`` of ViTAE-Transformer/RSP, ``BASE_Transformer``.

=========================================================  =====================================
official                                                   mmvsa
=========================================================  =====================================
``backbone.*``                                             ``backbone.*``  (as for ViTAEv2)
``conv_pred.*``, ``conv_a.*``                              ``decode_head.{project,token_scores}``
``pos_embedding``                                          ``decode_head.token_position``
``transformer.layers.0.0.fn.norm.*``                       ``decode_head.encoder.0.norm1.*``
``transformer.layers.0.0.fn.fn.to_qkv.weight``             ``*.attn.q.weight``, ``*.attn.kv.weight``
``transformer_decoder.layers.0.0.fn.fn.to_q.weight``       ``decode_head.decoder.0.attn.q.weight``
``transformer_decoder.layers.0.0.fn.fn.to_{k,v}.weight``   ``*.attn.kv.weight``  (joined)
``*.0.fn.fn.to_out.0.*``                                   ``*.attn.proj.*``
``*.1.fn.norm.*``, ``*.1.fn.fn.net.{0,3}.*``               ``*.norm2.*``, ``*.mlp.{0,2}.*``
``classifier.{0,1}.*``, ``classifier.3.*``                 ``decode_head.{classifier,conv_seg}``
=========================================================  =====================================
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_BACKBONE = 'backbone.'
_LAYER = re.compile(r'^transformer(_decoder)?\.layers\.(\d+)\.([01])\.fn\.(.+)$')
# What the official backbone holds and never uses: norms of its outputs, position tables of windows
# without relative positions.
_UNUSED = re.compile(r'^(norm\d\.|.*\.relative_position_(bias_table|index)$)')
_NAMES = {
    'pos_embedding': 'token_position',
    'conv_pred.weight': 'project.weight',
    'conv_pred.bias': 'project.bias',
    'conv_a.weight': 'token_scores.weight',
}


def is_official_bit(state_dict: Mapping[str, Any]) -> bool:
    """Return whether the keys are those of the official BIT."""
    return {'conv_a.weight', 'conv_pred.weight', 'pos_embedding'} <= state_dict.keys()


def convert_bit(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert an official BIT, backbone and all, to the keys of ``SiamEncoderDecoder``.

    Parameters that the official model holds without using them are left out. The input stays as it
    is.
    """
    from . import adapt_state_dict

    backbone = {
        key.removeprefix(_BACKBONE): value
        for key, value in state_dict.items()
        if key.startswith(_BACKBONE) and not _UNUSED.match(key.removeprefix(_BACKBONE))
    }
    converted = {_BACKBONE + key: value for key, value in adapt_state_dict(backbone).items()}
    for key, value in state_dict.items():
        if not key.startswith(_BACKBONE):
            converted.update(_convert_head(state_dict, key, value))
    return converted


def _convert_head(state_dict: Mapping[str, Tensor], key: str, value: Tensor) -> dict[str, Tensor]:
    """The entries that one key outside the backbone becomes; none if another key has it already."""
    layer = _LAYER.match(key)
    if layer is None:
        return {f'decode_head.{_rename_head(key)}': value}
    side = 'decoder' if layer[1] else 'encoder'
    prefix = f'decode_head.{side}.{layer[2]}.'
    name = layer[4]
    if name == 'fn.to_v.weight':
        return {}
    if name == 'fn.to_k.weight':
        value = torch.cat((value, state_dict[key.replace('to_k', 'to_v')]))
    if name == 'fn.to_qkv.weight':
        q, k, v = value.chunk(3)
        return {f'{prefix}attn.q.weight': q, f'{prefix}attn.kv.weight': torch.cat((k, v))}
    return {prefix + _rename_layer(name, is_mlp=layer[3] == '1'): value}


def _rename_layer(name: str, *, is_mlp: bool) -> str:
    """Name within a layer: ``norm.*``, ``fn.to_*`` or ``fn.net.*``."""
    if name.startswith('norm.'):
        return name.replace('norm.', 'norm2.' if is_mlp else 'norm1.')
    name = name.replace('fn.to_q.', 'attn.q.').replace('fn.to_k.', 'attn.kv.')
    name = name.replace('fn.to_out.0.', 'attn.proj.')
    return name.replace('fn.net.0.', 'mlp.0.').replace('fn.net.3.', 'mlp.2.')


def _rename_head(key: str) -> str:
    return _NAMES.get(key, key.replace('classifier.3.', 'conv_seg.'))
