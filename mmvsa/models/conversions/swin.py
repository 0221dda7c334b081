"""Swin, Swin with VSA and QFormer: official names, and those of timm and mmpretrain."""

from collections.abc import Mapping

from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys
from .tensors import COMPUTED, as_matrix


def reorder_merging(value: Tensor) -> Tensor:
    """Return patch merging's last dimension (column, row, channel) as (channel, row, column)."""
    by_pixel = value.unflatten(-1, (2, 2, value.shape[-1] // 4))
    return by_pixel.transpose(-3, -1).flatten(-3)


_MERGING = 'patch merging, channels in another order'
# timm merges patches at the start of a stage, the official code at the end of the one before.
OFFICIAL_MERGING = (
    Row('layers.{i}.downsample.*', 'stages.{i}.downsample.*', _MERGING, change=reorder_merging),
)
TIMM_MERGING = (
    Row('layers.{i+1}.downsample.*', 'stages.{i}.downsample.*', _MERGING, change=reorder_merging),
)
KEYS = (
    Row('layers.*', 'stages.*'),
    Row('patch_embed.proj.*', 'patch_embed.projection.*'),
    Row('*.pos.*', '*.pos_conv.*', 'position convolution'),
    Row(
        '*.attn.transform.2.*', '*.attn.transform.regressor.*', 'window regressor', change=as_matrix
    ),
    Row('*.attn.rel_pos_{h,w}', '*.attn.position.rel_pos_{h,w}', 'decomposed relative position'),
    Row('norm.*', 'norm{last}.*', 'norm of the last stage'),
    Row('head.{weight,bias}', 'head.fc.{weight,bias}', 'classifier'),
    COMPUTED,
)
MMPRETRAIN_KEYS = (
    Row('*.attn.w_msa.*', '*.attn.*'),
    Row('*.ffn.layers.{0.0,1}.*', '*.mlp.{fc1,fc2}.*'),
    COMPUTED,
)


def convert_swin(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return a state dict of Swin, Swin-VSA or QFormer with the names and channel order of mmvsa.

    Swin has neither regressors nor position convolutions; mmvsa initializes both neutrally, so
    that Swin's weights give the output of Swin without shifted windows.

    Raises:
        CheckpointError: the file is of another model, see :func:`rename_keys`.
    """
    stages = {key.split('.')[1] for key in state_dict if key.startswith('layers.')}
    last = max((int(stage) for stage in stages if stage.isdigit()), default=0)
    is_official = 'layers.0.downsample.reduction.weight' in state_dict
    merging = OFFICIAL_MERGING if is_official else TIMM_MERGING
    return rename_keys(state_dict, (*merging, *KEYS), last=last)


def convert_mmpretrain_swin(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return a state dict of mmpretrain's Swin with the names of mmvsa.

    Raises:
        CheckpointError: the file is of another model, see :func:`rename_keys`.
    """
    return rename_keys(state_dict, MMPRETRAIN_KEYS)


FAMILY = Family(
    'swin',
    recognized_by=('layers.{i}.blocks.{j}.attn.*',),
    convert=convert_swin,
    files=(
        PublishedFiles(
            '[QFormer](https://github.com/ViTAE-Transformer/QFormer): Swin with VSA, QFormer',
            'layers.0.blocks.0.attn.transform.2.*',
            '`swin-*-vsa`, `qformer-*`',
        ),
        PublishedFiles(
            '[qformer-hierarchical-detection]'
            '(https://github.com/RogerZhangzz/qformer-hierarchical-detection)',
            'backbone.layers.0.blocks.0.attn.transform.2.*',
            'the backbone of `qformer-*`',
            'necks and heads',
        ),
        PublishedFiles(
            'Swin, official and timm',
            'layers.0.blocks.0.attn.qkv.*',
            '`swin-*-vsa`, `qformer-*`',
            'regressors and position convolutions keep their initial values',
        ),
    ),
    tables={
        'Swin with VSA, QFormer, Swin': (*OFFICIAL_MERGING, *KEYS),
        "timm's Swin, where it differs": TIMM_MERGING,
    },
)
MMPRETRAIN_FAMILY = Family(
    'mmpretrain_swin',
    recognized_by=('stages.{i}.blocks.{j}.attn.w_msa.*',),
    convert=convert_mmpretrain_swin,
    files=(
        PublishedFiles(
            'Swin of mmpretrain, mmdet and mmsegmentation',
            'stages.0.blocks.0.attn.w_msa.*',
            '`swin-*-vsa`, `qformer-*`',
            'the same',
        ),
    ),
    tables={'Swin of mmpretrain, mmdet and mmsegmentation': MMPRETRAIN_KEYS},
)
