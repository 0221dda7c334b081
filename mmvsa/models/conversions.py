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

ViTAE (2021) is named like ViTAEv2, but for:

=======================================  ==============================================
``layers.0.RC.attn.{kqv,proj}.*``        ``stages.0.reduction.attn.{kqv,proj}.*``
``layers.0.RC.attn.w``                   ``stages.0.reduction.attn.directions``
``layers.0.RC.attn.mlp.{0,2}.*``         ``stages.0.reduction.mlp.{fc1,fc2}.*``
``layers.0.RC.PRM.proj.*``               ``stages.0.reduction.projection.*``
``layers.2.NC.*`` of Base, Large, Huge   ``stages.0.blocks.*``
``layers.0.RC.{cls_token,pos_embed}``    ``cls_token``, ``pos_embed``
=======================================  ==============================================

Swin-VSA and QFormer (files of ViTAE-Transformer/QFormer), and Swin itself as its authors, timm
and mmpretrain name it:

=======================================  ==============================================
theirs                                   mmvsa's
=======================================  ==============================================
``patch_embed.proj.*``                   ``patch_embed.projection.*``
``layers.0.blocks.1.pos.*``              ``stages.0.blocks.1.pos_conv.*``
``*.attn.transform.2.*``                 ``*.attn.transform.regressor.*``
``*.attn.rel_pos_h``                     ``*.attn.position.rel_pos_h``
``*.attn.w_msa.*``  (mmpretrain)         ``*.attn.*``
``*.ffn.layers.{0.0,1}.*`` (mmpretrain)  ``*.mlp.{fc1,fc2}.*``
``layers.0.downsample.*``                ``stages.0.downsample.*``  (in another channel order)
``layers.1.downsample.*``  (timm)        ``stages.0.downsample.*``  (in another channel order)
``norm.*``                               ``norm3.*``  (of the last stage)
=======================================  ==============================================

RVSA (files of Remote-Sensing-RVSA), and plain ViTs (MAE, timm) to start from:

