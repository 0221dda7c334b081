"""ViTAEv2 pretrained on remote sensing images, as ViTAE-Transformer/RSP names it.

Source: ``models/ViTAE_Window_NoShift`` of each application there. The names are those of ViTAEv2;
the official module holds more parameters than it uses.
"""

from collections.abc import Mapping

from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys
from .vitaev2 import convert_vitaev2

KEYS = (
    Row('norm{i}.*', None, 'norms of the maps, which the official model never uses'),
    Row(
        '*.relative_position_{bias_table,index}',
        None,
        'position tables, which the official model never uses',
    ),
)


def convert_rsp(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return a state dict of RSP's ViTAEv2 with the names and shapes of mmvsa.

    Parameters that the official model holds without using them are left out. The input stays as it
    is.

    Raises:
        CheckpointError: the file is incomplete or of another model, see :func:`rename_keys`.
    """
    return convert_vitaev2(rename_keys(state_dict, KEYS))


_RSP = '[RSP](https://github.com/ViTAE-Transformer/RSP)'
_UNUSED = 'position tables and norms, which the official model does not use'

FAMILY = Family(
    'rsp',
    # Sampled windows (VSA) use their tables; the tables of plain windows are idle.
    recognized_by=('layers.{i}.RC.attn.attn.relative_position_bias_table', 'layers.{i}.NC.*'),
    convert=convert_rsp,
    files=(
        PublishedFiles(
            f'{_RSP}: ViTAEv2-S pretrained on MillionAID, scene classifiers',
            'layers.0.RC.attn.attn.relative_position_bias_table',
            '`vitaev2-s`',
            'position tables, which the official model does not use',
        ),
        PublishedFiles(
            'the same, detectors and segmentors',
            'backbone.layers.0.RC.attn.attn.relative_position_bias_table',
            "the backbone of `vitaev2-s` with `attention=dict(padding='end')`",
            f'necks and heads; {_UNUSED}',
        ),
    ),
    tables={'RSP, before the rows of ViTAEv2': KEYS},
)
