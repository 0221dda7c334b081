"""ViTAE of 2021, as ViTAE-Transformer/ViTAE-Transformer names it."""

from collections.abc import Mapping

from torch import Tensor

from . import vitaev2
from .keys import Family, PublishedFiles, Row, StateDict, rename_keys

# Base, Large and Huge have two empty stages before the cells.
CLASS_TOKEN_KEYS = (Row('layers.{i+2}.NC.*', 'stages.{i}.blocks.*', 'normal cells'),)
KEYS = (
    Row('layers.0.RC.{cls_token,pos_embed}', '{cls_token,pos_embed}', 'of Base, Large and Huge'),
    Row('layers.{i}.RC.attn.w', 'layers.{i}.RC.attn.directions', 'random features of Performer'),
    Row('layers.{i}.RC.attn.mlp.{0,2}.*', 'layers.{i}.RC.attn.mlp.{fc1,fc2}.*'),
    Row('layers.{i}.RC.PRM.proj.*', 'layers.{i}.RC.projection.*', 'patch embedding'),
)


def convert_vitae(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return an official ViTAE (2021) state dict with the names of mmvsa.

    Raises:
        CheckpointError: the file is of another model, see :func:`rename_keys`.
    """
    has_class_token = any(key.endswith('RC.cls_token') for key in state_dict)
    first = CLASS_TOKEN_KEYS if has_class_token else ()
    return rename_keys(state_dict, (*first, *KEYS, *vitaev2.KEYS))


FAMILY = Family(
    'vitae',
    recognized_by=('layers.{i}.RC.{attn.kqv.,cls_token}*',),
    convert=convert_vitae,
    files=(
        PublishedFiles(
            'ViTAE-Transformer: ViTAE Tiny, 6M, 13M, Small', 'layers.0.RC.attn.kqv.*', '`vitae-*`'
        ),
        PublishedFiles(
            'ViTAE-Transformer: ViTAE Base, Large, Huge', 'layers.0.RC.cls_token', '`vitae-*`'
        ),
    ),
    tables={
        'ViTAE, before the rows of ViTAEv2': KEYS,
        'ViTAE Base, Large and Huge, before those': CLASS_TOKEN_KEYS,
    },
)