=======================================  ==============================================
``patch_embed.proj.*``                   ``patch_embed.projection.*``
``pos_embed``                            ``pos_embed``  (without the class token's)
``*.sampling_{offsets,scales,angles}``   ``*.transform.regressor``  (joined)
``*.sampling_offsets_k``, ``_v`` ...     ``*.transform.regressor``  (joined; heads of k first)
``blocks.0.attn.rel_pos_h``              ``blocks.0.attn.position.rel_pos_h``
``*.attn.q_bias``, ``*.attn.v_bias``     ``*.attn.qkv.bias``  (that of k is 0)
``blocks.0.PCM.*``                       ``blocks.0.pcm.*``  (1x1 kernels become 3x3)
``fpn1.{0,3}``, ``fpn1.1.ln``, ``fpn2``  ``pyramid.up4.{0,3}``, ``pyramid.up4.1``, ``pyramid.up2``
=======================================  ==============================================
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .p3m_conversion import convert_p3m, is_p3m

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
            value = _join_heads((value, scales), (2, 2))
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


def _join_heads(values: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    """Head-major (n * heads, ...) of several n -> (sum of n * heads, ...), head-major."""
    by_head = [
        (value.flatten(1) if value.dim() > 1 else value).unflatten(0, (-1, count))
        for value, count in zip(values, counts, strict=True)
    ]
    return torch.cat(by_head, 1).flatten(0, 1)


def is_authors_vitae(state_dict: Mapping[str, Any]) -> bool:
    """True for keys of the authors' ViTAE of 2021."""
    return any(re.match(r'layers\.\d+\.RC\.(attn\.kqv\.|cls_token$)', key) for key in state_dict)


def convert_vitae(state_dict: Mapping[str, Tensor]) -> StateDict:
    """The authors' ViTAE (2021) state dict with the names used here."""
    converted = {_rename_vitae(key): value for key, value in state_dict.items()}
    if 'cls_token' in converted:
        # Their Base, Large and Huge have two empty stages before the cells.
        converted = {re.sub(r'^stages\.2\.', 'stages.0.', k): v for k, v in converted.items()}
    return converted


def _rename_vitae(key: str) -> str:
    key = re.sub(r'^layers\.0\.RC\.(cls_token|pos_embed)$', r'\1', key)
    key = re.sub(r'RC\.attn\.mlp\.(0|2)\.', lambda m: f'RC.mlp.fc{int(m[1]) // 2 + 1}.', key)
    key = re.sub(r'RC\.attn\.(norm\d)\.', r'RC.\1.', key)
    key = key.replace('RC.attn.w', 'RC.attn.directions').replace('RC.PRM.proj.', 'RC.projection.')
    return _rename_vitaev2(key)


def is_swin(state_dict: Mapping[str, Any]) -> bool:
    """True for keys of the authors' Swin-VSA and QFormer, and of Swin (its authors', timm's)."""
    return any(re.match(r'layers\.\d+\.blocks\.\d+\.attn\.', key) for key in state_dict)


def convert_swin(state_dict: Mapping[str, Tensor]) -> StateDict:
    """A state dict of Swin, Swin-VSA or QFormer with the names and channel order used here.

    Swin has neither regressors nor position convolutions; both start neutral here, so its
    weights give the output of Swin without shifts.
    """
    stages = 1 + max(int(key.split('.')[1]) for key in state_dict if key.startswith('layers.'))
    # timm merges patches at the start of a stage, the others at the end of the one before.
    first = 'layers.0.downsample.reduction.weight' in state_dict
    converted: StateDict = {}
    for key, value in state_dict.items():
        if _DERIVED.search(key):
            continue
        if '.downsample.' in key:
            value = _unfold_order(value)
            if not first:
                key = re.sub(r'\d+', lambda match: str(int(match.group()) - 1), key, count=1)
        elif '.attn.transform.2.' in key:
            key = key.replace('transform.2', 'transform.regressor')
            value = value.flatten(1) if value.dim() > 1 else value
        converted[_rename_swin(key, stages - 1)] = value
    return converted


def _rename_swin(key: str, last_stage: int) -> str:
    key = re.sub(r'^layers\.', 'stages.', key).replace('.pos.', '.pos_conv.')
    key = key.replace('patch_embed.proj.', 'patch_embed.projection.')
    key = key.replace('.attn.rel_pos_', '.attn.position.rel_pos_')
    key = re.sub(r'^norm\.', f'norm{last_stage}.', key)
    return re.sub(r'^head\.(weight|bias)$', r'head.fc.\1', key)


def _unfold_order(value: Tensor) -> Tensor:
    """Last dimension from Swin's (column, row, channel) to unfold's (channel, row, column)."""
    by_pixel = value.unflatten(-1, (2, 2, value.shape[-1] // 4))
    return by_pixel.transpose(-3, -1).flatten(-3)


def is_vit(state_dict: Mapping[str, Any]) -> bool:
    """True for keys of the authors' RVSA, and of plain ViTs (MAE's, timm's)."""
    return 'patch_embed.proj.weight' in state_dict and 'blocks.0.attn.qkv.weight' in state_dict


def convert_vit(state_dict: Mapping[str, Tensor]) -> StateDict:
    """The authors' RVSA, or a plain ViT, with the names and shapes used here.

    What only pretraining needs (the class token, MAE's decoder) is left out. MAE's ViTAE has 1x1
    kernels in its convolution branch.
    """
    converted: StateDict = {}
    for key, value in state_dict.items():
        if _DERIVED.search(key) or _PRETRAINING.match(key) or _JOINED.search(key):
            continue
        if re.search(r'\.attn\.(q_bias|sampling_offsets(_k)?\.2\.(weight|bias))$', key):
            key, value = _join_vit(state_dict, key)
        elif key == 'pos_embed':
            value = _without_class_token(value)
        elif '.PCM.' in key and value.shape[2:] == (1, 1):
            value = F.pad(value, (1, 1, 1, 1))  # the same convolution with a 3x3 kernel
        converted[_rename_vit(key)] = value
    return converted


# Keys that the join with another key takes along, and keys of pretraining.
_JOINED = re.compile(
    r'\.attn\.(v_bias|sampling_(scales|angles)(_k|_v)?\..*|sampling_offsets_v\..*)$'
)
_PRETRAINING = re.compile(r'^(cls_token|mask_token|decoder_)')


def _join_vit(state_dict: Mapping[str, Tensor], key: str) -> tuple[str, Tensor]:
    """Key and tensor made of a key of RVSA and of those that belong to it."""
    value = state_dict[key]
    if key.endswith('.q_bias'):
        value_bias = state_dict[key.replace('q_bias', 'v_bias')]
        joined = torch.cat((value, torch.zeros_like(value), value_bias))
        return key.replace('q_bias', 'qkv.bias'), joined
    separate = 'sampling_offsets_k' in key
    windows = []
    for suffix in ('_k', '_v') if separate else ('',):
        names = (f'sampling_{kind}{suffix}' for kind in ('offsets', 'scales', 'angles'))
        windows.append([state_dict[re.sub(r'sampling_offsets(_k)?', name, key)] for name in names])
    joined = torch.cat([_join_heads(window, (2, 2, 1)) for window in windows])
    return re.sub(r'sampling_offsets(_k)?\.2', 'transform.regressor', key), joined


def _without_class_token(value: Tensor) -> Tensor:
    """Positions (1, 1 + H*W, C) -> (1, H*W, C); without a class token they stay."""
    length = value.shape[1]
    is_map = math.isqrt(length) ** 2 == length
    return value if is_map else value[:, 1:]


def _rename_vit(key: str) -> str:
    key = key.replace('patch_embed.proj.', 'patch_embed.projection.').replace('.PCM.', '.pcm.')
    key = key.replace('.attn.rel_pos_', '.attn.position.rel_pos_')
    key = key.replace('fpn1.1.ln.', 'fpn1.1.')
    key = re.sub(r'^fpn1\.', 'pyramid.up4.', re.sub(r'^fpn2\.0\.', 'pyramid.up2.', key))
    return re.sub(r'^head\.(weight|bias)$', r'head.fc.\1', key)


def is_mmpretrain_swin(state_dict: Mapping[str, Any]) -> bool:
    """True for keys of Swin in mmpretrain, mmdet and mmsegmentation."""
    return any(re.match(r'stages\.\d+\.blocks\.\d+\.attn\.w_msa\.', key) for key in state_dict)


def convert_mmpretrain_swin(state_dict: Mapping[str, Tensor]) -> StateDict:
    """A state dict of mmpretrain's Swin with the names used here."""
    converted: StateDict = {}
    for key, value in state_dict.items():
        if _DERIVED.search(key):
            continue
        key = key.replace('.attn.w_msa.', '.attn.')
        key = key.replace('.ffn.layers.0.0.', '.mlp.fc1.').replace('.ffn.layers.1.', '.mlp.fc2.')
        converted[key] = value
    return converted


# (is the state dict of this kind, its converter); the first that says yes converts.
CONVERTERS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Tensor]], StateDict]], ...
] = (
    (is_p3m, convert_p3m),
    (is_authors_vitae, convert_vitae),
    (is_authors_vitaev2, convert_vitaev2),
    (is_swin, convert_swin),
    (is_mmpretrain_swin, convert_mmpretrain_swin),
    (is_vit, convert_vit),
)


def is_foreign(state_dict: Mapping[str, Any]) -> bool:
    """True if the keys are those of other code that a converter knows."""
    return any(is_kind(state_dict) for is_kind, _ in CONVERTERS)


def adapt_state_dict(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Any known state dict with our names; one with our names already comes back equal."""
    for is_kind, convert in CONVERTERS:
        if is_kind(state_dict):
            return convert(state_dict)
    return dict(state_dict)
