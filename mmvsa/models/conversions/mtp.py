"""RVSA pretrained on several tasks, as ViTAE-Transformer/MTP names it.

Source: ``vit_rvsa_mtp.py`` of each application there. The names are those of RVSA but for the
positions of full attention, which the official detectors (``vit_rvsa_mtp_branches.py``) lack.
"""

from collections.abc import Mapping

from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys
from .vit import convert_vit

KEYS = (
    Row('norm.*', None, 'final norm, which the official model never uses'),
    Row(
        '*.attn.full_attn_rel_pos_{h,w}',
        '*.attn.position.rel_pos_{h,w}',
        'decomposed relative position of full attention',
    ),
)


def convert_mtp(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return a state dict of MTP's RVSA with the names and shapes of mmvsa.

    The final norm, which the official model holds without using it, is left out. The input stays
    as it is.

    Raises:
        CheckpointError: the file is incomplete or of another model, see :func:`rename_keys`.
    """
    return convert_vit(rename_keys(state_dict, KEYS))


_MTP = '[MTP](https://github.com/ViTAE-Transformer/MTP)'

FAMILY = Family(
    'mtp',
    recognized_by=('patch_embed.proj.weight', 'blocks.{i}.attn.full_attn_rel_pos_h'),
    convert=convert_mtp,
    files=(
        PublishedFiles(
            f'{_MTP}: ViT-B and ViT-L + RVSA pretrained on SAMRS, scene classifiers',
            'blocks.2.attn.full_attn_rel_pos_h',
            '`rvsa-vit-b` with `backbone=dict(final_norm=False)`, `rvsa-vit-l`',
            'what the official model does not use: the final norm, the pyramid of a classifier',
        ),
        PublishedFiles(
            'the same, segmentors and change detectors',
            'backbone.blocks.2.attn.full_attn_rel_pos_h',
            'the models of their configs',
            'the final norm, the pyramid of a change detector',
        ),
        PublishedFiles('the same, detectors', 'backbone.fpn1.0.*', 'the models of their configs'),
        PublishedFiles(
            'the same, MAE on MillionAID, ViT-L',
            'blocks.0.attn.qkv.*',
            '`mmvsa.MAEEncoder`; `rvsa-vit-l`',
            'as for the MAE of Remote-Sensing-RVSA',
        ),
    ),
    tables={'MTP, before the rows of RVSA': KEYS},
)
