"""Key names of P3M-Net (files of ViTAE-Transformer/P3M-Net): pure functions on state dicts.

==========================================  ================================================
official                                    mmvsa
==========================================  ================================================
``encoder.layers.0.RC.proj1.*``             ``backbone.stages.0.reduction.conv1.*``
``encoder.layers.1.RC.{norm,linear}.*``     ``backbone.stages.1.reduction.{norm,linear}.*``
``encoder.layers.1.NC.0.*``                 ``backbone.stages.1.blocks.0.*``
``encoder.layers.1.NC.0.PCM.*``             ``backbone.stages.1.blocks.0.pcm.*``
``decoder.decoder{4..0}_g.*``               ``decode_head.glance.{0..4}.*``
``decoder.decoder{4..0}_l.*``               ``decode_head.focus.{0..4}.*``
``decoder.decoder_final_{g,l}.*``           ``decode_head.{glance,focus}_logits.*``
``decoder.tfi_{3..0}.*``                    ``decode_head.tfi.{0..3}.*``
``decoder.{sbfi,dbfi}_{2..0}.*``            ``decode_head.{sbfi,dbfi}.{0..2}.*``
``*.transform1.*``, ``*.transform2.*``      ``*.transform.*``, ``*.transform_{shallow,deep}.*``
``*.conv1.*``, ``*.bn1.*``, ``*.conv2.*``   ``*.conv.*``, ``*.norm.*``, ``*.side.*``
==========================================  ================================================

A file of the encoder alone lacks ``encoder.``, and its keys get no ``backbone.``. The official
forward pass uses neither ``encoder.head`` nor ``attn.norm1``; both are left out.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_UNUSED = re.compile(r'^(encoder\.)?(head\.|layers\.\d+\.NC\.\d+\.attn\.norm1\.)')
_DECODERS = {'g': 'glance', 'l': 'focus'}


def is_p3m(state_dict: Mapping[str, Any]) -> bool:
    """Return whether the keys are those of the official P3M-Net or its encoder."""
    return any(re.match(r'(encoder\.)?layers\.\d+\.RC\.(proj1|linear)\.', k) for k in state_dict)


def convert_p3m(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an official state dict, of the network or of the encoder, with the names of mmvsa."""
    return {_rename(k): value for k, value in state_dict.items() if not _UNUSED.match(k)}


def _rename(key: str) -> str:
    key = re.sub(r'layers\.(\d+)\.RC\.(proj)?', _reduction, key)
    key = re.sub(r'layers\.(\d+)\.NC\.', r'stages.\1.blocks.', key).replace('.PCM.', '.pcm.')
    key = re.sub(r'^encoder\.', 'backbone.', key)
    return _rename_decoder(key) if key.startswith('decoder.') else key


def _reduction(match: re.Match) -> str:
    return f'stages.{match[1]}.reduction.' + ('conv' if match[2] else '')


def _rename_decoder(key: str) -> str:
    key = re.sub(r'decoder_final_(.)', lambda m: f'{_DECODERS[m[1]]}_logits', key)
    key = re.sub(r'decoder(\d)_(.)', lambda m: f'{_DECODERS[m[2]]}.{4 - int(m[1])}', key)
    key = re.sub(r'tfi_(\d)', lambda m: f'tfi.{3 - int(m[1])}', key)
    key = re.sub(r'([sd]bfi)_(\d)', lambda m: f'{m[1]}.{2 - int(m[2])}', key)
    second = 'transform_shallow' if 'sbfi' in key else 'transform_deep'
    names = {'transform1': 'transform', 'transform2': second}
    names |= {'conv1': 'conv', 'bn1': 'norm', 'conv2': 'side'}
    parts = [names.get(part, part) for part in key.split('.')[1:]]
    return '.'.join(['decode_head', *parts])
