"""The change detector BIT, as ViTAE-Transformer/RSP names it.

Source: ``BASE_Transformer`` in ``Change Detection/models/networks.py``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys, unite
from .rsp import convert_rsp

_BACKBONE = 'backbone.'
_LAYERS = 'decode_head.{encoder,decoder}.{i}.'

KEYS = (
    Row('backbone.layers.3.*', None, 'fourth stage, whose map the official model does not use'),
    Row('conv_pred.*', 'decode_head.project.*', 'projection of the map'),
    Row('conv_a.*', 'decode_head.token_scores.*', 'spatial attention of the tokens'),
    Row('pos_embedding', 'decode_head.token_position', 'positions of the tokens'),
    Row('classifier.3.*', 'decode_head.conv_seg.*', 'last convolution'),
    Row('classifier.*', 'decode_head.classifier.*', 'convolution and norm before it'),
    Row(
        'transformer_decoder.layers.{i}.0.fn.fn.to_{q,k,v}.weight',
        'transformer_decoder.layers.{i}.0.fn.fn.to_qkv.weight',
        'cross-attention, joined',
        join=lambda parts: torch.cat(tuple(parts)),
    ),
    Row('transformer.layers.*', 'decode_head.encoder.*', 'encoder'),
    Row('transformer_decoder.layers.*', 'decode_head.decoder.*', 'decoder'),
    Row(_LAYERS + '0.fn.norm.*', _LAYERS + 'norm1.*', 'norm of queries and memory'),
    Row(_LAYERS + '0.fn.fn.to_qkv.*', _LAYERS + 'attn.qkv.*', 'attention'),
    Row(_LAYERS + '0.fn.fn.to_out.0.*', _LAYERS + 'attn.proj.*'),
    Row(_LAYERS + '1.fn.norm.*', _LAYERS + 'norm2.*'),
    Row(_LAYERS + '1.fn.fn.net.0.*', _LAYERS + 'mlp.0.*'),
    Row(_LAYERS + '1.fn.fn.net.3.*', _LAYERS + 'mlp.2.*'),
)


def convert_bit(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return an official BIT, backbone and all, with the keys of ``mmvsa.SiamEncoderDecoder``.

    Parameters that the official model holds without using them are left out. The input stays as it
    is.

    Raises:
        CheckpointError: the file is incomplete or of another model, see :func:`rename_keys`.
    """
    renamed = rename_keys(state_dict, KEYS)
    backbone = {k.removeprefix(_BACKBONE): v for k, v in renamed.items() if k.startswith(_BACKBONE)}
    entries = [(key, key, value) for key, value in renamed.items() if not key.startswith(_BACKBONE)]
    for key, value in convert_rsp(backbone).items():
        entries.append((_BACKBONE + key, _BACKBONE + key, value))
    return unite(entries)


FAMILY = Family(
    'bit',
    recognized_by=('conv_a.weight', 'conv_pred.weight', 'pos_embedding'),
    convert=convert_bit,
    files=(
        PublishedFiles(
            '[RSP](https://github.com/ViTAE-Transformer/RSP): BIT on ViTAEv2-S, files that hold '
            'the whole model',
            'transformer_decoder.layers.0.0.fn.*',
            '`bit_vitaev2-s`',
            'what the official model does not use: the fourth stage, norms, position tables',
        ),
    ),
    tables={'BIT (the backbone as RSP)': KEYS},
)
