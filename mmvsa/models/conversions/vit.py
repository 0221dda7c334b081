"""RVSA, as ViTAE-Transformer/Remote-Sensing-RVSA names it, and plain ViTs of MAE and timm."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys
from .tensors import COMPUTED, join_heads


def without_class_token(value: Tensor) -> Tensor:
    """Return positions (1, 1 + H*W, C) as (1, H*W, C); without a class token they stay."""
    is_map = math.isqrt(value.shape[1]) ** 2 == value.shape[1]
    return value if is_map else value[:, 1:]


def add_class_position(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a state dict whose class token has its position added, as the model adds it.

    MAE's is zero, that of a ViT that was trained with labels is not.
    """
    token, position = state_dict.get('cls_token'), state_dict.get('pos_embed')
    if token is None or position is None or token.shape != position[:, :1].shape:
        return state_dict
    if without_class_token(position) is position:
        return state_dict
    return {**state_dict, 'cls_token': token + position[:, :1]}


def join_biases(values: Sequence[Tensor]) -> Tensor:
    """Return the bias of q, k and v from those of q and v; that of k is zero."""
    query, value = values
    return torch.cat((query, torch.zeros_like(query), value))


def join_separate_windows(values: Sequence[Tensor]) -> Tensor:
    """Join offsets, scales and angles of the windows of k, then of those of v."""
    join = join_heads(2, 2, 1)
    return torch.cat((join(values[:3]), join(values[3:])))


KEYS = (
    Row('mask_token', None, 'of pretraining'),
    Row('decoder_*', None, 'of pretraining'),
    Row(
        'pos_embed',
        'pos_embed',
        "without the class token's, which is added to that token",
        change=without_class_token,
    ),
    Row('patch_embed.proj.*', 'patch_embed.projection.*'),
    Row(
        '*.attn.sampling_{offsets,scales,angles}.2.*',
        '*.attn.transform.regressor.*',
        'joined, head by head',
        join=join_heads(2, 2, 1),
    ),
    Row(
        '*.attn.sampling_{offsets_k,scales_k,angles_k,offsets_v,scales_v,angles_v}.2.*',
        '*.attn.transform.regressor.*',
        'joined; the heads of k first',
        join=join_separate_windows,
    ),
    Row('*.attn.rel_pos_{h,w}', '*.attn.position.rel_pos_{h,w}', 'decomposed relative position'),
    Row('*.attn.{q_bias,v_bias}', '*.attn.qkv.bias', 'joined; zero for k', join=join_biases),
    Row('*.PCM.*', '*.pcm.*', 'convolution branch'),
    Row('fpn1.1.ln.*', 'pyramid.up4.1.*'),
    Row('fpn1.*', 'pyramid.up4.*'),
    Row('fpn2.0.*', 'pyramid.up2.*'),
    Row('head.{weight,bias}', 'head.fc.{weight,bias}', 'classifier'),
    COMPUTED,
)


def convert_vit(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return a state dict of RVSA, or of a plain ViT, with the names and shapes of mmvsa.

    MAE's decoder is left out.

    Raises:
        CheckpointError: the file is incomplete or of another model, see :func:`rename_keys`.
    """
    return rename_keys(add_class_position(state_dict), KEYS)


_RVSA = '[Remote-Sensing-RVSA](https://github.com/ViTAE-Transformer/Remote-Sensing-RVSA)'

FAMILY = Family(
    'vit',
    recognized_by=('patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'),
    convert=convert_vit,
    files=(
        PublishedFiles(
            f'{_RVSA}: MAE on MillionAID, ViT-B and ViTAE-B',
            'blocks.0.attn.qkv.*',
            '`mmvsa.MAEEncoder`; `rvsa-*`, where 1x1 kernels become 3x3 ones',
            'the decoder, and for `rvsa-*` the class token, are left out; there regressors and '
            'relative positions keep their initial values',
        ),
        PublishedFiles(
            'the same, scene classifiers', 'blocks.0.attn.sampling_angles.2.*', '`rvsa-*`'
        ),
        PublishedFiles(
            'the same, "kvdiff"', 'blocks.0.attn.sampling_angles_k.2.*', '`rvsa-*-kvdiff`'
        ),
        PublishedFiles(
            'the same, detectors and segmentors',
            'backbone.fpn1.0.*',
            "the backbone with `out_type='pyramid'`",
            'necks and heads',
        ),
        PublishedFiles(
            'ViT of MAE or timm',
            'patch_embed.proj.*',
            '`mmvsa.MAEEncoder`; `rvsa-*`',
            'as for MillionAID',
        ),
    ),
    tables={'RVSA and plain ViTs': KEYS},
)
