"""ViTAEv2 and ViTAEv2 with VSA, as ViTAE-Transformer/ViTAE-Transformer and ViTAE-VSA name them."""

from collections.abc import Mapping

from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys
from .tensors import COMPUTED, as_matrix, join_heads

KEYS = (
    Row('layers.{i}.RC.*', 'stages.{i}.reduction.*', 'reduction cell'),
    Row('layers.{i}.NC.*', 'stages.{i}.blocks.*', 'normal cells'),
    Row('*.PRM.*', '*.prm.*', 'pyramid of dilated convolutions'),
    Row('*.PCM.*', '*.pcm.*', 'convolution branch'),
    Row('*.pos.*', '*.pos_conv.*', 'position convolution of VSA'),
    Row(
        '*.attn.{attn,norm1,norm2,mlp}.*',
        '*.{attn,norm1,norm2,mlp}.*',
        'token transformer of reduction cells with window or full attention',
    ),
    Row(
        '*.sampling_{offsets,scales}.2.*',
        '*.transform.regressor.*',
        'joined, head by head',
        join=join_heads(2, 2),
    ),
    Row(
        '*attn.{qkv,proj}.weight',
        '*attn.{qkv,proj}.weight',
        '1x1 convolutions become matrices',
        change=as_matrix,
    ),
    Row('head.{weight,bias}', 'head.fc.{weight,bias}', 'classifier'),
    COMPUTED,
)


def convert_vitaev2(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return an official ViTAEv2 or ViTAEv2-VSA state dict with the names and shapes of mmvsa.

    The input stays as it is. Keys that are not official pass through.

    Raises:
        CheckpointError: the file is incomplete or of another model, see :func:`rename_keys`.
    """
    return rename_keys(state_dict, KEYS)


_VITAE = '[ViTAE-Transformer](https://github.com/ViTAE-Transformer/ViTAE-Transformer)'
_VSA = '[ViTAE-VSA](https://github.com/ViTAE-Transformer/ViTAE-VSA)'

FAMILY = Family(
    'vitaev2',
    recognized_by=('layers.{i}.{RC,NC}.*',),
    convert=convert_vitaev2,
    files=(
        PublishedFiles(
            f'{_VITAE}, {_VSA}: ViTAEv2, with or without VSA, classifiers',
            'layers.0.NC.0.attn.*',
            '`vitaev2-*`',
        ),
        PublishedFiles(
            'the same, detectors and segmentors',
            'backbone.layers.0.NC.0.attn.*',
            'the backbone of `vitaev2-*`',
            'necks and heads, which are of another mmdet or mmseg',
        ),
    ),
    tables={'ViTAEv2': KEYS},
)
